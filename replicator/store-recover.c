/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/store-recover.h"
#include "base/error.h"
#include "replicator/layer-reader.h"
#include "replicator/map-journal.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void store_note(GPtrArray *notes, const char *format, ...)
{
    va_list arguments;
    if (!notes)
        return;
    va_start(arguments, format);
    g_ptr_array_add(notes, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

GPtrArray *store_disk_folders(const struct store_machine *machine, GError **error)
{
    g_autofree char *path = store_machine_disk_folder(machine, NULL);
    g_autoptr(GPtrArray) names = store_folder_list(path, error);
    if (!names)
        return NULL;
    GPtrArray *disks = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *folder = g_build_filename(path, names->pdata[i], NULL);
        if (store_name_is_safe(names->pdata[i]) && g_file_test(folder, G_FILE_TEST_IS_DIR))
            g_ptr_array_add(disks, g_strdup(names->pdata[i]));
    }
    return disks;
}

/* A named layer has the size its manifest recorded, or it is not what was committed. */
static gboolean layer_size_check(const struct store_machine *machine,
                                 const struct manifest *manifest, const struct manifest_disk *disk,
                                 GError **error)
{
    struct stat status;
    g_autofree char *path = store_machine_disk_file(machine, disk->name, disk->layer);
    gboolean there = stat(path, &status) == 0;
    if (there && (guint64)status.st_size == disk->layer_bytes)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                       "bring the file back from a backup, or move the manifests that need it out "
                       "of the store",
                       "layer %s of recovery point %" G_GUINT64_FORMAT " %s", path,
                       manifest->number,
                       there ? "does not have the size it was committed with" : "is missing");
    return FALSE;
}

static gboolean file_is_there(const char *path, GError **error)
{
    gboolean exists;
    if (!store_file_exists(path, &exists, error))
        return FALSE;
    if (!exists)
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, "bring the file back from a backup",
                           "%s is missing", path);
    return exists;
}

/* Adds the names below top to needed, until one is there already. */
static gboolean add_chain(GHashTable *needed, const char *folder, const char *top, GError **error)
{
    g_autofree char *name = g_strdup(top);
    while (!g_hash_table_contains(needed, name)) {
        g_hash_table_add(needed, g_strdup(name));
        if (strcmp(name, BASE_NAME) == 0) {
            g_autofree char *base = g_build_filename(folder, BASE_NAME, NULL);
            return file_is_there(base, error);
        }
        struct layer *layer = layer_open(folder, name, error);
        if (!layer)
            return FALSE;
        g_free(name);
        name = g_strdup(layer_backing_name(layer));
        layer_free(layer);
    }
    return TRUE;
}

static gboolean disk_is_there(const struct store_machine *machine, const struct manifest *manifest,
                              const struct manifest_disk *disk, GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, disk->name);
    g_autofree char *map = store_machine_disk_file(machine, disk->name, BLOCK_MAP_NAME);
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return layer_size_check(machine, manifest, disk, error) &&
           add_chain(names, folder, disk->layer, error) && file_is_there(map, error);
}

gboolean store_check_named(const struct store_machine *machine, const struct manifest *manifest,
                           GError **error)
{
    g_autoptr(GError) cause = NULL;
    for (guint i = 0; i < manifest->disks->len; i++) {
        if (disk_is_there(machine, manifest, manifest->disks->pdata[i], &cause))
            continue;
        landfall_error_set(error, LANDFALL_ERROR_REPLICA,
                           "find out what takes files out of the store, then run the cycle again",
                           "nothing is committed, the store was changed meanwhile: %s",
                           cause->message);
        return FALSE;
    }
    return TRUE;
}

GHashTable *store_needed_layers(const struct store_machine *machine, const char *disk,
                                GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, disk);
    GHashTable *needed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < machine->manifests->len; i++) {
        const struct manifest *manifest = machine->manifests->pdata[i];
        const struct manifest_disk *entry = manifest_disk_find(manifest, disk);
        if (entry && (!layer_size_check(machine, manifest, entry, error) ||
                      !add_chain(needed, folder, entry->layer, error))) {
            g_hash_table_unref(needed);
            return NULL;
        }
    }
    return needed;
}

/* Whether a file of a disk's folder is ours and not needed. Files with other names are the
 * operator's and stay. */
static gboolean is_leftover(const char *name, GHashTable *needed)
{
    guint64 number;
    gboolean unnamed = g_hash_table_size(needed) == 0;
    if (strcmp(name, BLOCK_MAP_NAME ".tmp") == 0)
        return TRUE;
    if (strcmp(name, BLOCK_MAP_NAME) == 0)
        return unnamed;
    if (store_name_parse_number(name, ".qcow2", &number))
        return !g_hash_table_contains(needed, name);
    if (store_name_parse_number(name, ".journal", &number)) {
        g_autofree char *layer = store_name_number(number, ".qcow2");
        return !g_hash_table_contains(needed, layer);
    }
    return FALSE;
}

/* A process that was killed right after it had renamed or removed a manifest left that in the page
 * cache: what only the disk's manifests need must not go before, nor may the block map go further
 * than they do. */
static gboolean sync_manifests(const struct store_machine *machine, GError **error)
{
    g_autofree char *path = store_machine_manifest_path(machine, 1);
    g_autofree char *folder = g_path_get_dirname(path);
    return store_folder_sync(folder, error);
}

gboolean store_layer_sync(const char *folder, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    int fd = store_file_open(path, O_RDWR, error);
    gboolean ok = fd >= 0 && store_file_sync(fd, path, error);
    if (fd >= 0)
        close(fd);
    return ok;
}

/* The same of the headers of layers that it has rebased. */
static gboolean sync_layers(const char *folder, GHashTable *needed, GError **error)
{
    GHashTableIter iterator;
    gpointer name;
    gboolean ok = TRUE;
    g_hash_table_iter_init(&iterator, needed);
    while (ok && g_hash_table_iter_next(&iterator, &name, NULL))
        ok = strcmp(name, BASE_NAME) == 0 || store_layer_sync(folder, name, error);
    return ok;
}

static gboolean remove_leftovers(const struct store_machine *machine, const char *disk,
                                 GHashTable *needed, GPtrArray *notes, GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, disk);
    g_autoptr(GPtrArray) names = store_folder_list(folder, error);
    gboolean synced = FALSE;
    if (!names)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        if (!is_leftover(name, needed))
            continue;
        if (!synced && (!sync_manifests(machine, error) || !sync_layers(folder, needed, error)))
            return FALSE;
        synced = TRUE;
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (!store_file_remove(path, error))
            return FALSE;
        store_note(notes, "disk %s: removed %s, which no recovery point needs", disk, name);
    }
    return TRUE;
}

gboolean store_remove_unneeded(const struct store_machine *machine, const char *disk,
                               GPtrArray *notes, GError **error)
{
    g_autoptr(GHashTable) needed = store_needed_layers(machine, disk, error);
    return needed && remove_leftovers(machine, disk, needed, notes, error);
}

/* Whether a file beside the manifests was left by a kill: one half written, or the pin of a
 * recovery point that has gone. */
static gboolean is_stray(const char *file, gboolean *ret_stray, GError **error)
{
    gboolean pinned_exists;
    *ret_stray = g_str_has_suffix(file, ".json.tmp");
    if (!g_str_has_suffix(file, ".json.pin"))
        return TRUE;
    g_autofree char *pinned = g_strndup(file, strlen(file) - strlen(".pin"));
    if (!store_file_exists(pinned, &pinned_exists, error))
        return FALSE;
    *ret_stray = !pinned_exists;
    return TRUE;
}

/* Half-written manifests and descriptions, and pins of nothing. */
static gboolean remove_strays(const struct store_machine *machine, const char *folder,
                              GPtrArray *notes, GError **error)
{
    g_autofree char *path = g_build_filename(machine->path, folder, NULL);
    g_autoptr(GPtrArray) names = store_folder_list(path, error);
    if (!names)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        g_autofree char *file = g_build_filename(path, name, NULL);
        gboolean stray;
        if (!is_stray(file, &stray, error))
            return FALSE;
        if (!stray)
            continue;
        if (!store_file_remove(file, error))
            return FALSE;
        store_note(notes, "removed %s, left by a process that was killed", name);
    }
    return TRUE;
}

/* Adds the disks of manifests that have no folder any more: that must be found out, too. */
static void add_named_disks(const struct store_machine *machine, GPtrArray *disks)
{
    for (guint i = 0; i < machine->manifests->len; i++) {
        const struct manifest *manifest = machine->manifests->pdata[i];
        for (guint k = 0; k < manifest->disks->len; k++) {
            const struct manifest_disk *disk = manifest->disks->pdata[k];
            if (!g_ptr_array_find_with_equal_func(disks, disk->name, g_str_equal, NULL))
                g_ptr_array_add(disks, g_strdup(disk->name));
        }
    }
}

gboolean store_recover(struct store_machine *machine, GPtrArray *notes, GError **error)
{
    g_autoptr(GPtrArray) disks = store_disk_folders(machine, error);
    g_autoptr(GPtrArray) needed =
        g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);
    if (!disks)
        return FALSE;
    add_named_disks(machine, disks);
    for (guint i = 0; i < disks->len; i++) { /* everything is checked before anything is removed */
        GHashTable *names = store_needed_layers(machine, disks->pdata[i], error);
        if (!names)
            return FALSE;
        g_ptr_array_add(needed, names);
    }
    for (guint i = 0; i < disks->len; i++)
        if (!remove_leftovers(machine, disks->pdata[i], needed->pdata[i], notes, error))
            return FALSE;
    return remove_strays(machine, "recovery-points", notes, error) &&
           remove_strays(machine, HOLDS_FOLDER, notes, error) &&
           remove_strays(machine, "", notes, error);
}

gboolean store_forget_partial_disks(struct store_machine *machine, const char *const *names,
                                    GPtrArray *notes, GError **error)
{
    g_autoptr(GPtrArray) disks = store_disk_folders(machine, error);
    if (!disks)
        return FALSE;
    for (guint i = 0; i < disks->len; i++) {
        const char *disk = disks->pdata[i];
        if (g_strv_contains(names, disk) || store_machine_latest_with_disk(machine, disk))
            continue;
        g_autofree char *base = store_machine_disk_file(machine, disk, BASE_NAME);
        g_autofree char *map = store_machine_disk_file(machine, disk, BLOCK_MAP_NAME);
        g_autofree char *folder = store_machine_disk_folder(machine, disk);
        if (!store_file_remove(base, error) || !store_file_remove(map, error))
            return FALSE;
        if (rmdir(folder) == 0)
            store_note(notes, "disk %s: removed its replica, no recovery point has it", disk);
    }
    return TRUE;
}

/* A file put under another's name is whole, and wrong. */
static gboolean journal_leads_to(const struct map_journal *journal, guint64 number,
                                 const char *path, GError **error)
{
    if (journal->generation == number)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, "put the file back where it belongs",
                       "map journal %s is that of recovery point %" G_GUINT64_FORMAT, path,
                       journal->generation);
    return FALSE;
}

static gboolean apply_pending(const struct store_machine *machine, const struct manifest_disk *disk,
                              struct block_map *map, GError **error)
{
    for (guint64 number = block_map_generation(map) + 1; number <= disk->generation; number++) {
        g_autofree char *name = store_name_number(number, ".journal");
        g_autofree char *path = store_machine_disk_file(machine, disk->name, name);
        gboolean exists;
        if (!store_file_exists(path, &exists, error))
            return FALSE;
        if (!exists)
            continue; /* a recovery point that did not change this disk */
        if (!sync_manifests(machine, error))
            return FALSE;
        struct map_journal *journal = map_journal_load(path, error);
        gboolean ok = journal && journal_leads_to(journal, number, path, error) &&
                      map_journal_apply(journal, map, error);
        map_journal_free(journal);
        if (!ok)
            return FALSE;
    }
    return TRUE;
}

static gboolean map_matches(const struct manifest_disk *disk, const struct block_map *map,
                            GError **error)
{
    guint64 page_count;
    if (!block_map_check(map, error))
        return FALSE;
    g_autofree struct block_hash *pages = block_map_load_page_hashes(map, &page_count, error);
    if (!pages)
        return FALSE;
    struct block_hash root =
        block_map_root(pages, page_count, block_map_disk_bytes(map), block_map_seed(map));
    if (block_map_generation(map) == disk->generation &&
        block_map_disk_bytes(map) == disk->size_bytes && block_map_seed(map) == disk->seed &&
        block_hash_equal(&root, &disk->root_hash))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, block_map_rebuild_hint(),
                       "block map %s does not belong to the latest recovery point of disk %s",
                       block_map_path(map), disk->name);
    return FALSE;
}

struct block_map *store_map_open(const struct store_machine *machine,
                                 const struct manifest_disk *disk, GError **error)
{
    g_autofree char *path = store_machine_disk_file(machine, disk->name, BLOCK_MAP_NAME);
    struct block_map *map = block_map_open(path, TRUE, error);
    if (map && apply_pending(machine, disk, map, error) && map_matches(disk, map, error))
        return map;
    block_map_free(map);
    return NULL;
}
