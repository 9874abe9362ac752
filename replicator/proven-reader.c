/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/proven-reader.h"
#include "base/error.h"
#include "replicator/expected-map.h"
#include "replicator/layer-reader.h"

#include <string.h>

struct proven_reader {
    const struct manifest_disk *disk;
    guint64 point;
    struct layer_chain *chain;
    struct expected_map *map;
    /* The page of the map that was asked for last. */
    guint64 page;
    struct block_hash hashes[MAP_PAGE_BLOCKS];
    gboolean page_is_whole;
};

void proven_reader_free(struct proven_reader *reader)
{
    if (!reader)
        return;
    layer_chain_free(reader->chain);
    expected_map_free(reader->map);
    g_free(reader);
}

static gboolean open_all(struct proven_reader *reader, const struct store_machine *machine,
                         GError **error)
{
    const struct manifest_disk *disk = reader->disk;
    g_autofree char *folder = store_machine_disk_folder(machine, disk->name);
    reader->chain = layer_chain_open(folder, disk->layer, error);
    reader->map = reader->chain ? expected_map_open(machine, disk, error) : NULL;
    if (!reader->map)
        return FALSE;
    if (layer_chain_disk_bytes(reader->chain) == disk->size_bytes)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, NULL,
                       "layer %s/%s does not have the disk size of its recovery point", folder,
                       disk->layer);
    return FALSE;
}

struct proven_reader *proven_reader_open(const struct store_machine *machine,
                                         const struct manifest *point, const char *disk,
                                         GError **error)
{
    struct proven_reader *reader = g_new0(struct proven_reader, 1);
    reader->disk = manifest_disk_find(point, disk);
    reader->point = point->number;
    reader->page = G_MAXUINT64;
    if (open_all(reader, machine, error))
        return reader;
    proven_reader_free(reader);
    return NULL;
}

const GPtrArray *proven_reader_layers(const struct proven_reader *reader)
{
    return layer_chain_names(reader->chain);
}

gboolean proven_reader_hash(struct proven_reader *reader, guint64 block,
                            struct block_hash *ret_hash, GError **error)
{
    guint64 page = block / MAP_PAGE_BLOCKS;
    if (page != reader->page) {
        reader->page = G_MAXUINT64;
        if (!expected_map_page(reader->map, page, reader->hashes, &reader->page_is_whole, error))
            return FALSE;
        reader->page = page;
    }
    *ret_hash = reader->hashes[block % MAP_PAGE_BLOCKS];
    return TRUE;
}

/* Of the two that do not agree it is the map where its page is known to be damaged. */
static gboolean fail(const struct proven_reader *reader, guint64 block, GError **error)
{
    if (reader->page_is_whole)
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                           "landfall store verify tells what else is damaged; bring the file of "
                           "the layer back from a copy of the store, then run the same again",
                           "block %" G_GUINT64_FORMAT " (byte %" G_GUINT64_FORMAT
                           ") of recovery point %" G_GUINT64_FORMAT
                           " is damaged in the store: it is not what was recorded of it",
                           block, block * BLOCK_BYTES, reader->point);
    else
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, block_map_rebuild_hint(),
                           "what the block map has of block %" G_GUINT64_FORMAT
                           " (byte %" G_GUINT64_FORMAT ") of recovery point %" G_GUINT64_FORMAT
                           " is damaged: the block cannot be proven",
                           block, block * BLOCK_BYTES, reader->point);
    return FALSE;
}

gboolean proven_reader_block(struct proven_reader *reader, guint64 block, void *data,
                             gboolean *ret_zero, GError **error)
{
    gsize length = block_length(reader->disk->size_bytes, block);
    struct block_hash expected, found = {0};
    gboolean zero;
    if (!proven_reader_hash(reader, block, &expected, error) ||
        !layer_chain_read_block(reader->chain, block, data, &zero, error))
        return FALSE;
    if (zero)
        memset(data, 0, length);
    else
        found = block_hash_compute(data, length, reader->disk->seed);
    *ret_zero = block_hash_is_zero(&found);
    return block_hash_equal(&found, &expected) || fail(reader, block, error);
}
