/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the block map says of a recovery point: the map as it is, with the journals of later ones
 * undone and, where a killed process left some unapplied, those up to it done. */

#include "replicator/block-map.h"
#include "replicator/store.h"

struct expected_map;

/* For the state of disk in its manifest. Nothing is written. Errors: corrupt, replica. */
struct expected_map *expected_map_open(const struct store_machine *machine,
                                       const struct manifest_disk *disk, GError **error);
void expected_map_free(struct expected_map *map);

/* The hashes of a page as of that recovery point. *ret_hash_is_whole: the map's file has the hash
 * of this page, or no word on it because a journal changes the page. */
gboolean expected_map_page(const struct expected_map *map, guint64 page,
                           struct block_hash ret_hashes[MAP_PAGE_BLOCKS],
                           gboolean *ret_hash_is_whole, GError **error);
