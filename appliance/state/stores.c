/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/stores.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "appliance/state/replications.h"
#include "base/error.h"
#include "base/json.h"

#define COLUMNS "name, kind, path, added_us"

void state_store_free(struct state_store *store)
{
    if (!store)
        return;
    g_free(store->name);
    g_free(store->kind);
    g_free(store->path);
    g_free(store);
}

static gpointer read_store(struct statement *query)
{
    struct state_store *store = g_new0(struct state_store, 1);
    store->name = statement_read_text(query);
    store->kind = statement_read_text(query);
    store->path = statement_read_text(query);
    store->added_us = statement_read_int(query);
    return store;
}

GPtrArray *state_store_list(struct state *state, GError **error)
{
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM store ORDER BY name");
    return statement_rows(query, read_store, (GDestroyNotify)state_store_free, error);
}

static gboolean missing(const char *name, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall store list shows the stores",
                       "there is no store '%.64s'", name);
    return FALSE;
}

struct state_store *state_store_get(struct state *state, const char *name, GError **error)
{
    gpointer store;
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM store WHERE name = ?");
    statement_bind_text(query, name);
    if (statement_one(query, read_store, (GDestroyNotify)state_store_free, &store, error) && !store)
        missing(name, error);
    return store;
}

static gboolean check_path(const char *path, GError **error)
{
    if (g_path_is_absolute(path))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "landfalld runs in another folder than you: "
                       "write the path from the root",
                       "'%s' is not an absolute path", path);
    return FALSE;
}

static gboolean insert_store(struct state *state, const char *name, const char *path,
                             GError **error)
{
    struct statement *insert = statement_new(
        state, "INSERT INTO store (name, kind, path, added_us) VALUES (?, 'local', ?, ?) "
               "ON CONFLICT DO NOTHING");
    statement_bind_text(insert, name);
    statement_bind_text(insert, path);
    statement_bind_int(insert, state_now_us());
    if (!statement_done(insert, error))
        return FALSE;
    if (state_changed_rows(state) == 1)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "landfall store list shows the stores",
                       "there is a store of the name '%s' or of the path %s already", name, path);
    return FALSE;
}

static gboolean note(struct state *state, const char *who, const char *action, const char *name,
                     const char *path, GError **error)
{
    g_autofree char *object = g_strconcat("store/", name, NULL);
    g_autoptr(JsonObject) detail = json_object_new();
    json_set_optional_string(detail, "path", path);
    return state_audit(state, who, action, object, detail, error);
}

gboolean state_store_add(struct state *state, const char *who, const char *name, const char *path,
                         GError **error)
{
    if (!state_check_name("store", name, error) || !check_path(path, error))
        return FALSE;
    /* One way to write a path, so that a store has one name. */
    g_autofree char *plain = g_canonicalize_filename(path, NULL);
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = insert_store(state, name, plain, error) &&
                  note(state, who, "store.add", name, plain, error);
    return state_end(state, ok, error);
}

static gboolean delete_store(struct state *state, const char *name, GError **error)
{
    struct statement *removal = statement_new(state, "DELETE FROM store WHERE name = ?");
    statement_bind_text(removal, name);
    return statement_done(removal, error) &&
           (state_changed_rows(state) == 1 || missing(name, error));
}

gboolean state_store_remove(struct state *state, const char *who, const char *name, GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = state_replication_check_none(state, NULL, name, error) &&
                  delete_store(state, name, error) &&
                  note(state, who, "store.remove", name, NULL, error);
    return state_end(state, ok, error);
}
