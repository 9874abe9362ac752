/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What of a lane proves a copy: blocks that are read from the source a second time, and the same
 * blocks read back through the layers, must both be what the new recovery point records. */

#include "replicator/block-map.h"
#include "replicator/extent-list.h"

/* What the blocks of a disk must be: the block map with the changes of a cycle laid over.
 * Read-only, shared by the lanes of a pass. All borrowed. */
struct check_expected {
    const struct block_map *map;
    const GArray *changes; /* struct block_change, ascending; NULL: the map has them already */
    const char *folder;    /* of the disk in the store */
    const char *layer;     /* top of the chain there */
    guint64 disk_bytes;
};

/* The expected hashes of n blocks. */
gboolean check_expected_read(const struct check_expected *expected, guint64 first, gsize n,
                             struct block_hash *ret_hashes, GError **error);

/* One lane's way to the replica: a chain is read by one thread at a time. */
struct lane_check;

struct lane_check *lane_check_open(const struct check_expected *expected, GError **error);
void lane_check_close(struct lane_check *check); /* NULL is fine */

/* Blocks from offset_bytes on, as the source gave them just now. Error corrupt names the first
 * block that is not what it must be, and which side of it. */
gboolean lane_check_data(struct lane_check *check, const void *data, guint64 offset_bytes,
                         gsize length_bytes, GError **error);

/* The same of a range that the source says is zero. */
gboolean lane_check_zero(struct lane_check *check, const struct extent *range, GError **error);
