/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "replicator/block-map.h"
#include "replicator/layer-reader.h"
#include "replicator/store-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A chain longer than this is a loop or no work of ours: retention keeps far fewer layers. */
#define CHAIN_LAYERS_MAX 4096u

struct layer_chain {
    GPtrArray *layers;  /* struct layer, top first; without the base */
    GPtrArray *names;   /* all names, top first, the base last */
    char *base_path;    /* set once */
    int base_fd;        /* set once */
    guint64 base_bytes; /* set once */
    guint64 disk_bytes; /* set once: of the top */
    guint64 hole_start; /* the reader's: a range of the base known to be a hole */
    guint64 hole_end;
};

void layer_chain_free(struct layer_chain *chain)
{
    if (!chain)
        return;
    if (chain->base_fd >= 0)
        close(chain->base_fd);
    g_ptr_array_unref(chain->layers);
    g_ptr_array_unref(chain->names);
    g_free(chain->base_path);
    g_free(chain);
}

guint64 layer_chain_disk_bytes(const struct layer_chain *chain)
{
    return chain->disk_bytes;
}

const GPtrArray *layer_chain_names(const struct layer_chain *chain)
{
    return chain->names;
}

/* Follows backing names from top to the raw base, whose name is returned (borrowed). */
static const char *open_layers(struct layer_chain *chain, const char *folder, const char *top,
                               GError **error)
{
    const char *name = top;
    gboolean raw = !g_str_has_suffix(top, ".qcow2");
    while (!raw) {
        if (chain->layers->len == CHAIN_LAYERS_MAX) {
            landfall_error_set(error, LANDFALL_ERROR_CORRUPT, NULL,
                               "the chain below %s/%s does not end", folder, top);
            return NULL;
        }
        struct layer *layer = layer_open(folder, name, error);
        if (!layer)
            return NULL;
        g_ptr_array_add(chain->layers, layer);
        g_ptr_array_add(chain->names, g_strdup(name));
        name = layer_backing_name(layer);
        raw = strcmp(layer_backing_format(layer), "raw") == 0;
    }
    g_ptr_array_add(chain->names, g_strdup(name));
    return name;
}

struct layer_chain *layer_chain_open(const char *folder, const char *top, GError **error)
{
    struct layer_chain *chain = g_new0(struct layer_chain, 1);
    chain->layers = g_ptr_array_new_with_free_func((GDestroyNotify)layer_free);
    chain->names = g_ptr_array_new_with_free_func(g_free);
    chain->base_fd = -1;
    const char *base = open_layers(chain, folder, top, error);
    if (base) {
        chain->base_path = g_build_filename(folder, base, NULL);
        chain->base_fd = store_file_open(chain->base_path, O_RDONLY, error);
    }
    if (chain->base_fd < 0 ||
        !store_file_size(chain->base_fd, chain->base_path, &chain->base_bytes, error)) {
        layer_chain_free(chain);
        return NULL;
    }
    chain->disk_bytes =
        chain->layers->len ? layer_disk_bytes(chain->layers->pdata[0]) : chain->base_bytes;
    return chain;
}

/* Whether the byte range of the base lies in a hole; keeps the last hole found. */
static gboolean base_is_hole(struct layer_chain *chain, guint64 offset, gsize length)
{
    if (offset >= chain->hole_start && offset + length <= chain->hole_end)
        return TRUE;
    off_t data = lseek(chain->base_fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno != ENXIO)
        return FALSE;
    chain->hole_start = offset;
    chain->hole_end = data < 0 ? G_MAXUINT64 : (guint64)data;
    return offset + length <= chain->hole_end;
}

static gboolean read_base(struct layer_chain *chain, guint64 offset, guint8 *data, gsize length,
                          gboolean *ret_zero, GError **error)
{
    *ret_zero = offset >= chain->base_bytes || base_is_hole(chain, offset, length);
    if (*ret_zero)
        return TRUE;
    if (offset + length > chain->base_bytes)
        memset(data, 0, length);
    return store_file_read(chain->base_fd, chain->base_path, data,
                           (gsize)MIN(length, chain->base_bytes - offset), offset, error);
}

gboolean layer_chain_read_block(struct layer_chain *chain, guint64 block, void *data,
                                gboolean *ret_zero, GError **error)
{
    gsize length = block_length(chain->disk_bytes, block);
    for (guint i = 0; i < chain->layers->len; i++) {
        struct layer *layer = chain->layers->pdata[i];
        enum layer_cluster kind;
        guint64 offset = 0;
        if (!layer_lookup(layer, block, &kind, &offset, error))
            return FALSE;
        *ret_zero = kind == LAYER_CLUSTER_ZERO;
        if (kind == LAYER_CLUSTER_DATA)
            return layer_read(layer, offset, data, length, error);
        /* Past the end of a smaller disk there is nothing: a disk that shrank and grew again does
         * not get its old tail back. */
        if (kind == LAYER_CLUSTER_ABSENT && block >= block_count(layer_disk_bytes(layer)))
            *ret_zero = TRUE;
        if (*ret_zero)
            return TRUE;
    }
    return read_base(chain, block * BLOCK_BYTES, data, length, ret_zero, error);
}
