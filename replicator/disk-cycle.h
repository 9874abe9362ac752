/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The part of a cycle that is one disk's: find the candidates, run the lanes over them, make the
 * result durable. */

#include "replicator/audit.h"
#include "replicator/cycle.h"
#include "replicator/lane.h"
#include "replicator/store.h"

struct disk_cycle {
    const struct work_disk *work;         /* borrowed */
    const struct manifest_disk *previous; /* borrowed; latest state of the replica, or NULL */
    guint64 disk_bytes;
    enum scan_mode mode;
    char *demotion_cause;
    char *demotion_detail;
    struct nbd_handle *handle; /* the first connection: listing, audit, then the first lane's */
    struct extent_list *candidates;
    struct block_map *map;
    struct replica *replica;
    GArray *changes; /* struct block_change, ascending once the lanes have ended */
    struct audit_result audit;
    struct lane_counters counters; /* atomic while lanes run */
    struct map_journal *journal;   /* of this cycle, or NULL: the map is new or stays */
    char *journal_path;            /* where it was written, or NULL */
};

/* What all disks of a cycle have in common; borrowed. */
struct cycle_context {
    const struct work *work;
    const struct store_machine *machine;
    const struct replica_ops *ops;
    const struct cycle_observer *observer;
    struct rate_limit *limit;
    const gint *cancelled;
    guint64 number; /* of the recovery point to be made */
};

struct disk_cycle *disk_cycle_new(const struct work_disk *work);

/* Takes back what was written, unless a manifest may name it by now (keep_files). */
void disk_cycle_free(struct disk_cycle *disk, const struct cycle_context *context,
                     gboolean keep_files);

/* Connects, decides between bitmap and scan, lists and audits. */
gboolean disk_cycle_plan(struct disk_cycle *disk, const struct cycle_context *context,
                         GError **error);

/* Reads the candidates and writes what differs. After this the source is not needed any more. */
gboolean disk_cycle_transfer(struct disk_cycle *disk, const struct cycle_context *context,
                             GError **error);

/* Makes data, tables and journal durable, and fills in the disk's entry of the new manifest. */
gboolean disk_cycle_finish(struct disk_cycle *disk, const struct cycle_context *context,
                           struct manifest *manifest, GError **error);

/* After the commit: takes the block map to the new generation. */
gboolean disk_cycle_settle(struct disk_cycle *disk, GError **error);
