/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The subset of qcow2 version 3 that a delta layer is. Rules from QEMU's docs/interop/qcow2.txt.
 * All integers are big-endian. A layer is laid out as
 *
 *   cluster 0            header, extensions and backing file name, all within the first 512 bytes,
 *                        so that a rebase is one sector
 *   clusters 1 … D       data, in the order of arrival
 *   then                 L2 tables (one for each 512 MiB of disk with a change), the L1 table,
 *                        refcount blocks, the refcount table
 *
 * Clusters are 64 KiB, one a block. Refcounts are 16 bits, all 1. No internal snapshots, no
 * compression, no encryption, no bitmaps, no feature bits. A block that became zero is an L2 entry
 * with the zero flag and no cluster. The header is written last: a layer without it is no qcow2. */

#include <glib.h>

#define LAYER_CLUSTER_BITS 16u
#define LAYER_CLUSTER_BYTES (1u << LAYER_CLUSTER_BITS)
#define LAYER_TABLE_ENTRIES (LAYER_CLUSTER_BYTES / sizeof(guint64)) /* in an L2 table */
#define LAYER_MAGIC 0x514649fbu                                     /* "QFI\xfb" */
#define LAYER_VERSION 3u
#define LAYER_REFCOUNT_ORDER 4u
#define LAYER_REFCOUNTS_PER_BLOCK (LAYER_CLUSTER_BYTES / sizeof(guint16))
#define LAYER_HEADER_SECTOR 512u
#define LAYER_EXTENSION_BACKING_FORMAT 0xe2792acau

#define LAYER_COPIED (1ull << 63) /* L1 and L2: the refcount is exactly one */
#define LAYER_ZERO 1ull           /* L2: reads as zeros */
#define LAYER_OFFSET_MASK 0x00fffffffffffe00ull

struct layer_header {
    guint32 magic;
    guint32 version;
    guint64 backing_file_offset;
    guint32 backing_file_bytes;
    guint32 cluster_bits;
    guint64 disk_bytes;
    guint32 crypt_method;
    guint32 l1_entries;
    guint64 l1_offset;
    guint64 refcount_table_offset;
    guint32 refcount_table_clusters;
    guint32 snapshot_count;
    guint64 snapshots_offset;
    guint64 incompatible_features;
    guint64 compatible_features;
    guint64 autoclear_features;
    guint32 refcount_order;
    guint32 header_bytes;
};

G_STATIC_ASSERT(sizeof(struct layer_header) == 104);

/* The first sector of a layer for these values (host byte order in *header; the offset and length
 * of the backing name are filled in). FALSE when the names do not fit in the sector. */
gboolean layer_header_encode(const struct layer_header *header, const char *backing_name,
                             const char *backing_format, guint8 ret_sector[LAYER_HEADER_SECTOR]);
