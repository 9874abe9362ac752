/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The way back of data: a disk that was at an older recovery point is brought to a later one by an
 * export that can be written. */

#include "replicator/nbd-source.h"
#include "replicator/store.h"

struct write_back_figures {
    guint64 written_blocks; /* each of them read back, and found to be right */
    guint64 zero_blocks;    /* of those, became zero */
    guint64 written_bytes;
};

struct write_back_observer {
    void *data;
    void (*progress)(void *data, const char *disk, guint64 done_blocks, guint64 total_blocks);
};

/* Makes the target, of that name, equal to what the disk is at recovery point to, by blocks that
 * have the hash that is recorded of them. from: the one that the target is at, of the same chain;
 * then the blocks are written that the layers between have. NULL, or one whose layer has been
 * merged: every block is compared. What was written is durable, and has been read back. May be
 * killed and done again. The caller holds the recovery point (store_pin_take). Errors: unsupported
 * (another size), corrupt (the store; a block that is not what was written), source, replica,
 * cancelled. */
gboolean write_back_disk(const struct store_machine *machine, const struct manifest *from,
                         const struct manifest *to, const struct nbd_source *target,
                         const struct write_back_observer *observer, const gint *cancelled,
                         struct write_back_figures *ret_figures, GError **error);
