/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/targets.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "appliance/state/hosts.h"
#include "base/error.h"

#include <string.h>

#define COLUMNS "host, reach, store_path, pool, networks, test_network, machine, updated_us"

void state_target_free(struct state_target *target)
{
    if (!target)
        return;
    g_free(target->host);
    g_free(target->reach);
    g_free(target->store_path);
    g_free(target->pool);
    g_clear_pointer(&target->networks, json_object_unref);
    g_free(target->test_network);
    g_clear_pointer(&target->machine, json_object_unref);
    g_free(target);
}

static gpointer read_target(struct statement *query)
{
    struct state_target *target = g_new0(struct state_target, 1);
    target->host = statement_read_text(query);
    target->reach = statement_read_text(query);
    target->store_path = statement_read_text(query);
    target->pool = statement_read_text(query);
    target->networks = statement_read_object(query);
    target->test_network = statement_read_text(query);
    target->machine = statement_read_object(query);
    target->updated_us = statement_read_int(query);
    return target;
}

GPtrArray *state_target_list(struct state *state, GError **error)
{
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM target ORDER BY host");
    return statement_rows(query, read_target, (GDestroyNotify)state_target_free, error);
}

static gboolean missing(const char *host, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall target set makes it one",
                       "host '%.64s' is no target", host);
    return FALSE;
}

struct state_target *state_target_get(struct state *state, const char *host, GError **error)
{
    gpointer target;
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM target WHERE host = ?");
    statement_bind_text(query, host);
    if (statement_one(query, read_target, (GDestroyNotify)state_target_free, &target, error) &&
        !target)
        missing(host, error);
    return target;
}

static gboolean check_networks(JsonObject *networks, GError **error)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;
    json_object_iter_init(&iter, networks);
    while (json_object_iter_next(&iter, &name, &node)) {
        if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "name the network there",
                           "network '%.64s' is not mapped to a name", name);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_target(const struct state_target *target, GError **error)
{
    if (strcmp(target->reach, STATE_TARGET_PATH) != 0 &&
        strcmp(target->reach, STATE_TARGET_NBD) != 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use path or nbd",
                           "a store cannot be reached by '%.64s'", target->reach);
        return FALSE;
    }
    if (target->store_path && !g_path_is_absolute(target->store_path)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "write the path from the root",
                           "'%s' is not an absolute path", target->store_path);
        return FALSE;
    }
    return check_networks(target->networks, error);
}

static gboolean note(struct state *state, const char *who, const char *action, const char *host,
                     JsonObject *detail, GError **error)
{
    g_autofree char *object = g_strconcat("host/", host, NULL);
    return state_audit(state, who, action, object, detail, error);
}

static gboolean write_target(struct state *state, const struct state_target *target, GError **error)
{
    struct statement *insert = statement_new(state, "INSERT OR REPLACE INTO target (" COLUMNS
                                                    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    statement_bind_text(insert, target->host);
    statement_bind_text(insert, target->reach);
    statement_bind_text(insert, target->store_path);
    statement_bind_text(insert, target->pool);
    statement_bind_object(insert, target->networks);
    statement_bind_text(insert, target->test_network);
    statement_bind_object(insert, target->machine);
    statement_bind_int(insert, state_now_us());
    return statement_done(insert, error);
}

gboolean state_target_set(struct state *state, const char *who, const struct state_target *target,
                          GError **error)
{
    if (!check_target(target, error) || !state_begin(state, error))
        return FALSE;
    struct state_host *host = state_host_get(state, target->host, error);
    gboolean ok = host && write_target(state, target, error) &&
                  note(state, who, "target.set", target->host, target->networks, error);
    state_host_free(host);
    return state_end(state, ok, error);
}

/* What is there because of an operation can only be taken away where it is known how. */
static gboolean check_unused(struct state *state, const char *host, GError **error)
{
    gint64 operation = 0;
    struct statement *query = statement_new(
        state, "SELECT id FROM failover WHERE target = ? AND state IN ('waiting', 'running', "
               "'returning', 'live', 'stuck') ORDER BY id LIMIT 1");
    statement_bind_text(query, host);
    if (statement_row(query))
        operation = statement_read_int(query);
    if (!statement_done(query, error))
        return FALSE;
    if (!operation)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "end it first: landfall test-cleanup, rollback or complete",
                       "operation %" G_GINT64_FORMAT " needs target '%s'", operation, host);
    return FALSE;
}

static gboolean delete_target(struct state *state, const char *host, GError **error)
{
    struct statement *removal = statement_new(state, "DELETE FROM target WHERE host = ?");
    statement_bind_text(removal, host);
    return statement_done(removal, error) &&
           (state_changed_rows(state) == 1 || missing(host, error));
}

gboolean state_target_remove(struct state *state, const char *who, const char *host, GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = check_unused(state, host, error) && delete_target(state, host, error) &&
                  note(state, who, "target.remove", host, NULL, error);
    return state_end(state, ok, error);
}
