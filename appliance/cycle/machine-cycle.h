/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One whole cycle of one machine: clean up what earlier runs left, snapshot, replicate in a child,
 * let go of the guest as soon as its disks have been read, and advance the checkpoint only after
 * the recovery point is durable. */

#include "appliance/cycle/replicate-child.h"
#include "replicator/manifest.h"

struct machine_cycle_options {
    const char *host_uri;             /* libvirt URI; NULL: disks by nbd_disks */
    const char *machine;              /* name or UUID; with nbd_disks: key in the store */
    const char *store;                /* folder */
    const char *const *exclude_disks; /* NULL-terminated, or NULL */
    const char *const *nbd_disks;     /* "vda=NBD-URI", NULL-terminated, or NULL */
    const char *scratch_dir;          /* on the host; NULL: default */
    const char *socket_dir;           /* on the host; NULL: default */
    const char *on_snapshot;          /* command run while the snapshot is held, or NULL */
    gboolean no_checkpoint;
    gboolean no_freeze;
    guint freeze_deadline_ms;
    const char *const *thaw_guard; /* see struct snapshot_plan */
    gboolean full_scan;
    const char *lease;           /* by which whoever moves the machine is known, or NULL */
    gboolean final;              /* the last cycle before a move: the machine must be off */
    gboolean forced_off;         /* with final: it was not shut down, so it is crash-consistent */
    enum verify_mode verify;     /* what is proven before the commit */
    gboolean want_filesystem;    /* a snapshot that is only crash-consistent fails the cycle */
    guint64 bandwidth;           /* bytes per second; 0: no limit */
    struct replicate_rate *rate; /* how it changes while the cycle runs, or NULL */
    guint retain;                /* 0: all */
    guint audit_blocks;
};

struct machine_cycle_observer {
    void *data;

    /* One event: the child's (plan, progress, source-done, committed, warning) and the cycle's own
     * (snapshot, snapshot-ended, warning), as landfall(1) describes them. */
    void (*event)(void *data, const char *event, JsonObject *line);
    replicate_running running;
};

/* Runs the cycle. *cancelled may become 1 at any time. Returns the recovery point as JSON, with
 * "snapshot_held_ms", "cycle_ms" and "timings" (what its parts took) added, and of a final cycle
 * "disks_state" (what tells whether somebody has written since); the caller owns it. */
JsonObject *machine_cycle_run(const struct machine_cycle_options *options,
                              const struct machine_cycle_observer *observer, const gint *cancelled,
                              GError **error);
