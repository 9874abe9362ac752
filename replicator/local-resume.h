/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Going on with a first cycle that was interrupted. */

#include "replicator/block-map.h"

/* Makes base.raw in folder disk_bytes long, keeping what an interrupted first cycle wrote, and
 * creates the block map of what is in it, with a new seed. The file is its own record: it is read
 * and hashed, so whatever did or did not reach the disk, the map is right. The caller owns the map.
 * Errors: replica, cancelled. */
struct block_map *local_resume(const char *folder, guint64 disk_bytes, const gint *cancelled,
                               GError **error);
