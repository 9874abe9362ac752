/* SPDX-License-Identifier: Apache-2.0 */

/* /machines: what hosts have, and how it is replicated. */

#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "appliance/inventory/inventory.h"
#include "appliance/state/hosts.h"
#include "base/error.h"

static GHashTable *replications_by_machine(GPtrArray *replications)
{
    GHashTable *table = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint i = 0; i < replications->len; i++) {
        struct state_replication *replication = replications->pdata[i];
        g_hash_table_insert(table, &replication->machine, replication);
    }
    return table;
}

static JsonObject *list_machines(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    const char *host = request_query(request, "host");
    struct state_host *known = host ? state_host_get(state, host, error) : NULL;
    if (host && !known)
        return NULL;
    state_host_free(known);
    g_autoptr(GPtrArray) machines =
        state_machine_list(state, host, request_query(request, "name"), error);
    g_autoptr(GPtrArray) replications = machines ? state_replication_list(state, error) : NULL;
    if (!replications)
        return NULL;
    g_autoptr(GHashTable) by_machine = replications_by_machine(replications);
    JsonArray *items = json_array_new();
    for (guint i = 0; i < machines->len; i++) {
        const struct state_machine *machine = machines->pdata[i];
        json_array_add_object_element(
            items, answer_machine(machine, g_hash_table_lookup(by_machine, &machine->id)));
    }
    return answer_list(items, 0);
}

static JsonObject *get_machine(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    g_autoptr(GError) none = NULL;
    gint64 id;
    if (!request_id(request, 0, &id, error))
        return NULL;
    struct state_machine *machine = state_machine_get(state, id, error);
    if (!machine)
        return NULL;
    struct state_replication *replication = state_replication_get(state, id, &none);
    JsonObject *answer = NULL;
    if (replication || g_error_matches(none, LANDFALL_ERROR, LANDFALL_ERROR_MISSING))
        answer = answer_machine(machine, replication);
    else
        g_propagate_error(error, g_steal_pointer(&none));
    state_replication_free(replication);
    state_machine_free(machine);
    return answer;
}

static JsonObject *get_readiness(struct request *request, GError **error)
{
    gint64 id;
    if (!request_id(request, 0, &id, error))
        return NULL;
    return inventory_readiness(request_api(request)->inventory, id, request_query(request, "store"),
                               error);
}

const struct route routes_machines[] = {
    {"GET", "/api/v1/machines", ROLE_VIEWER, "host name", NULL, list_machines},
    {"GET", "/api/v1/machines/{id}", ROLE_VIEWER, NULL, NULL, get_machine},
    {"GET", "/api/v1/machines/{id}/readiness", ROLE_VIEWER, "store", NULL, get_readiness},
    {NULL},
};
