/* SPDX-License-Identifier: Apache-2.0 */

/* Merging the lowest layer L into the base, once no recovery point is the base alone:
 *
 *   1. base gets L's size and content      (L hides the base where they differ: nobody sees it)
 *   2. base is made durable
 *   3. layers that stand on L are rebased   (base and L read the same now)
 *   4. manifests that name L name the base
 *   5. L and its journal are removed
 *
 * A kill between any two leaves every recovery point readable with its own content; the next run
 * finds the base still unnamed and does all steps again, or, where a layer was rebased, those from
 * 3 on; or, after 4, it finds L unneeded at open. What was killed may not have synced what it had
 * done: each step makes durable what it relies on. A kill within 4 leaves L to the manifests that
 * still name it; it goes with the last of them. */

#include "replicator/store-retention.h"
#include "base/error.h"
#include "replicator/block-map.h"
#include "replicator/layer-reader.h"
#include "replicator/store-file.h"
#include "replicator/store-hold.h"
#include "replicator/store-name.h"
#include "replicator/store-recover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MERGE_WAIT_MS 60000

struct store_pin {
    int fd;                    /* of the recovery point's pin; -1: the store is read-only */
    int points_fd;             /* the folder of recovery points, locked so that merges wait */
    struct manifest *manifest; /* owned */
};

static char *pin_path(const struct store_machine *machine, guint64 number)
{
    g_autofree char *manifest = store_machine_manifest_path(machine, number);
    return g_strconcat(manifest, ".pin", NULL);
}

void store_pin_free(struct store_pin *pin)
{
    if (!pin)
        return;
    if (pin->fd >= 0)
        close(pin->fd);
    if (pin->points_fd >= 0)
        close(pin->points_fd);
    manifest_free(pin->manifest);
    g_free(pin);
}

const struct manifest *store_pin_manifest(const struct store_pin *pin)
{
    return pin->manifest;
}

/* The folder of the manifests, to be locked: shared by readers, alone by a merge. -1 on failure. */
static int open_points(const struct store_machine *machine, GError **error)
{
    g_autofree char *manifest = store_machine_manifest_path(machine, 1);
    g_autofree char *folder = g_path_get_dirname(manifest);
    return store_file_open(folder, O_RDONLY | O_DIRECTORY, error);
}

static gboolean wait_for_merge(const struct store_machine *machine, int *ret_fd, GError **error)
{
    *ret_fd = open_points(machine, error);
    if (*ret_fd < 0)
        return FALSE;
    if (store_file_lock(*ret_fd, TRUE, MERGE_WAIT_MS))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "try again when it has ended",
                       "recovery points of machine %s are being merged", machine->key);
    return FALSE;
}

/* Retention takes the pin exclusively before it removes the manifest, and the pin's file after. */
static gboolean hold_point(const struct store_machine *machine, guint64 number, int *ret_fd,
                           GError **error)
{
    g_autofree char *path = pin_path(machine, number);
    g_autofree char *manifest = store_machine_manifest_path(machine, number);
    struct stat linked;
    *ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (*ret_fd < 0 && errno != EROFS && errno != EACCES) {
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot pin %s",
                                 manifest);
        return FALSE;
    }
    gboolean held = *ret_fd < 0 || (flock(*ret_fd, LOCK_SH | LOCK_NB) == 0 &&
                                    fstat(*ret_fd, &linked) == 0 && linked.st_nlink > 0);
    if (held && g_file_test(manifest, G_FILE_TEST_EXISTS))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "choose a later recovery point",
                       "recovery point %" G_GUINT64_FORMAT " is being removed by retention",
                       number);
    return FALSE;
}

struct store_pin *store_pin_take(const struct store_machine *machine, guint64 number,
                                 GError **error)
{
    g_autofree char *manifest = store_machine_manifest_path(machine, number);
    struct store_pin *pin = g_new0(struct store_pin, 1);
    pin->fd = pin->points_fd = -1;
    if (wait_for_merge(machine, &pin->points_fd, error) &&
        hold_point(machine, number, &pin->fd, error) &&
        (pin->manifest = manifest_load(manifest, error)))
        return pin;
    store_pin_free(pin);
    return NULL;
}

/* Whether somebody holds the recovery point, or (0) any. */
static gboolean is_held(const struct store_machine *machine, guint64 number, gboolean *ret_held,
                        GError **error)
{
    g_autoptr(GPtrArray) holds = store_holds_list(machine, error);
    *ret_held = FALSE;
    for (guint i = 0; holds && i < holds->len; i++)
        *ret_held |= number == 0 || ((struct store_hold *)holds->pdata[i])->number == number;
    return holds != NULL;
}

/* Removes the manifest unless a reader has it, or somebody holds it. */
static gboolean retire(struct store_machine *machine, const struct manifest *manifest,
                       gboolean *ret_retired, GError **error)
{
    g_autofree char *pin = pin_path(machine, manifest->number);
    g_autofree char *path = store_machine_manifest_path(machine, manifest->number);
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = store_file_open(pin, O_RDWR | O_CREAT, error);
    if (fd < 0)
        return FALSE;
    gboolean held = FALSE, ok = TRUE;
    gboolean locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (locked)
        ok = is_held(machine, manifest->number, &held, error);
    *ret_retired = ok && locked && !held;
    if (*ret_retired)
        ok = store_file_remove(path, error) && store_file_remove(pin, error) &&
             store_folder_sync(folder, error);
    close(fd);
    return ok;
}

static gboolean retire_oldest(struct store_machine *machine, guint retain_count, GPtrArray *notes,
                              GError **error)
{
    while (machine->manifests->len > retain_count) {
        const struct manifest *oldest = machine->manifests->pdata[0];
        gboolean retired;
        if (!retire(machine, oldest, &retired, error))
            return FALSE;
        if (!retired) {
            store_note(notes, "recovery point %" G_GUINT64_FORMAT " is in use: kept for now",
                       oldest->number);
            return TRUE;
        }
        g_ptr_array_remove_index(machine->manifests, 0);
    }
    return TRUE;
}

gboolean store_retire_all(struct store_machine *machine, GError **error)
{
    if (!retire_oldest(machine, 0, NULL, error))
        return FALSE;
    const struct manifest *left = machine->manifests->len ? machine->manifests->pdata[0] : NULL;
    if (left && store_hold_check_none(machine, left->number, error))
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "try again when it is not in use",
                           "recovery point %" G_GUINT64_FORMAT " of machine %s is in use",
                           left->number, machine->key);
    return left == NULL;
}

/* The oldest manifest that has the disk, and whether any names the base itself. */
static const struct manifest_disk *oldest_entry(const struct store_machine *machine,
                                                const char *disk, gboolean *ret_base_named)
{
    const struct manifest_disk *oldest = NULL;
    *ret_base_named = FALSE;
    for (guint i = machine->manifests->len; i > 0; i--) {
        const struct manifest_disk *entry =
            manifest_disk_find(machine->manifests->pdata[i - 1], disk);
        if (!entry)
            continue;
        oldest = entry;
        if (strcmp(entry->layer, BASE_NAME) == 0)
            *ret_base_named = TRUE;
    }
    return oldest;
}

static gboolean copy_block(struct layer *layer, guint64 block, int base_fd, const char *base,
                           void *buffer, GError **error)
{
    enum layer_cluster kind;
    guint64 offset = 0, at = block * BLOCK_BYTES;
    gsize length = block_length(layer_disk_bytes(layer), block);
    if (!layer_lookup(layer, block, &kind, &offset, error))
        return FALSE;
    if (kind == LAYER_CLUSTER_ZERO)
        return store_file_punch(base_fd, base, at, length, error);
    return kind == LAYER_CLUSTER_ABSENT ||
           (layer_read(layer, offset, buffer, length, error) &&
            store_file_write(base_fd, base, buffer, length, at, error));
}

static gboolean is_cancelled(const gint *cancelled, GError **error)
{
    if (!g_atomic_int_get(cancelled))
        return FALSE;
    landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
    return TRUE;
}

/* Steps 1 and 2. */
static gboolean copy_layer(const char *folder, const char *name, const gint *cancelled,
                           GError **error)
{
    g_autofree char *base = g_build_filename(folder, BASE_NAME, NULL);
    g_autofree void *buffer = g_malloc(BLOCK_BYTES);
    struct layer *layer = layer_open(folder, name, error);
    int fd = layer ? store_file_open(base, O_RDWR, error) : -1;
    gboolean ok = fd >= 0 && store_file_truncate(fd, base, layer_disk_bytes(layer), error);
    if (ok) {
        guint64 end = block_count(layer_disk_bytes(layer));
        for (guint64 block = layer_next_present(layer, 0); ok && block < end;
             block = layer_next_present(layer, block + 1))
            ok = !is_cancelled(cancelled, error) &&
                 copy_block(layer, block, fd, base, buffer, error);
        ok = ok && store_file_sync_size(fd, base, error);
    }
    if (fd >= 0)
        close(fd);
    layer_free(layer);
    return ok;
}

/* The layers that recovery points need and that stand on a file, but for one of them. The caller
 * owns the array and the names. */
static GPtrArray *layers_on(const struct store_machine *machine, const char *disk,
                            const char *backing, const char *but, GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, disk);
    g_autoptr(GHashTable) needed = store_needed_layers(machine, disk, error);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iterator;
    gpointer key;
    if (!needed)
        return NULL;
    g_hash_table_iter_init(&iterator, needed);
    while (g_hash_table_iter_next(&iterator, &key, NULL)) {
        if (strcmp(key, BASE_NAME) == 0 || strcmp(key, but) == 0)
            continue;
        struct layer *layer = layer_open(folder, key, error);
        if (!layer)
            return NULL;
        if (strcmp(layer_backing_name(layer), backing) == 0)
            g_ptr_array_add(names, g_strdup(key));
        layer_free(layer);
    }
    return g_steal_pointer(&names);
}

/* Step 3. rebased: those that a killed process has rebased, and that may not be durable. */
static gboolean rebase_above(const struct store_machine *machine, const char *disk,
                             const char *name, const GPtrArray *rebased, GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, disk);
    g_autoptr(GPtrArray) above = layers_on(machine, disk, name, name, error);
    for (guint i = 0; i < rebased->len; i++)
        if (!store_layer_sync(folder, rebased->pdata[i], error))
            return FALSE;
    for (guint i = 0; above && i < above->len; i++)
        if (!layer_rebase(folder, above->pdata[i], BASE_NAME, "raw", error))
            return FALSE;
    return above != NULL;
}

static gboolean layer_size(const char *folder, const char *name, guint64 *ret_disk_bytes,
                           GError **error)
{
    struct layer *layer = layer_open(folder, name, error);
    if (layer)
        *ret_disk_bytes = layer_disk_bytes(layer);
    layer_free(layer);
    return layer != NULL;
}

/* Step 4. */
static gboolean rename_in_manifests(struct store_machine *machine, const char *disk,
                                    const char *name, guint64 disk_bytes, GError **error)
{
    for (guint i = 0; i < machine->manifests->len; i++) {
        struct manifest *manifest = machine->manifests->pdata[i];
        struct manifest_disk *entry = manifest_disk_find(manifest, disk);
        if (!entry || strcmp(entry->layer, name) != 0)
            continue;
        g_autofree char *path = store_machine_manifest_path(machine, manifest->number);
        g_free(entry->layer);
        entry->layer = g_strdup(BASE_NAME);
        entry->layer_bytes = disk_bytes;
        if (!manifest_write(manifest, path, error))
            return FALSE;
    }
    return TRUE;
}

/* Step 5. The block map must not need the journal any more. */
static gboolean remove_layer(const struct store_machine *machine, const char *disk,
                             const char *name, GError **error)
{
    guint64 number = 0;
    store_name_parse_number(name, ".qcow2", &number);
    g_autofree char *journal_name = store_name_number(number, ".journal");
    g_autofree char *journal = store_machine_disk_file(machine, disk, journal_name);
    g_autofree char *layer = store_machine_disk_file(machine, disk, name);
    return store_file_remove(layer, error) && store_file_remove(journal, error);
}

/* Merges the lowest layer where that is due; *ret_merged tells whether there was one. */
static gboolean merge_lowest(struct store_machine *machine, const char *disk, const gint *cancelled,
                             gboolean *ret_merged, GError **error)
{
    gboolean base_named;
    guint64 disk_bytes = 0;
    const struct manifest_disk *oldest = oldest_entry(machine, disk, &base_named);
    *ret_merged = FALSE;
    if (!oldest || base_named)
        return TRUE;
    g_autofree char *folder = store_machine_disk_folder(machine, disk);
    struct layer_chain *chain = layer_chain_open(folder, oldest->layer, error);
    if (!chain)
        return FALSE;
    const GPtrArray *names = layer_chain_names(chain);
    g_autofree char *lowest = g_strdup(names->pdata[names->len - 2]);
    layer_chain_free(chain);
    *ret_merged = TRUE;
    /* A layer that stands on the base already is read with what is in there: it was durable before,
     * and is not written again. */
    g_autoptr(GPtrArray) rebased = layers_on(machine, disk, BASE_NAME, lowest, error);
    return rebased && layer_size(folder, lowest, &disk_bytes, error) &&
           (rebased->len > 0 || copy_layer(folder, lowest, cancelled, error)) &&
           rebase_above(machine, disk, lowest, rebased, error) &&
           rename_in_manifests(machine, disk, lowest, disk_bytes, error) &&
           remove_layer(machine, disk, lowest, error);
}

/* The journals that merging removes must have reached the block map, and that the disk. */
static gboolean map_is_current(const struct store_machine *machine, const char *disk,
                               GError **error)
{
    const struct manifest *latest = store_machine_latest_with_disk(machine, disk);
    if (!latest)
        return TRUE;
    struct block_map *map = store_map_open(machine, manifest_disk_find(latest, disk), error);
    gboolean ok = map && block_map_sync(map, error);
    block_map_free(map);
    return ok;
}

/* Merges all that is due of a disk. */
static gboolean merge_disk(struct store_machine *machine, const char *disk, const gint *cancelled,
                           GError **error)
{
    gboolean merged = TRUE, base_named;
    if (!oldest_entry(machine, disk, &base_named) || base_named)
        return TRUE;
    if (!map_is_current(machine, disk, error))
        return FALSE;
    while (merged) {
        if (!merge_lowest(machine, disk, cancelled, &merged, error)) {
            g_prefix_error(error, "disk %s: ", disk);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean merge_all(struct store_machine *machine, gboolean retired, const gint *cancelled,
                          GPtrArray *notes, GError **error)
{
    g_autoptr(GPtrArray) disks = store_disk_folders(machine, error);
    for (guint i = 0; disks && i < disks->len; i++)
        if (!merge_disk(machine, disks->pdata[i], cancelled, error) ||
            (retired && !store_remove_unneeded(machine, disks->pdata[i], notes, error)))
            return FALSE;
    return disks != NULL;
}

gboolean store_retain(struct store_machine *machine, guint retain_count, const gint *cancelled,
                      GPtrArray *notes, GError **error)
{
    g_assert(machine->lock && retain_count >= 1);
    guint count_before = machine->manifests->len;
    gboolean ok = TRUE;
    if (!retire_oldest(machine, retain_count, notes, error))
        return FALSE;
    /* A reader may open files of its chain by name at any time, as QEMU does when a test is started
     * once more: either readers or a merge. */
    int fd = open_points(machine, error);
    if (fd < 0)
        return FALSE;
    gboolean held = TRUE;
    if (store_file_lock(fd, FALSE, 0))
        ok = is_held(machine, 0, &held, error);
    if (ok && held)
        store_note(notes, "a recovery point is in use: merging waits");
    else if (ok)
        ok = merge_all(machine, machine->manifests->len < count_before, cancelled, notes, error);
    close(fd);
    return ok;
}
