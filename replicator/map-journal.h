/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What one cycle changed in one replica: the redo log that takes the block map from one generation
 * to the next, and, while its layer is retained, the undo log that tells what an older recovery
 * point held. The file's format stands at the head of map-journal.c. */

#include "replicator/block-map.h"

/* One block whose content a cycle changed. */
struct block_change {
    guint64 block;
    guint64 layer_offset; /* of its data in the new layer; 0: the block is zero now */
    struct block_hash before;
    struct block_hash after;
};

struct map_journal {
    guint64 generation; /* the recovery point that this journal leads to */
    guint64 disk_bytes_before;
    guint64 disk_bytes;
    GArray
        *changes; /* struct block_change, ascending by block; layer_offset not kept in the file */
};

void map_journal_free(struct map_journal *journal);

/* Writes the journal durably (the folder's names are the caller's to sync). */
gboolean map_journal_write(const char *path, const struct map_journal *journal, GError **error);

/* Errors: corrupt (missing, damaged), unsupported (later version). The caller owns the journal. */
struct map_journal *map_journal_load(const char *path, GError **error);

/* The root that the map will have after the journal, without changing the map. */
gboolean map_journal_root_after(const struct map_journal *journal, const struct block_map *map,
                                struct block_hash *ret_root, GError **error);

/* Applies the journal to a map of an earlier generation, durably. Idempotent: applying it again
 * after a kill at any instant gives the same map. */
gboolean map_journal_apply(const struct map_journal *journal, struct block_map *map,
                           GError **error);
