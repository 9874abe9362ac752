/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Proves a recovery point: every block is read through its chain and hashed, the hash tree built
 * from that must have the root that the manifest recorded at the commit. The block map is not
 * needed for the proof; it tells which blocks are damaged where the proof fails. */

#include "replicator/store.h"

#define VERIFY_FAULTS_MAX 64u /* described one by one; all are counted */

struct verify_disk {
    char *name;
    guint64 size_bytes;
    guint64 read_bytes;         /* holes and zero clusters are not read */
    gboolean proven;            /* the root is the recorded one */
    struct block_hash found;    /* root of what was read */
    struct block_hash recorded; /* root in the manifest */
    guint64 fault_count;        /* blocks that are not what the block map says */
    GArray *faults;             /* guint64 block numbers, the first VERIFY_FAULTS_MAX */
    char *file_problem;         /* what is wrong with a layer or journal beside its data, or NULL */
    char *map_problem;          /* why the block map could not be used or is wrong, or NULL */
};

struct verify_observer {
    void *data;
    void (*progress)(void *data, const char *disk, guint64 done_bytes, guint64 total_bytes);
};

/* Verifies the disks of a recovery point, data and every other byte of its layers and journals.
 * checked (may be NULL) is a set of paths: files in it are passed over, files found whole are
 * added, so that recovery points that share layers cost no more than their data. Returns an array
 * of struct verify_disk * that the caller owns. That a disk is damaged is a result, not an error.
 * Errors: corrupt (a chain cannot be opened or read), conflict (the recovery point is just being
 * removed), replica, cancelled. */
GPtrArray *verify_recovery_point(const struct store_machine *machine,
                                 const struct manifest *manifest,
                                 const struct verify_observer *observer, GHashTable *checked,
                                 const gint *cancelled, GError **error);

/* Proves the latest state of a disk and replaces its block map by one made from what was read.
 * Nothing is written unless the proof holds. The machine is open for writing. Errors: as above, and
 * corrupt when the replica is not what its manifest recorded. */
gboolean verify_rebuild_block_map(const struct store_machine *machine,
                                  const struct manifest_disk *disk,
                                  const struct verify_observer *observer, const gint *cancelled,
                                  GError **error);
