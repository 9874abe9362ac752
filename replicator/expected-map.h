/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the block map says of an older recovery point: the map as it is, with the journals between
 * the two generations undone (or, when a killed process left some unapplied, done). */

#include "replicator/block-map.h"
#include "replicator/store.h"

struct expected_map;

/* For the state of disk in its manifest. Nothing is written. Errors: corrupt, replica. */
struct expected_map *expected_map_open(const struct store_machine *machine,
                                       const struct manifest_disk *disk, GError **error);
void expected_map_free(struct expected_map *map);

/* The hashes of a page as of that recovery point. */
gboolean expected_map_page(const struct expected_map *map, guint64 page,
                           struct block_hash ret_hashes[MAP_PAGE_BLOCKS], GError **error);

/* Whether the hash tree in the map's file is that of the latest recovery point, where disk is that
 * state; TRUE for older ones, of which the file has no tree. */
gboolean expected_map_tree_is_whole(const struct expected_map *map,
                                    const struct manifest_disk *disk, GError **error);
