/* SPDX-License-Identifier: Apache-2.0 */

/* /machines/{id}/rehearsal: tests of a machine that begin by themselves. */

#include "appliance/api/api-private.h"
#include "appliance/api/failover-options.h"
#include "appliance/api/request.h"
#include "appliance/failover/failover.h"

static JsonObject *get_rehearsal(struct request *request, GError **error)
{
    gint64 machine;
    if (!request_machine(request, &machine, error))
        return NULL;
    return failover_rehearsal(request_api(request)->failovers, machine, error);
}

static JsonObject *set_rehearsal(struct request *request, GError **error)
{
    gint64 machine;
    if (!request_machine(request, &machine, error) ||
        !failover_options_check(request_body(request), error) ||
        !failover_rehearse(request_api(request)->failovers, request_who(request), machine,
                           request_body(request), error))
        return NULL;
    return failover_rehearsal(request_api(request)->failovers, machine, error);
}

static JsonObject *remove_rehearsal(struct request *request, GError **error)
{
    gint64 machine;
    if (request_machine(request, &machine, error))
        failover_rehearse_no_more(request_api(request)->failovers, request_who(request), machine,
                                  error);
    return NULL;
}

const struct route routes_rehearsals[] = {
    {"GET", "/api/v1/machines/{id}/rehearsal", ROLE_VIEWER, NULL, NULL, get_rehearsal},
    {"PUT", "/api/v1/machines/{id}/rehearsal", ROLE_OPERATOR, NULL, FAILOVER_REHEARSAL_OPTIONS,
     set_rehearsal},
    {"DELETE", "/api/v1/machines/{id}/rehearsal", ROLE_OPERATOR, NULL, NULL, remove_rehearsal},
    {NULL},
};
