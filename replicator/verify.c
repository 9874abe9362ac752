/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/verify.h"
#include "base/error.h"
#include "replicator/expected-map.h"
#include "replicator/layer-check.h"
#include "replicator/layer-reader.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"
#include "replicator/store-retention.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One disk being read. */
struct reading {
    const struct manifest_disk *disk;
    const struct verify_observer *observer;
    const gint *cancelled;
    struct layer_chain *chain;
    guint8 *buffer;
    guint64 read_bytes;
};

static void verify_disk_free(struct verify_disk *disk)
{
    if (!disk)
        return;
    g_free(disk->name);
    g_array_unref(disk->faults);
    g_free(disk->file_problem);
    g_free(disk->map_problem);
    g_free(disk);
}

static gboolean reading_open(struct reading *reading, const struct store_machine *machine,
                             GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, reading->disk->name);
    reading->chain = layer_chain_open(folder, reading->disk->layer, error);
    if (!reading->chain)
        return FALSE;
    reading->buffer = g_malloc(BLOCK_BYTES);
    if (layer_chain_disk_bytes(reading->chain) == reading->disk->size_bytes)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, NULL,
                       "layer %s/%s does not have the disk size of its recovery point", folder,
                       reading->disk->layer);
    return FALSE;
}

static void reading_close(struct reading *reading)
{
    layer_chain_free(reading->chain);
    g_free(reading->buffer);
}

/* Hashes of the page as they are in the replica. */
static gboolean read_page(struct reading *reading, guint64 page,
                          struct block_hash hashes[MAP_PAGE_BLOCKS], GError **error)
{
    guint64 first = page * MAP_PAGE_BLOCKS, size = reading->disk->size_bytes;
    guint64 end = MIN(first + MAP_PAGE_BLOCKS, block_count(size));
    if (g_atomic_int_get(reading->cancelled)) {
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
        return FALSE;
    }
    memset(hashes, 0, MAP_PAGE_BLOCKS * sizeof *hashes);
    for (guint64 block = first; block < end; block++) {
        gboolean zero;
        gsize length = block_length(size, block);
        if (!layer_chain_read_block(reading->chain, block, reading->buffer, &zero, error))
            return FALSE;
        if (zero)
            continue;
        reading->read_bytes += length;
        hashes[block - first] = block_hash_compute(reading->buffer, length, reading->disk->seed);
    }
    reading->observer->progress(reading->observer->data, reading->disk->name,
                                MIN(end * BLOCK_BYTES, size), size);
    return TRUE;
}

/* Notes the blocks of a page that are not what the map says. */
static void compare_page(struct verify_disk *result, guint64 page, const struct block_hash *found,
                         const struct block_hash *expected)
{
    for (guint64 i = 0; i < MAP_PAGE_BLOCKS; i++) {
        guint64 block = page * MAP_PAGE_BLOCKS + i;
        if (block_hash_equal(&found[i], &expected[i]))
            continue;
        result->fault_count++;
        if (result->faults->len < VERIFY_FAULTS_MAX)
            g_array_append_val(result->faults, block);
    }
}

/* The map only helps to name blocks: that it is of no use is a finding, and the proof goes on. */
static struct expected_map *open_map(const struct store_machine *machine,
                                     const struct manifest_disk *disk, struct verify_disk *result)
{
    g_autoptr(GError) cause = NULL;
    struct expected_map *map = expected_map_open(machine, disk, &cause);
    if (!map)
        result->map_problem = g_strdup(cause->message);
    return map;
}

/* Compares a page with what the map says of it. */
static gboolean judge_page(const struct expected_map *map, guint64 page,
                           const struct block_hash *found, struct verify_disk *result,
                           GError **error)
{
    gboolean hash_is_whole;
    struct block_hash expected[MAP_PAGE_BLOCKS];
    if (!expected_map_page(map, page, expected, &hash_is_whole, error))
        return FALSE;
    compare_page(result, page, found, expected);
    if (!hash_is_whole && !result->map_problem)
        result->map_problem = g_strdup_printf(
            "its hash of blocks %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " is damaged",
            page * MAP_PAGE_BLOCKS, (page + 1) * MAP_PAGE_BLOCKS - 1);
    return TRUE;
}

static gboolean verify_pages(struct reading *reading, struct expected_map *map,
                             struct verify_disk *result, GError **error)
{
    guint64 page_count = block_map_page_count(reading->disk->size_bytes);
    g_autofree struct block_hash *pages = g_new(struct block_hash, page_count);
    for (guint64 page = 0; page < page_count; page++) {
        struct block_hash found[MAP_PAGE_BLOCKS];
        if (!read_page(reading, page, found, error))
            return FALSE;
        pages[page] = block_map_page_hash(found);
        if (map && !judge_page(map, page, found, result, error))
            return FALSE;
    }
    result->found =
        block_map_root(pages, page_count, reading->disk->size_bytes, reading->disk->seed);
    result->recorded = reading->disk->root_hash;
    result->proven = block_hash_equal(&result->found, &result->recorded);
    result->read_bytes = reading->read_bytes;
    return TRUE;
}

/* Everything of the chain that is not data. The first problem is kept. */
static void check_files(const struct reading *reading, const struct store_machine *machine,
                        GHashTable *checked, struct verify_disk *result)
{
    const GPtrArray *names = layer_chain_names(reading->chain);
    g_autofree char *folder = store_machine_disk_folder(machine, reading->disk->name);
    for (guint i = 0; i + 1 < names->len; i++) { /* the last is the base: data only */
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        g_autoptr(GError) problem = NULL;
        if (checked && g_hash_table_contains(checked, path))
            continue;
        if (layer_check(folder, names->pdata[i], &problem)) {
            if (checked)
                g_hash_table_add(checked, g_steal_pointer(&path));
        } else if (!result->file_problem) {
            result->file_problem = g_strdup(problem->message);
        }
    }
}

/* A cycle that committed meanwhile has changed the map: it is not the one we compared with. */
static void forget_map_problem(struct verify_disk *result)
{
    g_clear_pointer(&result->map_problem, g_free);
    g_array_set_size(result->faults, 0);
    result->fault_count = 0;
}

/* Where the replica is whole, it is the map that has another word on a block. */
static void name_map_fault(struct verify_disk *result)
{
    if (!result->proven || result->fault_count == 0)
        return;
    g_free(result->map_problem);
    result->map_problem =
        g_strdup_printf("the replica is whole, the map's entry of block %" G_GUINT64_FORMAT
                        " is not (%" G_GUINT64_FORMAT " such entries)",
                        g_array_index(result->faults, guint64, 0), result->fault_count);
}

static struct verify_disk *verify_one(const struct store_machine *machine,
                                      const struct manifest_disk *disk,
                                      const struct verify_observer *observer, GHashTable *checked,
                                      const gint *cancelled, GError **error)
{
    struct reading reading = {.disk = disk, .observer = observer, .cancelled = cancelled};
    struct verify_disk *result = g_new0(struct verify_disk, 1);
    result->name = g_strdup(disk->name);
    result->size_bytes = disk->size_bytes;
    result->faults = g_array_new(FALSE, FALSE, sizeof(guint64));
    struct expected_map *map = open_map(machine, disk, result);
    gboolean ok =
        reading_open(&reading, machine, error) && verify_pages(&reading, map, result, error);
    if (ok)
        check_files(&reading, machine, checked, result);
    reading_close(&reading);
    expected_map_free(map);
    if (!ok) {
        g_prefix_error(error, "disk %s: ", disk->name);
        verify_disk_free(result);
        return NULL;
    }
    name_map_fault(result);
    if (result->proven && result->map_problem && store_machine_is_outdated(machine))
        forget_map_problem(result);
    return result;
}

GPtrArray *verify_recovery_point(const struct store_machine *machine,
                                 const struct manifest *manifest,
                                 const struct verify_observer *observer, GHashTable *checked,
                                 const gint *cancelled, GError **error)
{
    struct store_pin *pin = store_pin_take(machine, manifest->number, error);
    if (!pin)
        return NULL;
    GPtrArray *results = g_ptr_array_new_with_free_func((GDestroyNotify)verify_disk_free);
    const struct manifest *held = store_pin_manifest(pin);
    for (guint i = 0; i < held->disks->len; i++) {
        struct verify_disk *result =
            verify_one(machine, held->disks->pdata[i], observer, checked, cancelled, error);
        if (!result) {
            g_clear_pointer(&results, g_ptr_array_unref);
            break;
        }
        g_ptr_array_add(results, result);
    }
    store_pin_free(pin);
    return results;
}

/* --- a new map from the replica ------------------------------------------------------------------
 */

static gboolean fill_map(struct reading *reading, struct block_map *map, GError **error)
{
    guint64 count = block_count(reading->disk->size_bytes);
    for (guint64 page = 0; page < block_map_page_count(reading->disk->size_bytes); page++) {
        struct block_hash hashes[MAP_PAGE_BLOCKS];
        guint64 first = page * MAP_PAGE_BLOCKS;
        if (!read_page(reading, page, hashes, error))
            return FALSE;
        if (!bytes_are_zero(hashes, sizeof hashes) &&
            !block_map_write(map, first, (gsize)MIN(MAP_PAGE_BLOCKS, count - first), hashes, error))
            return FALSE;
    }
    return block_map_rehash(map, NULL, error);
}

static gboolean map_is_proven(const struct block_map *map, const struct manifest_disk *disk,
                              GError **error)
{
    guint64 page_count;
    g_autofree struct block_hash *pages = block_map_load_page_hashes(map, &page_count, error);
    if (!pages)
        return FALSE;
    struct block_hash root = block_map_root(pages, page_count, disk->size_bytes, disk->seed);
    if (block_hash_equal(&root, &disk->root_hash))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                       "verify the older recovery points: the last whole one is what to go back to",
                       "the replica is not what its latest recovery point recorded; the block map "
                       "stays as it is");
    return FALSE;
}

gboolean verify_rebuild_block_map(const struct store_machine *machine,
                                  const struct manifest_disk *disk,
                                  const struct verify_observer *observer, const gint *cancelled,
                                  GError **error)
{
    struct reading reading = {.disk = disk, .observer = observer, .cancelled = cancelled};
    g_autofree char *path = store_machine_disk_file(machine, disk->name, BLOCK_MAP_NAME);
    g_autofree char *fresh = g_strconcat(path, ".tmp", NULL);
    g_autofree char *folder = store_machine_disk_folder(machine, disk->name);
    g_assert(machine->lock);
    struct block_map *map = block_map_create(fresh, disk->size_bytes, disk->seed, error);
    gboolean ok = map && reading_open(&reading, machine, error) && fill_map(&reading, map, error) &&
                  map_is_proven(map, disk, error) && block_map_seal(map, disk->generation, error);
    reading_close(&reading);
    block_map_free(map);
    if (ok && rename(fresh, path) < 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot rename to %s",
                                 path);
        ok = FALSE;
    }
    if (!ok) {
        store_file_remove(fresh, NULL);
        g_prefix_error(error, "disk %s: ", disk->name);
        return FALSE;
    }
    return store_folder_sync(folder, error);
}
