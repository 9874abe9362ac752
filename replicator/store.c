/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/store.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/sealed-json.h"
#include "replicator/store-file.h"
#include "replicator/store-hand-over.h"
#include "replicator/store-hold.h"
#include "replicator/store-name.h"
#include "replicator/store-recover.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define STORE_FILE "store.json"
#define MACHINE_FILE "machine.json"
#define MANIFESTS_FOLDER "recovery-points"
#define DISKS_FOLDER "disks"
#define STORE_ID_DIGITS 12u
#define LOCK_WAIT_MS 1000u

static const struct sealed_kind store_kind = {
    .noun = "store file",
    .format = "landfall-store",
    .version = 2,
    .hint = "bring the file back from a backup: its id is in the names of what cycles of this "
            "store made on hosts",
};
static const struct sealed_kind machine_kind = {
    .noun = "machine description",
    .format = "landfall-machine",
    .version = 2,
    .hint = "run a cycle, which writes the file anew; recovery points do not need it",
};

/* --- the store's own file ------------------------------------------------------------------------
 */

static gboolean store_file_create(const char *path, GError **error)
{
    g_autofree char *uuid = g_uuid_string_random();
    g_autoptr(JsonObject) object = json_object_new();
    g_autofree char *id = g_strdup_printf("%.8s%.4s", uuid, uuid + 9);
    json_object_set_string_member(object, "id", id);
    return sealed_json_write(path, &store_kind, object, error);
}

static char *store_id_load(const char *path, GError **error)
{
    const char *id;
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonObject) object = sealed_json_load(path, &store_kind, error);
    if (!object)
        return NULL;
    if (json_member_string(object, "id", LANDFALL_ERROR_CORRUPT, &id, &cause)) {
        if (strlen(id) == STORE_ID_DIGITS && store_name_is_safe(id))
            return g_strdup(id);
        landfall_error_set(&cause, LANDFALL_ERROR_CORRUPT, NULL, "member 'id' cannot be");
    }
    sealed_json_refuse(path, &store_kind, cause, error);
    return NULL;
}

/* A folder with other things in it becomes no store: a mistyped path must not fill a home. */
static gboolean folder_is_empty(const char *path, gboolean *ret_empty, GError **error)
{
    g_autoptr(GPtrArray) names = store_folder_list(path, error);
    if (!names)
        return FALSE;
    *ret_empty = TRUE;
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        /* A process killed while it made the store leaves the second name behind. */
        if (strcmp(name, "lost+found") != 0 && strcmp(name, STORE_FILE ".tmp") != 0)
            *ret_empty = FALSE;
    }
    return TRUE;
}

static gboolean store_create_locked(const char *path, const char *file, GError **error)
{
    gboolean exists, empty;
    if (!store_file_exists(file, &exists, error))
        return FALSE;
    if (exists)
        return TRUE; /* somebody else made it while we waited */
    if (!folder_is_empty(path, &empty, error))
        return FALSE;
    if (!empty) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "name an empty or a new folder, or an existing store",
                           "%s is not a Landfall store and not empty", path);
        return FALSE;
    }
    return store_file_create(file, error);
}

/* The folder's own name lasts before there is something in it to lose. A folder above that cannot
 * be read was not made for this store: the store's is older than this cycle. */
static gboolean store_folder_make(const char *path, GError **error)
{
    g_autofree char *above = g_path_get_dirname(path);
    return store_folder_create(path, error) &&
           (g_access(above, R_OK) != 0 || store_folder_sync(above, error));
}

/* Several first cycles may start at once: the folder itself is the lock. */
static gboolean store_create(const char *path, const char *file, GError **error)
{
    gboolean ok = FALSE;
    int fd =
        store_folder_make(path, error) ? store_file_open(path, O_RDONLY | O_DIRECTORY, error) : -1;
    if (fd < 0)
        return FALSE;
    if (store_file_lock(fd, FALSE, LOCK_WAIT_MS))
        ok = store_create_locked(path, file, error);
    else
        landfall_error_set_errno(error, LANDFALL_ERROR_CONFLICT, errno, "try again",
                                 "cannot have %s alone to make a store", path);
    close(fd);
    return ok;
}

struct store *store_open(const char *path, gboolean create, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    g_autofree char *file = g_build_filename(absolute, STORE_FILE, NULL);
    gboolean exists;
    if (!store_file_exists(file, &exists, error))
        return NULL;
    if (!exists) {
        if (create && !store_create(absolute, file, error))
            return NULL;
        if (!create) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                               "name the folder that was given to landfall cycle --store",
                               "%s is not a Landfall store", absolute);
            return NULL;
        }
    }
    g_autofree char *id = store_id_load(file, error);
    if (!id)
        return NULL;
    struct store *store = g_new0(struct store, 1);
    store->path = g_steal_pointer(&absolute);
    store->id = g_steal_pointer(&id);
    return store;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    g_free(store->path);
    g_free(store->id);
    g_free(store);
}

static int compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *store_list_machines(const struct store *store, GError **error)
{
    g_autoptr(GPtrArray) names = store_folder_list(store->path, error);
    if (!names)
        return NULL;
    GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        g_autofree char *manifests = g_build_filename(store->path, name, MANIFESTS_FOLDER, NULL);
        if (store_name_is_safe(name) && g_file_test(manifests, G_FILE_TEST_IS_DIR))
            g_ptr_array_add(keys, g_strdup(name));
    }
    g_ptr_array_sort(keys, compare_strings);
    return keys;
}

/* --- one machine ---------------------------------------------------------------------------------
 */

char *store_machine_disk_folder(const struct store_machine *machine, const char *disk)
{
    return g_build_filename(machine->path, DISKS_FOLDER, disk, NULL);
}

char *store_machine_disk_file(const struct store_machine *machine, const char *disk,
                              const char *file)
{
    return g_build_filename(machine->path, DISKS_FOLDER, disk, file, NULL);
}

char *store_machine_manifest_path(const struct store_machine *machine, guint64 number)
{
    g_autofree char *name = store_name_number(number, ".json");
    return g_build_filename(machine->path, MANIFESTS_FOLDER, name, NULL);
}

struct manifest *store_machine_latest(const struct store_machine *machine)
{
    guint count = machine->manifests->len;
    return count ? machine->manifests->pdata[count - 1] : NULL;
}

struct manifest *store_machine_find(const struct store_machine *machine, guint64 number)
{
    for (guint i = 0; i < machine->manifests->len; i++) {
        struct manifest *manifest = machine->manifests->pdata[i];
        if (manifest->number == number)
            return manifest;
    }
    return NULL;
}

struct manifest *store_machine_latest_with_disk(const struct store_machine *machine,
                                                const char *disk)
{
    for (guint i = machine->manifests->len; i > 0; i--) {
        struct manifest *manifest = machine->manifests->pdata[i - 1];
        if (manifest_disk_find(manifest, disk))
            return manifest;
    }
    return NULL;
}

static int compare_manifests(gconstpointer a, gconstpointer b)
{
    const struct manifest *x = *(struct manifest *const *)a, *y = *(struct manifest *const *)b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static gboolean manifests_load(struct store_machine *machine, GError **error)
{
    g_autofree char *path = g_build_filename(machine->path, MANIFESTS_FOLDER, NULL);
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) names = store_folder_list(path, error);
    if (!names)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        guint64 number;
        if (!store_name_parse_number(name, ".json", &number))
            continue;
        g_autofree char *file = g_build_filename(path, name, NULL);
        struct manifest *manifest = manifest_load(file, &cause);
        if (!manifest && !machine->lock && !g_file_test(file, G_FILE_TEST_EXISTS)) {
            g_clear_error(&cause); /* a reader without the lock: retention removed it just now */
            continue;
        }
        if (!manifest) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        g_ptr_array_add(machine->manifests, manifest);
        if (manifest->number != number || strcmp(manifest->machine, machine->key) != 0) {
            landfall_error_set(error, LANDFALL_ERROR_CORRUPT, "put the file back where it belongs",
                               "manifest %s is that of recovery point %" G_GUINT64_FORMAT
                               " of machine %s",
                               file, manifest->number, manifest->machine);
            return FALSE;
        }
    }
    g_ptr_array_sort(machine->manifests, compare_manifests);
    return TRUE;
}

gboolean store_machine_is_outdated(const struct store_machine *machine)
{
    g_autofree char *path = g_build_filename(machine->path, MANIFESTS_FOLDER, NULL);
    g_autoptr(GPtrArray) names = store_folder_list(path, NULL);
    const struct manifest *latest = store_machine_latest(machine);
    for (guint i = 0; names && i < names->len; i++) {
        guint64 number;
        if (store_name_parse_number(names->pdata[i], ".json", &number) &&
            (!latest || number > latest->number))
            return TRUE;
    }
    return FALSE;
}

static gboolean machine_folders_create(const struct store_machine *machine, GError **error)
{
    static const char *const names[] = {"", DISKS_FOLDER, MANIFESTS_FOLDER, HOLDS_FOLDER,
                                        CLONES_FOLDER};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(machine->path, names[i], NULL);
        if (!store_folder_create(path, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean machine_lock(struct store_machine *machine, GError **error)
{
    g_autofree char *lock = g_build_filename(machine->path, LOCK_NAME, NULL);
    machine->lock = store_lock_take(lock, LOCK_WAIT_MS, error);
    return machine->lock != NULL;
}

/* Whether it was handed over is asked before anything is made there, and again with the lock. */
static gboolean machine_prepare(struct store_machine *machine, enum store_mode mode,
                                GPtrArray *recovered, GError **error)
{
    if (mode != STORE_WRITE) {
        if (!g_file_test(machine->path, G_FILE_TEST_IS_DIR)) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                               "landfall store list shows the machines",
                               "the store has no machine '%s'", machine->key);
            return FALSE;
        }
        return (mode == STORE_READ || machine_lock(machine, error)) &&
               manifests_load(machine, error);
    }
    return store_hand_over_check(machine->path, error) && machine_folders_create(machine, error) &&
           machine_lock(machine, error) && store_hand_over_check(machine->path, error) &&
           manifests_load(machine, error) && store_recover(machine, recovered, error);
}
struct store_machine *store_machine_open(const struct store *store, const char *key,
                                         enum store_mode mode, GPtrArray *recovered, GError **error)
{
    if (!store_name_is_safe(key)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "use letters, digits, '.', '_' and '-', not starting with a dot",
                           "'%s' cannot be the name of a machine's folder", key);
        return NULL;
    }
    struct store_machine *machine = g_new0(struct store_machine, 1);
    machine->key = g_strdup(key);
    machine->path = g_build_filename(store->path, key, NULL);
    machine->manifests = g_ptr_array_new_with_free_func((GDestroyNotify)manifest_free);
    if (machine_prepare(machine, mode, recovered, error))
        return machine;
    store_machine_free(machine);
    return NULL;
}

void store_machine_free(struct store_machine *machine)
{
    if (!machine)
        return;
    store_lock_free(machine->lock);
    g_ptr_array_unref(machine->manifests);
    g_free(machine->key);
    g_free(machine->path);
    g_free(machine);
}

static char *description_path(const struct store *store, const char *key)
{
    return g_build_filename(store->path, key, MACHINE_FILE, NULL);
}

/* The machine's name as machine.json has it; NULL without an error where there is no such file:
 * its first cycle has not come to an end. */
static char *machine_name(const struct store *store, const char *key, GError **error)
{
    g_autofree char *path = description_path(store, key);
    const char *name = NULL;
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return NULL;
    g_autoptr(JsonObject) object = sealed_json_load(path, &machine_kind, error);
    if (object)
        json_optional_string(object, "name", LANDFALL_ERROR_CORRUPT, &name, error);
    return g_strdup(name);
}

/* Whoever asks by name may mean the machine whose name cannot be read. */
static gboolean no_such_machine(const char *name, const GError *damage, GError **error)
{
    if (damage)
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, "give the folder's name instead",
                           "the store has no machine '%s' that can be told: %s", name,
                           damage->message);
    else
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "landfall store list shows the machines",
                           "the store has no machine '%s'", name);
    return FALSE;
}

char *store_machine_resolve(const struct store *store, const char *name_or_key, GError **error)
{
    g_autoptr(GPtrArray) keys = store_list_machines(store, error);
    g_autoptr(GError) damage = NULL;
    g_autofree char *found = NULL;
    if (!keys)
        return NULL;
    for (guint i = 0; i < keys->len; i++) {
        const char *key = keys->pdata[i];
        if (strcmp(key, name_or_key) == 0)
            return g_strdup(key);
        g_autofree char *name = machine_name(store, key, damage ? NULL : &damage);
        if (g_strcmp0(name, name_or_key) != 0)
            continue;
        if (found) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG, "give the UUID instead",
                               "the store has more than one machine called '%s'", name_or_key);
            return NULL;
        }
        found = g_strdup(key);
    }
    if (!found)
        no_such_machine(name_or_key, damage, error);
    return g_steal_pointer(&found);
}

gboolean store_machine_describe(const struct store_machine *machine, JsonObject *object,
                                GError **error)
{
    g_autofree char *path = g_build_filename(machine->path, MACHINE_FILE, NULL);
    return sealed_json_write(path, &machine_kind, object, error);
}

JsonObject *store_machine_description(const struct store_machine *machine, GError **error)
{
    g_autofree char *path = g_build_filename(machine->path, MACHINE_FILE, NULL);
    return sealed_json_load(path, &machine_kind, error);
}

/* machine.json is there once a recovery point is, and is that of this folder. */
static gboolean check_description(const struct store_machine *machine, GError **error)
{
    const char *key;
    g_autoptr(GError) cause = NULL;
    g_autofree char *path = g_build_filename(machine->path, MACHINE_FILE, NULL);
    if (machine->manifests->len == 0 && !g_file_test(path, G_FILE_TEST_EXISTS))
        return TRUE;
    g_autoptr(JsonObject) object = sealed_json_load(path, &machine_kind, error);
    if (!object)
        return FALSE;
    if (json_member_string(object, "machine", LANDFALL_ERROR_CORRUPT, &key, &cause)) {
        if (strcmp(key, machine->key) == 0)
            return TRUE;
        landfall_error_set(&cause, LANDFALL_ERROR_CORRUPT, NULL, "it is that of machine %s", key);
    }
    sealed_json_refuse(path, &machine_kind, cause, error);
    return FALSE;
}

gboolean store_machine_check_files(const struct store_machine *machine, GError **error)
{
    g_autofree char *lock = g_build_filename(machine->path, LOCK_NAME, NULL);
    g_autofree char *cycle_lock = g_build_filename(machine->path, CYCLE_LOCK_NAME, NULL);
    g_autoptr(GPtrArray) holds = store_holds_list(machine, error);
    return holds && check_description(machine, error) && store_lock_check(lock, error) &&
           store_lock_check(cycle_lock, error);
}
