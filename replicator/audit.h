/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Trust, but audit: a sample of the blocks that a dirty bitmap calls clean is read from the source
 * and compared with the block map: a random one, and the last block that holds data, which an image
 * that was shrunk and grown again has lost. One miss means that the bitmap lies. */

#include "replicator/block-map.h"
#include "replicator/nbd-source.h"

struct audit_result {
    guint64 audited_blocks;
    guint64 misses;
    guint64 missed_block; /* the first, when there are misses */
};

/* Samples block_count_max blocks at most that are not in candidates. handle is borrowed, has no
 * request in flight, and is good for closing only after a failure. Errors: source, corrupt,
 * cancelled. */
gboolean audit_sample(const struct nbd_source *source, struct nbd_handle *handle,
                      const struct block_map *map, const struct extent_list *candidates,
                      guint block_count_max, const gint *cancelled, struct audit_result *ret_result,
                      GError **error);
