/* SPDX-License-Identifier: Apache-2.0 */

/* /machines: what hosts have, and how it is replicated. */

#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "appliance/inventory/inventory.h"
#include "appliance/state/hosts.h"
#include "base/error.h"

#define MACHINES_LIMIT 200

static JsonObject *machine_json(struct state *state, const struct state_machine *machine,
                                GError **error)
{
    g_autoptr(GError) none = NULL;
    struct state_replication *replication = state_replication_get(state, machine->id, &none);
    JsonObject *object = NULL;
    if (replication || g_error_matches(none, LANDFALL_ERROR, LANDFALL_ERROR_MISSING))
        object = answer_machine(machine, replication);
    else
        g_propagate_error(error, g_steal_pointer(&none));
    state_replication_free(replication);
    return object;
}

static JsonObject *list_machines(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    const char *host = request_query(request, "host");
    struct state_host *known = host ? state_host_get(state, host, error) : NULL;
    if (host && !known)
        return NULL;
    state_host_free(known);
    gint64 before = 0, last = 0, limit = MACHINES_LIMIT;
    if (!request_query_number(request, "before", 1, G_MAXINT64, &before, error) ||
        !request_query_number(request, "limit", 1, 1000, &limit, error))
        return NULL;
    g_autoptr(GPtrArray) machines = state_machine_page(state, host, request_query(request, "name"),
                                                       before, (guint)limit, error);
    g_autoptr(JsonArray) items = json_array_new();
    for (guint i = 0; machines && i < machines->len; i++) {
        const struct state_machine *machine = machines->pdata[i];
        JsonObject *object = machine_json(state, machine, error);
        if (!object)
            return NULL;
        json_array_add_object_element(items, object);
        last = machine->id;
    }
    if (!machines)
        return NULL;
    return answer_list(g_steal_pointer(&items), machines->len == limit ? last : 0);
}

static JsonObject *get_machine(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    gint64 id;
    if (!request_id(request, 0, &id, error))
        return NULL;
    struct state_machine *machine = state_machine_get(state, id, error);
    JsonObject *answer = machine ? machine_json(state, machine, error) : NULL;
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
    {"GET", "/api/v1/machines", ROLE_VIEWER, "host name limit before", NULL, list_machines},
    {"GET", "/api/v1/machines/{id}", ROLE_VIEWER, NULL, NULL, get_machine},
    {"GET", "/api/v1/machines/{id}/readiness", ROLE_VIEWER, "store", NULL, get_readiness},
    {NULL},
};
