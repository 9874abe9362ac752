/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/expected-map.h"
#include "base/error.h"
#include "replicator/map-journal.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"

#include <string.h>

struct expected_map {
    struct block_map *map;
    guint64 disk_bytes_max; /* of the map and of the journals that it may have in part */
    guint64 page_end; /* such a journal may have cut off the file here; it knows what was behind */
    struct block_hash *page_hashes; /* as in the file */
    guint64 page_count;
    GHashTable *differing; /* block number → struct block_hash, both owned by the table */
};

void expected_map_free(struct expected_map *map)
{
    if (!map)
        return;
    block_map_free(map->map);
    g_free(map->page_hashes);
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
    gboolean exists;
    if (!store_file_exists(path, &exists, error))
        return FALSE;
    if (!exists)
        return TRUE; /* a recovery point that did not change this disk */
    struct map_journal *journal = map_journal_load(path, error);
    if (!journal)
        return FALSE;
    lay_over(map, journal, undo);
    if (number > block_map_generation(map->map)) {
        map->disk_bytes_max = MAX(map->disk_bytes_max, journal->disk_bytes);
        map->page_end = MIN(map->page_end, block_map_page_count(journal->disk_bytes));
    }
    map_journal_free(journal);
    return TRUE;
}

/* The map's own generation, or the one that a killed process was bringing it to. */
static guint64 newest_generation(const struct store_machine *machine, const char *disk,
                                 const struct block_map *map)
{
    const struct manifest *latest = store_machine_latest_with_disk(machine, disk);
    guint64 committed = latest ? manifest_disk_find(latest, disk)->generation : 0;
    return MAX(committed, block_map_generation(map));
}

/* What later journals changed may be in the map already, all of it or some: undone, it is what it
 * was either way. */
static gboolean take_journals(struct expected_map *map, const struct store_machine *machine,
                              const struct manifest_disk *disk, GError **error)
{
    guint64 newest = newest_generation(machine, disk->name, map->map);
    for (guint64 number = newest; number > disk->generation; number--)
        if (!take_journal(map, machine, disk->name, number, TRUE, error))
            return FALSE;
    for (guint64 number = block_map_generation(map->map) + 1; number <= disk->generation; number++)
        if (!take_journal(map, machine, disk->name, number, FALSE, error))
            return FALSE;
    /* The size is that of one of the two generations while a journal waits. */
    return newest > block_map_generation(map->map) || block_map_check(map->map, error);
}

/* A whole map under another's name. Its size is that of its generation unless a journal waits. */
static gboolean belongs(const struct block_map *map, const struct store_machine *machine,
                        const struct manifest_disk *disk, GError **error)
{
    guint64 there = block_map_generation(map);
    if (block_map_seed(map) == disk->seed &&
        (there != disk->generation || block_map_disk_bytes(map) == disk->size_bytes ||
         newest_generation(machine, disk->name, map) > there))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, block_map_rebuild_hint(),
                       "block map %s is that of another disk", block_map_path(map));
    return FALSE;
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
    map->disk_bytes_max = block_map_disk_bytes(file);
    map->page_end = G_MAXUINT64;
    map->differing = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    if (belongs(file, machine, disk, error) && take_journals(map, machine, disk, error) &&
        block_map_check_unused(file, map->disk_bytes_max, error) &&
        (map->page_hashes = block_map_load_page_hashes(file, &map->page_count, error)))
        return map;
    expected_map_free(map);
    return NULL;
}

gboolean expected_map_page(const struct expected_map *map, guint64 page,
                           struct block_hash ret_hashes[MAP_PAGE_BLOCKS],
                           gboolean *ret_hash_is_whole, GError **error)
{
    static const struct block_hash zero;
    guint64 first = page * MAP_PAGE_BLOCKS;
    gboolean changed = FALSE;
    memset(ret_hashes, 0, MAP_PAGE_BLOCKS * sizeof *ret_hashes);
    if (page < map->page_end &&
        !block_map_read(map->map, first, MAP_PAGE_BLOCKS, ret_hashes, error))
        return FALSE;
    for (guint64 i = 0; i < MAP_PAGE_BLOCKS; i++) {
        guint64 block = first + i;
        const struct block_hash *hash = g_hash_table_lookup(map->differing, &block);
        if (!hash)
            continue;
        ret_hashes[i] = *hash;
        changed = TRUE;
    }
    struct block_hash hash = block_map_page_hash(ret_hashes);
    const struct block_hash *noted = page < map->page_count ? &map->page_hashes[page] : &zero;
    *ret_hash_is_whole = changed || block_hash_equal(&hash, noted);
    return TRUE;
}
