/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The proof of one disk before a commit: for the last cycle before a move, after which nobody looks
 * at the source any more. */

#include "replicator/disk-cycle.h"

/* Reads the blocks again that the cycle has changed, or all of them, from the source and back from
 * the replica, and holds both against entry, which disk_cycle_finish has filled; fills in
 * entry->verified. Errors: corrupt (names the block), source, replica, cancelled. */
gboolean disk_verify(struct disk_cycle *disk, const struct cycle_context *context,
                     struct manifest_disk *entry, GError **error);
