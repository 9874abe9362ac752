/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Jobs by which QEMU moves a disk of a running machine to another image: a copy, or a commit into
 * the image below. Both end the same way: once the new image has all, they keep it so until the
 * machine is turned to it. */

#include "appliance/steps/step.h"
#include "snapshot/libvirt.h"

/* What a disk is made of, by a definition. */
struct block_disk {
    char *source; /* path of the image or device; NULL: a network disk */
    char *mirror; /* path of the image that a job writes to, or NULL */
    char *job;    /* "copy", "active-commit", … with mirror */
    gboolean ready;
};

void block_disk_clear(struct block_disk *disk);

/* The disk by the running definition, or (inactive) the persistent one. Errors: missing (no such
 * disk), source. */
gboolean block_disk_read(virDomainPtr domain, const char *name, gboolean inactive,
                         struct block_disk *ret_disk, GError **error);

/* Whether the job that runs is the one that we would begin, of that kind and to that path. Error
 * conflict: it is somebody else's. */
gboolean block_job_check(const struct block_disk *disk, const char *name, const char *job,
                         const char *path, GError **error);

/* Who waits for a job. */
struct block_wait {
    const struct step_run *run;
    virDomainPtr domain;
    const char *disk;
    guint64 done_bytes; /* of disks before this one, for progress */
    guint64 disk_bytes;
    guint64 total_bytes;

    /* Called again and again meanwhile, with data; FALSE ends the waiting. May be NULL. */
    gboolean (*tend)(void *data, GError **error);
    void *data;
};

/* Waits until the new image has all. *ret_gone: the job has ended by itself, and the disk is what
 * it was. A cancel leaves the job as it is. Errors: cancelled, source (the machine went off, the
 * host does not answer), and those of tend. */
gboolean block_job_wait(const struct block_wait *wait, gboolean *ret_gone, GError **error);

/* Turns the machine to the image at path, and makes sure that both definitions name it. */
gboolean block_job_pivot(const struct block_wait *wait, const char *path, GError **error);
