/* SPDX-License-Identifier: Apache-2.0 */

/* Whether the daemon answers: for those who only watch, without authentication. */

#include "appliance/api/request.h"

static JsonObject *get_health(struct request *request, GError **error)
{
    JsonObject *answer = json_object_new();
    (void)request;
    (void)error;
    json_object_set_string_member(answer, "status", "ok");
    return answer;
}

const struct route routes_health[] = {
    {"GET", "/healthz", ROLE_NONE, NULL, NULL, get_health},
    {NULL},
};
