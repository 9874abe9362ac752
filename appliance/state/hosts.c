/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/hosts.h"
#include "appliance/state/database.h"

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

static struct state_host *read_host(struct statement *query)
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
    g_autoptr(GPtrArray) hosts = g_ptr_array_new_with_free_func((GDestroyNotify)state_host_free);
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM host ORDER BY name");
    while (statement_row(query))
        g_ptr_array_add(hosts, read_host(query));
    return statement_done(query, error) ? g_steal_pointer(&hosts) : NULL;
}
