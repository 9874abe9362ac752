/* SPDX-License-Identifier: Apache-2.0 */

/* failover/lease.json, in a folder that recovery leaves alone: format, version and checksum as of
 * all sealed JSON; "token", "who", "since". */

#include "replicator/store-lease.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/sealed-json.h"
#include "replicator/store-file.h"

#define FOLDER "failover"
#define NAME "lease.json"
#define GUARD_NAME "lock"
#define LOCK_WAIT_MS 10000u

static const struct sealed_kind kind = {
    .noun = "lease",
    .format = "landfall-lease",
    .version = 1,
    .hint = "remove the file once you know that nobody moves the machine",
};

static char *path_of(const struct store *store, const char *key, const char *name)
{
    return g_build_filename(store->path, key, FOLDER, name, NULL);
}

/* The lock on the lease's file, whose folder is made where it is missing. */
static struct store_lock *guard(const struct store *store, const char *key, GError **error)
{
    g_autofree char *folder = g_build_filename(store->path, key, FOLDER, NULL);
    g_autofree char *path = path_of(store, key, GUARD_NAME);
    return store_folder_create(folder, error) ? store_lock_take(path, LOCK_WAIT_MS, error) : NULL;
}

/* *ret_holder is owned by the caller, NULL: nobody has it. */
static gboolean load(const char *path, JsonObject **ret_holder, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gboolean exists;
    *ret_holder = NULL;
    if (!store_file_exists(path, &exists, error))
        return FALSE;
    if (!exists)
        return TRUE;
    *ret_holder = sealed_json_load(path, &kind, &cause);
    /* It may have been given back in this moment. */
    if (*ret_holder || (store_file_exists(path, &exists, NULL) && !exists))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static const char *text_of(JsonObject *holder, const char *name)
{
    const char *text = "?";
    json_optional_string(holder, name, LANDFALL_ERROR_CORRUPT, &text, NULL);
    return text;
}

static gboolean is_free(JsonObject *holder, const char *path, const char *token, GError **error)
{
    if (!holder || g_strcmp0(text_of(holder, "token"), token) == 0)
        return TRUE;
    g_autofree char *hint = g_strdup_printf("complete it or roll it back there; if that landfalld "
                                            "is gone for good and the machine runs "
                                            "once, remove %s",
                                            path);
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, hint,
                       "the machine is being moved: %s since %s", text_of(holder, "who"),
                       text_of(holder, "since"));
    return FALSE;
}

gboolean store_lease_check(const struct store *store, const char *key, const char *token,
                           GError **error)
{
    g_autofree char *path = path_of(store, key, NAME);
    g_autoptr(JsonObject) holder = NULL;
    return load(path, &holder, error) && is_free(holder, path, token, error);
}

static gboolean write_lease(const char *path, const struct store_lease *lease, GError **error)
{
    g_autoptr(JsonObject) body = json_object_new();
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *since = g_date_time_format_iso8601(now);
    json_object_set_string_member(body, "token", lease->token);
    json_object_set_string_member(body, "who", lease->who);
    json_object_set_string_member(body, "since", since);
    return sealed_json_write(path, &kind, body, error);
}

gboolean store_lease_take(const struct store *store, const char *key,
                          const struct store_lease *lease, GError **error)
{
    g_autofree char *path = path_of(store, key, NAME);
    struct store_lock *lock = guard(store, key, error);
    gboolean ok = lock && store_lease_check(store, key, lease->token, error) &&
                  write_lease(path, lease, error);
    store_lock_free(lock);
    return ok;
}

gboolean store_lease_release(const struct store *store, const char *key, const char *token,
                             GError **error)
{
    g_autofree char *path = path_of(store, key, NAME);
    struct store_lock *lock = guard(store, key, error);
    if (!lock)
        return FALSE;
    gboolean ours = store_lease_check(store, key, token, NULL);
    gboolean ok = !ours || store_file_remove(path, error);
    store_lock_free(lock);
    return ok;
}
