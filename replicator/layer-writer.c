/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/layer-writer.h"
#include "replicator/layer-format.h"
#include "replicator/store-file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES 4096u
#define ROOM_FIRST_BYTES (1ull << 20)
#define ROOM_MOST_BYTES (32ull << 20)

struct layer_writer {
    char *path;            /* set once */
    int fd;                /* set once */
    guint64 disk_bytes;    /* set once */
    char *backing_name;    /* set once */
    char *backing_format;  /* set once */
    guint64 cluster_count; /* atomic: clusters taken so far, the header's included */
    GMutex lock;
    guint64 room_bytes; /* atomic, grows under lock: what the file has room for; G_MAXUINT64: it
                           gets room as it is written */
};

struct layer_writer *layer_writer_new(int fd, const char *path, guint64 disk_bytes,
                                      const char *backing_name, const char *backing_format)
{
    struct layer_writer *writer = g_new0(struct layer_writer, 1);
    writer->path = g_strdup(path);
    writer->fd = fd;
    writer->disk_bytes = disk_bytes;
    writer->backing_name = g_strdup(backing_name);
    writer->backing_format = g_strdup(backing_format);
    writer->cluster_count = 1;
    writer->room_bytes = G_MAXUINT64;
    g_mutex_init(&writer->lock);
    return writer;
}

struct layer_writer *layer_writer_create(const char *path, guint64 disk_bytes,
                                         const char *backing_name, const char *backing_format,
                                         GError **error)
{
    int fd = store_file_open(path, O_RDWR | O_CREAT | O_TRUNC, error);
    if (fd < 0)
        return NULL;
    struct layer_writer *writer =
        layer_writer_new(fd, path, disk_bytes, backing_name, backing_format);
    writer->room_bytes = 0;
    return writer;
}

void layer_writer_free(struct layer_writer *writer)
{
    if (!writer)
        return;
    close(writer->fd);
    g_mutex_clear(&writer->lock);
    g_free(writer->path);
    g_free(writer->backing_name);
    g_free(writer->backing_format);
    g_free(writer);
}

static guint64 take_clusters(struct layer_writer *writer, guint count)
{
    guint64 first = __atomic_fetch_add(&writer->cluster_count, count, __ATOMIC_RELAXED);
    return first * LAYER_CLUSTER_BYTES;
}

/* Direct writes into room that the file has run side by side; one that makes it longer has the file
 * alone, and waits for that in a thread of the kernel's. So room is made for many at a time. Where
 * it cannot be had the writes will tell. */
static void make_room(struct layer_writer *writer, guint64 end_bytes)
{
    g_mutex_lock(&writer->lock);
    guint64 have = writer->room_bytes;
    if (end_bytes > have) {
        guint64 want = end_bytes + CLAMP(have, ROOM_FIRST_BYTES, ROOM_MOST_BYTES);
        if (!store_file_reserve(writer->fd, have, want))
            want = G_MAXUINT64;
        __atomic_store_n(&writer->room_bytes, want, __ATOMIC_RELAXED);
    }
    g_mutex_unlock(&writer->lock);
}

guint64 layer_writer_allocate(struct layer_writer *writer, guint count)
{
    guint64 offset = take_clusters(writer, count);
    guint64 end = offset + (guint64)count * LAYER_CLUSTER_BYTES;
    if (end > __atomic_load_n(&writer->room_bytes, __ATOMIC_RELAXED))
        make_room(writer, end);
    return offset;
}

static gboolean write_cluster(struct layer_writer *writer, const void *data, guint64 *ret_offset,
                              GError **error)
{
    guint64 offset = take_clusters(writer, 1);
    if (!store_file_write(writer->fd, writer->path, data, LAYER_CLUSTER_BYTES, offset, error))
        return FALSE;
    *ret_offset = offset;
    return TRUE;
}

/* An L2 table that is being filled. The one of a few scattered blocks is one entry and 64 KiB of
 * nothing, and there is one for each 512 MiB of disk: what is not used is neither looked at nor
 * written. */
struct l2_table {
    guint64 *entries;
    gboolean used[LAYER_CLUSTER_BYTES / PIECE_BYTES]; /* the pieces with an entry */
};

/* Leaves holes for pieces that are not used: the file is new, so they read as zeros. The table is
 * empty after it. */
static gboolean write_l2_table(struct layer_writer *writer, struct l2_table *table,
                               guint64 *ret_offset, GError **error)
{
    guint64 offset = take_clusters(writer, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(table->used); i++) {
        guint8 *piece = (guint8 *)table->entries + i * PIECE_BYTES;
        if (!table->used[i])
            continue;
        if (!store_file_write(writer->fd, writer->path, piece, PIECE_BYTES,
                              offset + i * PIECE_BYTES, error))
            return FALSE;
        memset(piece, 0, PIECE_BYTES);
        table->used[i] = FALSE;
    }
    *ret_offset = offset;
    return TRUE;
}

static guint64 l2_entry(const struct block_change *change)
{
    return GUINT64_TO_BE(change->layer_offset ? change->layer_offset | LAYER_COPIED : LAYER_ZERO);
}

/* Writes one L2 table for each group of changes that share it, and fills in the L1 table. */
static gboolean write_l2_tables(struct layer_writer *writer, const GArray *changes, guint64 *l1,
                                GError **error)
{
    g_autofree guint64 *entries = g_new0(guint64, LAYER_TABLE_ENTRIES);
    struct l2_table l2 = {.entries = entries};
    for (guint i = 0; i < changes->len;) {
        guint64 table = g_array_index(changes, struct block_change, i).block / LAYER_TABLE_ENTRIES;
        guint64 offset;
        for (; i < changes->len; i++) {
            const struct block_change *change = &g_array_index(changes, struct block_change, i);
            if (change->block / LAYER_TABLE_ENTRIES != table)
                break;
            guint64 index = change->block % LAYER_TABLE_ENTRIES;
            g_assert(entries[index] == 0);
            entries[index] = l2_entry(change);
            l2.used[index * sizeof *entries / PIECE_BYTES] = TRUE;
        }
        if (!write_l2_table(writer, &l2, &offset, error))
            return FALSE;
        l1[table] = GUINT64_TO_BE(offset | LAYER_COPIED);
    }
    return TRUE;
}

static guint64 clusters_of(guint64 bytes)
{
    return (bytes + LAYER_CLUSTER_BYTES - 1) / LAYER_CLUSTER_BYTES;
}

/* Writes a table that may take several clusters; its offset comes back. */
static gboolean write_table(struct layer_writer *writer, const void *data, guint64 bytes,
                            guint64 *ret_offset, GError **error)
{
    guint64 clusters = clusters_of(bytes);
    guint64 offset = take_clusters(writer, (guint)clusters);
    if (!store_file_write(writer->fd, writer->path, data, bytes, offset, error))
        return FALSE;
    *ret_offset = offset;
    return TRUE;
}

/* Refcount blocks and table also count themselves: their number is found by growing it until it
 * covers all clusters of the file. */
static gboolean write_refcounts(struct layer_writer *writer, struct layer_header *header,
                                GError **error)
{
    guint64 used = writer->cluster_count, blocks = 0, tables = 0;
    while (blocks * LAYER_REFCOUNTS_PER_BLOCK < used + blocks + tables) {
        blocks++;
        tables = clusters_of(blocks * sizeof(guint64));
    }
    guint64 total = used + blocks + tables;
    g_autofree guint64 *table = g_new0(guint64, tables * LAYER_TABLE_ENTRIES);
    g_autofree guint16 *counts = g_new(guint16, LAYER_REFCOUNTS_PER_BLOCK);
    for (guint64 i = 0; i < blocks; i++) {
        guint64 offset;
        for (guint64 k = 0; k < LAYER_REFCOUNTS_PER_BLOCK; k++)
            counts[k] = i * LAYER_REFCOUNTS_PER_BLOCK + k < total ? GUINT16_TO_BE(1) : 0;
        if (!write_cluster(writer, counts, &offset, error))
            return FALSE;
        table[i] = GUINT64_TO_BE(offset);
    }
    header->refcount_table_clusters = (guint32)tables;
    if (!write_table(writer, table, tables * LAYER_CLUSTER_BYTES, &header->refcount_table_offset,
                     error))
        return FALSE;
    g_assert(writer->cluster_count == total);
    return TRUE;
}

static gboolean write_header(struct layer_writer *writer, const struct layer_header *header,
                             GError **error)
{
    g_autofree guint8 *cluster = g_malloc0(LAYER_CLUSTER_BYTES);
    gboolean fits =
        layer_header_encode(header, writer->backing_name, writer->backing_format, cluster);
    g_assert(fits); /* names of layers are short and ours */
    return store_file_write(writer->fd, writer->path, cluster, LAYER_CLUSTER_BYTES, 0, error);
}

gboolean layer_writer_finish(struct layer_writer *writer, const GArray *changes,
                             guint64 *ret_file_bytes, GError **error)
{
    struct layer_header header = {
        .magic = LAYER_MAGIC,
        .version = LAYER_VERSION,
        .cluster_bits = LAYER_CLUSTER_BITS,
        .disk_bytes = writer->disk_bytes,
        .refcount_order = LAYER_REFCOUNT_ORDER,
        .header_bytes = sizeof header,
    };
    guint64 blocks = block_count(writer->disk_bytes);
    header.l1_entries = (guint32)((blocks + LAYER_TABLE_ENTRIES - 1) / LAYER_TABLE_ENTRIES);
    guint64 l1_bytes = clusters_of(header.l1_entries * sizeof(guint64)) * LAYER_CLUSTER_BYTES;
    g_autofree guint64 *l1 = g_malloc0(l1_bytes);
    /* Room that is left over goes back; the tables leave holes. */
    if (!store_file_truncate(writer->fd, writer->path, writer->cluster_count * LAYER_CLUSTER_BYTES,
                             error) ||
        !write_l2_tables(writer, changes, l1, error) ||
        !write_table(writer, l1, l1_bytes, &header.l1_offset, error) ||
        !write_refcounts(writer, &header, error))
        return FALSE;
    guint64 file_bytes = writer->cluster_count * LAYER_CLUSTER_BYTES;
    /* One sync for all: nothing looks into the file before a manifest names it. */
    if (!write_header(writer, &header, error) ||
        !store_file_sync_size(writer->fd, writer->path, error))
        return FALSE;
    *ret_file_bytes = file_bytes;
    return TRUE;
}
