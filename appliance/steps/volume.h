/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Volumes in the target's storage pool that become a machine's disks. A volume has the operation in
 * its name: one that is there was made by an earlier run of the same step. */

#include "appliance/steps/host.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStoragePool, virStoragePoolFree)

struct volume {
    char *name;
    char *path;
    const char *format; /* "qcow2", or "raw" where volumes are devices */
    gboolean device;
};

void volume_clear(struct volume *volume);

/* The pool that the work names, started where it is not. Errors: config (no such pool, a kind whose
 * volumes are neither files nor devices), source. The caller owns it. */
virStoragePoolPtr volume_pool_open(const struct step_host *host, const struct step_work *work,
                                   GError **error);

/* What the disk's volume is, *ret_exists whether it is there; its path is known only then. */
gboolean volume_find(virStoragePoolPtr pool, const struct step_work *work, const char *disk,
                     struct volume *ret_volume, gboolean *ret_exists, GError **error);

/* Makes it anew, sparse where the pool can, for a disk of that size. Error replica: no room. */
gboolean volume_make(virStoragePoolPtr pool, const struct step_work *work, const char *disk,
                     guint64 size_bytes, struct volume *ret_volume, GError **error);

/* That it is not there is no error. */
gboolean volume_remove(virStoragePoolPtr pool, const struct step_work *work, const char *disk,
                       gboolean *ret_removed, GError **error);

/* What is free in the pool; 0 when it cannot be told. */
guint64 volume_pool_free_bytes(virStoragePoolPtr pool);
