/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads delta layers that layer-writer.c wrote, and chains of them down to the raw base: what
 * verification and merging need. Nothing else is accepted: a qcow2 feature that our writer does not
 * use is error unsupported, an offset that cannot be is error corrupt. */

#include "replicator/block-hash.h"

struct layer;

enum layer_cluster {
    LAYER_CLUSTER_ABSENT, /* the layer below decides */
    LAYER_CLUSTER_ZERO,
    LAYER_CLUSTER_DATA,
};

/* Opens the qcow2 layer folder/name. */
struct layer *layer_open(const char *folder, const char *name, GError **error);
void layer_free(struct layer *layer);

/* All borrowed. The backing name is that of a file in the same folder. */
const char *layer_backing_name(const struct layer *layer);
const char *layer_backing_format(const struct layer *layer);
guint64 layer_disk_bytes(const struct layer *layer);

/* Where block's content is. *ret_offset is set for LAYER_CLUSTER_DATA. A layer is read by one
 * thread at a time: the L2 table last used is kept. */
gboolean layer_lookup(struct layer *layer, guint64 block, enum layer_cluster *ret_kind,
                      guint64 *ret_offset, GError **error);

/* The first block at or after block that this layer may hold, or the layer's block count: passes
 * over whole L2 tables that are absent. */
guint64 layer_next_present(const struct layer *layer, guint64 block);

/* Reads length_bytes of the cluster at offset. */
gboolean layer_read(struct layer *layer, guint64 offset, void *data, gsize length_bytes,
                    GError **error);

/* Names another backing file, durably, by writing the layer's first sector. The content as read
 * through the chain is the caller's duty. */
gboolean layer_rebase(const char *folder, const char *name, const char *backing_name,
                      const char *backing_format, GError **error);

/* A chain: the layer or raw base named top in folder, and all below it. */
struct layer_chain;

struct layer_chain *layer_chain_open(const char *folder, const char *top, GError **error);
void layer_chain_free(struct layer_chain *chain);
guint64 layer_chain_disk_bytes(const struct layer_chain *chain);

/* Names of the files, top first; borrowed. */
const GPtrArray *layer_chain_names(const struct layer_chain *chain);

/* Reads one block (length as block_length says) into data. *ret_zero, set in any case, tells that
 * it is known to be zero without a read; data is untouched then. */
gboolean layer_chain_read_block(struct layer_chain *chain, guint64 block, void *data,
                                gboolean *ret_zero, GError **error);
