/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/layer-reader.h"
#include "base/error.h"
#include "replicator/block-map.h"
#include "replicator/layer-format.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NO_TABLE G_MAXUINT64
#define NAME_BYTES_MAX 64u
#define WHOLE_ONES_HINT "landfall store verify tells which recovery points are whole"

struct layer {
    char *folder;               /* set once */
    char *name;                 /* set once */
    char *path;                 /* set once */
    int fd;                     /* set once */
    guint64 file_bytes;         /* set once */
    struct layer_header header; /* set once, host byte order */
    char *backing_name;         /* set once */
    char *backing_format;       /* set once */
    guint64 *l1;                /* set once, host byte order, flags taken off */
    guint64 l2_index;           /* the reader's: which table l2 holds, or NO_TABLE */
    guint64 *l2;                /* the reader's, as in the file */
};

void layer_free(struct layer *layer)
{
    if (!layer)
        return;
    if (layer->fd >= 0)
        close(layer->fd);
    g_free(layer->folder);
    g_free(layer->name);
    g_free(layer->path);
    g_free(layer->backing_name);
    g_free(layer->backing_format);
    g_free(layer->l1);
    g_free(layer->l2);
    g_free(layer);
}

const char *layer_backing_name(const struct layer *layer)
{
    return layer->backing_name;
}

const char *layer_backing_format(const struct layer *layer)
{
    return layer->backing_format;
}

guint64 layer_disk_bytes(const struct layer *layer)
{
    return layer->header.disk_bytes;
}

static gboolean corrupt(const struct layer *layer, const char *what, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, WHOLE_ONES_HINT, "layer %s: %s", layer->path,
                       what);
    return FALSE;
}

/* A table or cluster at offset, length_bytes long, lies within the file, on a cluster boundary and
 * behind the header. */
static gboolean offset_fits(const struct layer *layer, guint64 offset, guint64 length_bytes)
{
    return offset >= LAYER_CLUSTER_BYTES && offset % LAYER_CLUSTER_BYTES == 0 &&
           offset <= layer->file_bytes && length_bytes <= layer->file_bytes - offset;
}

static void header_to_host(struct layer_header *h)
{
    h->magic = GUINT32_FROM_BE(h->magic);
    h->version = GUINT32_FROM_BE(h->version);
    h->backing_file_offset = GUINT64_FROM_BE(h->backing_file_offset);
    h->backing_file_bytes = GUINT32_FROM_BE(h->backing_file_bytes);
    h->cluster_bits = GUINT32_FROM_BE(h->cluster_bits);
    h->disk_bytes = GUINT64_FROM_BE(h->disk_bytes);
    h->crypt_method = GUINT32_FROM_BE(h->crypt_method);
    h->l1_entries = GUINT32_FROM_BE(h->l1_entries);
    h->l1_offset = GUINT64_FROM_BE(h->l1_offset);
    h->refcount_table_offset = GUINT64_FROM_BE(h->refcount_table_offset);
    h->refcount_table_clusters = GUINT32_FROM_BE(h->refcount_table_clusters);
    h->snapshot_count = GUINT32_FROM_BE(h->snapshot_count);
    h->incompatible_features = GUINT64_FROM_BE(h->incompatible_features);
    h->refcount_order = GUINT32_FROM_BE(h->refcount_order);
    h->header_bytes = GUINT32_FROM_BE(h->header_bytes);
}

static gboolean header_check(const struct layer *layer, GError **error)
{
    const struct layer_header *h = &layer->header;
    if (h->magic != LAYER_MAGIC)
        return corrupt(layer, "it is not a qcow2 file", error);
    if (h->version != LAYER_VERSION || h->cluster_bits != LAYER_CLUSTER_BITS ||
        h->crypt_method != 0 || h->snapshot_count != 0 || h->incompatible_features != 0 ||
        h->refcount_order != LAYER_REFCOUNT_ORDER || h->header_bytes != sizeof *h) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "a layer must not be changed by other tools; restore the file",
                           "layer %s uses qcow2 features that Landfall does not write",
                           layer->path);
        return FALSE;
    }
    if (h->disk_bytes == 0 || h->disk_bytes > DISK_BYTES_MAX)
        return corrupt(layer, "impossible disk size", error);
    guint64 entries = (block_count(h->disk_bytes) + LAYER_TABLE_ENTRIES - 1) / LAYER_TABLE_ENTRIES;
    if (h->l1_entries != entries ||
        !offset_fits(layer, h->l1_offset, h->l1_entries * sizeof(guint64)))
        return corrupt(layer, "its L1 table is not where it must be", error);
    return TRUE;
}

/* The only extension our writer makes is the backing format; it comes first. */
static gboolean take_backing(struct layer *layer, const guint8 *sector, GError **error)
{
    const struct layer_header *h = &layer->header;
    guint32 extension[2];
    memcpy(extension, sector + sizeof *h, sizeof extension);
    guint32 format_bytes = GUINT32_FROM_BE(extension[1]);
    if (GUINT32_FROM_BE(extension[0]) != LAYER_EXTENSION_BACKING_FORMAT || format_bytes > 8 ||
        h->backing_file_bytes == 0 || h->backing_file_bytes > NAME_BYTES_MAX ||
        h->backing_file_offset > LAYER_HEADER_SECTOR - h->backing_file_bytes ||
        h->backing_file_offset < sizeof *h + sizeof extension)
        return corrupt(layer, "its backing file is not named as it must be", error);
    layer->backing_format =
        g_strndup((const char *)sector + sizeof *h + sizeof extension, format_bytes);
    layer->backing_name =
        g_strndup((const char *)sector + h->backing_file_offset, h->backing_file_bytes);
    const char *format = strcmp(layer->backing_name, BASE_NAME) == 0 ? "raw" : "qcow2";
    if (strcmp(layer->backing_format, format) != 0 ||
        strlen(layer->backing_name) != h->backing_file_bytes ||
        !store_name_is_layer(layer->backing_name) || strcmp(layer->backing_name, layer->name) == 0)
        return corrupt(layer, "its backing file is not a file beside it", error);
    return TRUE;
}

static gboolean load_l1(struct layer *layer, GError **error)
{
    gsize bytes = layer->header.l1_entries * sizeof(guint64);
    layer->l1 = g_malloc(bytes);
    if (!store_file_read(layer->fd, layer->path, layer->l1, bytes, layer->header.l1_offset, error))
        return FALSE;
    for (guint32 i = 0; i < layer->header.l1_entries; i++) {
        guint64 entry = GUINT64_FROM_BE(layer->l1[i]);
        guint64 offset = entry & LAYER_OFFSET_MASK;
        if (entry != 0 &&
            (entry != (offset | LAYER_COPIED) || !offset_fits(layer, offset, LAYER_CLUSTER_BYTES)))
            return corrupt(layer, "an L1 entry is damaged", error);
        layer->l1[i] = offset;
    }
    return TRUE;
}

static gboolean layer_load(struct layer *layer, guint8 *ret_sector, GError **error)
{
    layer->fd = store_file_open(layer->path, O_RDONLY, error);
    if (layer->fd < 0 || !store_file_size(layer->fd, layer->path, &layer->file_bytes, error) ||
        !store_file_read(layer->fd, layer->path, ret_sector, LAYER_HEADER_SECTOR, 0, error))
        return FALSE;
    memcpy(&layer->header, ret_sector, sizeof layer->header);
    header_to_host(&layer->header);
    return header_check(layer, error) && take_backing(layer, ret_sector, error);
}

struct layer *layer_open(const char *folder, const char *name, GError **error)
{
    guint8 sector[LAYER_HEADER_SECTOR];
    struct layer *layer = g_new0(struct layer, 1);
    layer->fd = -1;
    layer->folder = g_strdup(folder);
    layer->name = g_strdup(name);
    layer->path = g_build_filename(folder, name, NULL);
    layer->l2_index = NO_TABLE;
    layer->l2 = g_new(guint64, LAYER_TABLE_ENTRIES);
    if (layer_load(layer, sector, error) && load_l1(layer, error))
        return layer;
    layer_free(layer);
    return NULL;
}

gboolean layer_lookup(struct layer *layer, guint64 block, enum layer_cluster *ret_kind,
                      guint64 *ret_offset, GError **error)
{
    guint64 index = block / LAYER_TABLE_ENTRIES;
    *ret_kind = LAYER_CLUSTER_ABSENT;
    if (block >= block_count(layer->header.disk_bytes) || layer->l1[index] == 0)
        return TRUE;
    if (layer->l2_index != index) {
        layer->l2_index = NO_TABLE;
        if (!store_file_read(layer->fd, layer->path, layer->l2, LAYER_CLUSTER_BYTES,
                             layer->l1[index], error))
            return FALSE;
        layer->l2_index = index;
    }
    guint64 entry = GUINT64_FROM_BE(layer->l2[block % LAYER_TABLE_ENTRIES]);
    if (entry == 0)
        return TRUE;
    if (entry == LAYER_ZERO) {
        *ret_kind = LAYER_CLUSTER_ZERO;
        return TRUE;
    }
    guint64 offset = entry & LAYER_OFFSET_MASK;
    if (entry != (offset | LAYER_COPIED) || !offset_fits(layer, offset, LAYER_CLUSTER_BYTES)) {
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, WHOLE_ONES_HINT,
                           "layer %s: the L2 entry of block %" G_GUINT64_FORMAT " is damaged",
                           layer->path, block);
        return FALSE;
    }
    *ret_kind = LAYER_CLUSTER_DATA;
    *ret_offset = offset;
    return TRUE;
}

guint64 layer_next_present(const struct layer *layer, guint64 block)
{
    guint64 end = block_count(layer->header.disk_bytes);
    while (block < end && layer->l1[block / LAYER_TABLE_ENTRIES] == 0)
        block = (block / LAYER_TABLE_ENTRIES + 1) * LAYER_TABLE_ENTRIES;
    return MIN(block, end);
}

gboolean layer_read(struct layer *layer, guint64 offset, void *data, gsize length_bytes,
                    GError **error)
{
    return store_file_read(layer->fd, layer->path, data, length_bytes, offset, error);
}

gboolean layer_rebase(const char *folder, const char *name, const char *backing_name,
                      const char *backing_format, GError **error)
{
    guint8 sector[LAYER_HEADER_SECTOR], before[LAYER_HEADER_SECTOR];
    struct layer *layer = layer_open(folder, name, error);
    if (!layer)
        return FALSE;
    gboolean fits = layer_header_encode(&layer->header, backing_name, backing_format, sector);
    g_assert(fits);
    int fd = store_file_open(layer->path, O_RDWR, error);
    gboolean known = fd >= 0 && store_file_read(fd, layer->path, before, sizeof before, 0, error);
    gboolean ok = known && store_file_write(fd, layer->path, sector, sizeof sector, 0, error) &&
                  store_file_sync(fd, layer->path, error);
    /* After a failed sync the page cache may tell what the disk does not know. Both names are right
     * now; the old one keeps the file it names. */
    if (known && !ok && !store_file_write(fd, layer->path, before, sizeof before, 0, NULL))
        g_debug("%s: its header cannot be put back", layer->path);
    if (fd >= 0)
        close(fd);
    layer_free(layer);
    return ok;
}
