/* SPDX-License-Identifier: Apache-2.0 */

/* A hold is a file, MACHINE/pins/OWNER.json: { "owner": TEXT, "recovery_point": N }. It is written
 * while the recovery point is pinned, so retention either has removed that before, or finds the
 * file: it looks after it has locked. */

#include "replicator/store-hold.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/sealed-json.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"
#include "replicator/store-retention.h"

#include <string.h>

#define SUFFIX ".json"

static const struct sealed_kind hold_kind = {
    .noun = "pin",
    .format = "landfall-pin",
    .version = 1,
    .hint = "see in the folder clones beside it who needs which layers; if nobody does, remove the "
            "file",
};

static void hold_free(struct store_hold *hold)
{
    g_free(hold->owner);
    g_free(hold);
}

static char *holds_folder(const struct store_machine *machine)
{
    return g_build_filename(machine->path, HOLDS_FOLDER, NULL);
}

static char *hold_path(const struct store_machine *machine, const char *owner)
{
    g_autofree char *name = g_strconcat(owner, SUFFIX, NULL);
    return g_build_filename(machine->path, HOLDS_FOLDER, name, NULL);
}

char *store_hold_folder(const struct store_machine *machine, const char *owner)
{
    return g_build_filename(machine->path, CLONES_FOLDER, owner, NULL);
}

static gboolean owner_check(const char *owner, GError **error)
{
    if (store_name_is_safe(owner))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "use letters, digits, '.', '_' and '-', not starting with a dot",
                       "'%s' cannot be the name of a pin", owner);
    return FALSE;
}

static struct store_hold *hold_load(const char *path, GError **error)
{
    const char *owner;
    guint64 number;
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonObject) object = sealed_json_load(path, &hold_kind, error);
    if (!object)
        return NULL;
    if (!json_member_string(object, "owner", LANDFALL_ERROR_CORRUPT, &owner, &cause) ||
        !json_member_uint(object, "recovery_point", LANDFALL_ERROR_CORRUPT, &number, &cause)) {
        sealed_json_refuse(path, &hold_kind, cause, error);
        return NULL;
    }
    struct store_hold *hold = g_new0(struct store_hold, 1);
    hold->owner = g_strdup(owner);
    hold->number = number;
    return hold;
}

/* Names in a folder that may not be there. */
static GPtrArray *list_if_there(const char *folder, GError **error)
{
    gboolean exists;
    if (!store_file_exists(folder, &exists, error))
        return NULL;
    return exists ? store_folder_list(folder, error) : g_ptr_array_new();
}

GPtrArray *store_holds_list(const struct store_machine *machine, GError **error)
{
    g_autofree char *folder = holds_folder(machine);
    g_autoptr(GPtrArray) names = list_if_there(folder, error);
    g_autoptr(GPtrArray) holds = g_ptr_array_new_with_free_func((GDestroyNotify)hold_free);
    for (guint i = 0; names && i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        g_autoptr(GError) cause = NULL;
        if (!g_str_has_suffix(names->pdata[i], SUFFIX))
            continue;
        struct store_hold *hold = hold_load(path, &cause);
        gboolean exists = TRUE;
        if (!hold && store_file_exists(path, &exists, NULL) && !exists)
            continue; /* dropped just now */
        if (!hold) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        g_ptr_array_add(holds, hold);
    }
    return names ? g_steal_pointer(&holds) : NULL;
}

static gboolean hold_write(const struct store_machine *machine, const char *path, guint64 number,
                           const char *owner, GError **error)
{
    g_autofree char *folder = holds_folder(machine);
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_string_member(object, "owner", owner);
    json_object_set_int_member(object, "recovery_point", (gint64)number);
    return store_folder_create(folder, error) && store_folder_sync(machine->path, error) &&
           sealed_json_write(path, &hold_kind, object, error);
}

/* The owner's hold as it is: TRUE with *ret_hold NULL when there is none. */
static gboolean find_hold(const char *path, struct store_hold **ret_hold, GError **error)
{
    gboolean exists;
    if (!store_file_exists(path, &exists, error))
        return FALSE;
    *ret_hold = exists ? hold_load(path, error) : NULL;
    return !exists || *ret_hold;
}

gboolean store_hold_set(const struct store_machine *machine, guint64 number, const char *owner,
                        GError **error)
{
    struct store_hold *before = NULL;
    g_autofree char *path = hold_path(machine, owner);
    if (!owner_check(owner, error) || !find_hold(path, &before, error))
        return FALSE;
    guint64 held = before ? before->number : 0;
    g_clear_pointer(&before, hold_free);
    if (held == number)
        return TRUE;
    if (held) {
        landfall_error_set(
            error, LANDFALL_ERROR_CONFLICT, "clean up what it made of that one first",
            "operation %s holds recovery point %" G_GUINT64_FORMAT " already", owner, held);
        return FALSE;
    }
    struct store_pin *pin = store_pin_take(machine, number, error);
    gboolean ok = pin && hold_write(machine, path, number, owner, error);
    store_pin_free(pin);
    return ok;
}

gboolean store_hold_drop(const struct store_machine *machine, const char *owner, GError **error)
{
    g_autofree char *path = hold_path(machine, owner);
    g_autofree char *folder = holds_folder(machine);
    gboolean exists;
    if (!owner_check(owner, error) || !store_file_exists(path, &exists, error))
        return FALSE;
    return !exists || (store_file_remove(path, error) && store_folder_sync(folder, error));
}

static gboolean refuse(const struct store_machine *machine, const char *owner, guint64 number,
                       GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "a machine was started from it: clean up the test, or end the migration",
                       "recovery point %" G_GUINT64_FORMAT " of machine %s is held by operation %s",
                       number, machine->key, owner);
    return FALSE;
}

static gboolean has_no_images(const struct store_machine *machine, GError **error)
{
    g_autofree char *folder = g_build_filename(machine->path, CLONES_FOLDER, NULL);
    g_autoptr(GPtrArray) names = list_if_there(folder, error);
    if (names && names->len > 0)
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "what a machine wrote lies there: remove it when nobody needs it",
                           "machine %s has images of operation %s in %s", machine->key,
                           (const char *)names->pdata[0], folder);
    return names && names->len == 0;
}

gboolean store_hold_check_none(const struct store_machine *machine, guint64 number, GError **error)
{
    g_autoptr(GPtrArray) holds = store_holds_list(machine, error);
    for (guint i = 0; holds && i < holds->len; i++) {
        const struct store_hold *hold = holds->pdata[i];
        if (number == 0 || hold->number == number)
            return refuse(machine, hold->owner, hold->number, error);
    }
    return holds && (number || has_no_images(machine, error));
}
