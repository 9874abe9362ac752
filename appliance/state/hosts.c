/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/hosts.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "appliance/state/replications.h"
#include "base/error.h"
#include "base/json.h"

#define COLUMNS "name, uri, role, added_us, status, status_detail, hint, seen_us, facts"

void state_host_free(struct state_host *host)
{
    if (!host)
        return;
    g_free(host->name);
    g_free(host->uri);
    g_free(host->role);
    g_free(host->status);
    g_free(host->status_detail);
    g_free(host->hint);
    g_clear_pointer(&host->facts, json_object_unref);
    g_free(host);
}

static gpointer read_host(struct statement *query)
{
    struct state_host *host = g_new0(struct state_host, 1);
    host->name = statement_read_text(query);
    host->uri = statement_read_text(query);
    host->role = statement_read_text(query);
    host->added_us = statement_read_int(query);
    host->status = statement_read_text(query);
    host->status_detail = statement_read_text(query);
    host->hint = statement_read_text(query);
    host->seen_us = statement_read_int(query);
    host->facts = statement_read_object(query);
    return host;
}

GPtrArray *state_host_list(struct state *state, GError **error)
{
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM host ORDER BY name");
    return statement_rows(query, read_host, (GDestroyNotify)state_host_free, error);
}

static gboolean missing(const char *name, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall host list shows the hosts",
                       "there is no host '%.64s'", name);
    return FALSE;
}

struct state_host *state_host_get(struct state *state, const char *name, GError **error)
{
    gpointer host;
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM host WHERE name = ?");
    statement_bind_text(query, name);
    if (statement_one(query, read_host, (GDestroyNotify)state_host_free, &host, error) && !host)
        missing(name, error);
    return host;
}

/* The audit's word on it; no part of a URI is secret, libvirt's carry no passwords. */
static gboolean note(struct state *state, const char *who, const char *action, const char *name,
                     const char *uri, const char *role, GError **error)
{
    g_autofree char *object = g_strconcat("host/", name, NULL);
    g_autoptr(JsonObject) detail = json_object_new();
    json_set_optional_string(detail, "uri", uri);
    json_set_optional_string(detail, "role", role);
    return state_audit(state, who, action, object, detail, error);
}

static gboolean check_role(const char *role, GError **error)
{
    static const char *const roles[] = {"source", "target", "both", NULL};
    if (g_strv_contains(roles, role))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use source, target or both",
                       "a host cannot be '%.64s'", role);
    return FALSE;
}

static gboolean insert_host(struct state *state, const char *name, const char *uri,
                            const char *role, GError **error)
{
    struct statement *insert =
        statement_new(state, "INSERT INTO host (name, uri, role, added_us) VALUES (?, ?, ?, ?) "
                             "ON CONFLICT DO NOTHING");
    statement_bind_text(insert, name);
    statement_bind_text(insert, uri);
    statement_bind_text(insert, role);
    statement_bind_int(insert, state_now_us());
    if (!statement_done(insert, error))
        return FALSE;
    if (state_changed_rows(state) == 1)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "choose another name, or remove that one",
                       "there is a host '%s' already", name);
    return FALSE;
}

gboolean state_host_add(struct state *state, const char *who, const char *name, const char *uri,
                        const char *role, GError **error)
{
    if (!state_check_name("host", name, error) || !check_role(role, error) ||
        !state_begin(state, error))
        return FALSE;
    gboolean ok = insert_host(state, name, uri, role, error) &&
                  note(state, who, "host.add", name, uri, role, error);
    return state_end(state, ok, error);
}

static gboolean update_host(struct state *state, const char *name, const char *uri,
                            const char *role, GError **error)
{
    struct statement *update = statement_new(
        state, "UPDATE host SET uri = coalesce(?, uri), role = coalesce(?, role) WHERE name = ?");
    statement_bind_text(update, uri);
    statement_bind_text(update, role);
    statement_bind_text(update, name);
    return statement_done(update, error) &&
           (state_changed_rows(state) == 1 || missing(name, error));
}

gboolean state_host_change(struct state *state, const char *who, const char *name, const char *uri,
                           const char *role, GError **error)
{
    if ((role && !check_role(role, error)) || !state_begin(state, error))
        return FALSE;
    gboolean ok = update_host(state, name, uri, role, error) &&
                  note(state, who, "host.change", name, uri, role, error);
    return state_end(state, ok, error);
}

static gboolean delete_host(struct state *state, const char *name, GError **error)
{
    struct statement *removal = statement_new(state, "DELETE FROM host WHERE name = ?");
    statement_bind_text(removal, name);
    if (!statement_done(removal, error))
        return FALSE;
    if (state_changed_rows(state) != 1)
        return missing(name, error);
    struct statement *secrets =
        statement_new(state, "DELETE FROM secret WHERE owner = 'host/' || ?");
    statement_bind_text(secrets, name);
    return statement_done(secrets, error);
}

gboolean state_host_remove(struct state *state, const char *who, const char *name, GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = state_replication_check_none(state, name, NULL, error) &&
                  delete_host(state, name, error) &&
                  note(state, who, "host.remove", name, NULL, NULL, error);
    return state_end(state, ok, error);
}

gboolean state_host_found(struct state *state, const struct state_host *host, GError **error)
{
    struct statement *update = statement_new(
        state, "UPDATE host SET status = ?, status_detail = ?, hint = ?, "
               "seen_us = coalesce(?, seen_us), facts = coalesce(?, facts) WHERE name = ?");
    statement_bind_text(update, host->status);
    statement_bind_text(update, host->status_detail);
    statement_bind_text(update, host->hint);
    statement_bind_int_or_null(update, host->seen_us);
    statement_bind_object(update, host->facts);
    statement_bind_text(update, host->name);
    return statement_done(update, error) &&
           (state_changed_rows(state) == 1 || missing(host->name, error));
}
