/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Blocks of a recovery point as they were when it was made, or not at all: what is read from the
 * layers has the hash that the block map has for it. For whoever passes them on. */

#include "replicator/block-hash.h"
#include "replicator/store.h"

struct proven_reader;

/* For one disk of the recovery point, which the caller holds. Errors: corrupt (what is damaged),
 * replica. */
struct proven_reader *proven_reader_open(const struct store_machine *machine,
                                         const struct manifest *point, const char *disk,
                                         GError **error);
void proven_reader_free(struct proven_reader *reader);

/* Names of the files of its chain, top first; borrowed. */
const GPtrArray *proven_reader_layers(const struct proven_reader *reader);

/* What the block must be. */
gboolean proven_reader_hash(struct proven_reader *reader, guint64 block,
                            struct block_hash *ret_hash, GError **error);

/* Reads it; zeros are read, too, and *ret_zero tells. Error corrupt names the block. */
gboolean proven_reader_block(struct proven_reader *reader, guint64 block, void *data,
                             gboolean *ret_zero, GError **error);
