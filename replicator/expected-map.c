/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/expected-map.h"
#include "base/error.h"
#include "replicator/map-journal.h"
#include "replicator/store-name.h"

#include <string.h>

struct expected_map {
    struct block_map *map;
    GHashTable *differing; /* block number → struct block_hash, both owned by the table */
};

void expected_map_free(struct expected_map *map)
{
    if (!map)
        return;
    block_map_free(map->map);
    g_hash_table_unref(map->differing);
    g_free(map);
}

static void lay_over(struct expected_map *map, const struct map_journal *journal, gboolean undo)
{
    for (guint i = 0; i < journal->changes->len; i++) {
        const struct block_change *change =
            &g_array_index(journal->changes, struct block_change, i);
        const struct block_hash *hash = undo ? &change->before : &change->after;
        g_hash_table_replace(map->differing, g_memdup2(&change->block, sizeof change->block),
                             g_memdup2(hash, sizeof *hash));
    }
}

static gboolean take_journal(struct expected_map *map, const struct store_machine *machine,
                             const char *disk, guint64 number, gboolean undo, GError **error)
{
    g_autofree char *name = store_name_number(number, ".journal");
    g_autofree char *path = store_machine_disk_file(machine, disk, name);
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return TRUE; /* a recovery point that did not change this disk */
    struct map_journal *journal = map_journal_load(path, error);
    if (!journal)
        return FALSE;
    lay_over(map, journal, undo);
    map_journal_free(journal);
    return TRUE;
}

struct expected_map *expected_map_open(const struct store_machine *machine,
                                       const struct manifest_disk *disk, GError **error)
{
    g_autofree char *path = store_machine_disk_file(machine, disk->name, BLOCK_MAP_NAME);
    struct block_map *file = block_map_open(path, FALSE, error);
    if (!file)
        return NULL;
    struct expected_map *map = g_new0(struct expected_map, 1);
    map->map = file;
    map->differing = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    guint64 there = block_map_generation(file), wanted = disk->generation;
    gboolean ok = TRUE;
    for (guint64 number = there; ok && number > wanted; number--)
        ok = take_journal(map, machine, disk->name, number, TRUE, error);
    for (guint64 number = there + 1; ok && number <= wanted; number++)
        ok = take_journal(map, machine, disk->name, number, FALSE, error);
    if (ok && there >= wanted)
        ok = block_map_check(file, error);
    if (ok)
        return map;
    expected_map_free(map);
    return NULL;
}

gboolean expected_map_page(const struct expected_map *map, guint64 page,
                           struct block_hash ret_hashes[MAP_PAGE_BLOCKS], GError **error)
{
    guint64 first = page * MAP_PAGE_BLOCKS;
    if (!block_map_read(map->map, first, MAP_PAGE_BLOCKS, ret_hashes, error))
        return FALSE;
    for (guint64 i = 0; i < MAP_PAGE_BLOCKS; i++) {
        guint64 block = first + i;
        const struct block_hash *hash = g_hash_table_lookup(map->differing, &block);
        if (hash)
            ret_hashes[i] = *hash;
    }
    return TRUE;
}

gboolean expected_map_tree_is_whole(const struct expected_map *map,
                                    const struct manifest_disk *disk, GError **error)
{
    guint64 page_count;
    if (block_map_generation(map->map) != disk->generation)
        return TRUE;
    g_autofree struct block_hash *pages = block_map_load_page_hashes(map->map, &page_count, error);
    if (!pages)
        return FALSE;
    struct block_hash root = block_map_root(pages, page_count, disk->size_bytes, disk->seed);
    if (block_hash_equal(&root, &disk->root_hash))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, block_map_rebuild_hint(),
                       "block map %s: its hash tree is damaged", block_map_path(map->map));
    return FALSE;
}
