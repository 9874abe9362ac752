/* SPDX-License-Identifier: Apache-2.0 */

/* /openapi.json: what the API says of itself. A test holds it against the tables of routes. */

#include "appliance/api/request.h"

#include <gio/gio.h>

static JsonObject *get_openapi(struct request *request, GError **error)
{
    g_autoptr(GBytes) text =
        g_resources_lookup_data("/landfall/api/openapi.json", G_RESOURCE_LOOKUP_FLAGS_NONE, error);
    if (text)
        request_answer_text(request, "application/json", g_bytes_get_data(text, NULL));
    return NULL;
}

const struct route routes_openapi[] = {
    {"GET", "/api/v1/openapi.json", ROLE_VIEWER, NULL, NULL, get_openapi},
    {NULL},
};
