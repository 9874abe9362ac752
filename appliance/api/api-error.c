/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/api-error.h"
#include "base/json.h"

GQuark api_error_quark(void)
{
    return g_quark_from_static_string("landfall-api-error");
}

static const struct {
    unsigned status;
    const char *name;
    const char *hint;
} api_errors[] = {
    {API_ERROR_UNAUTHENTICATED, "unauthenticated",
     "log in (POST /api/v1/session), send an API token (Authorization: Bearer …), or use the unix "
     "socket as root"},
    {API_ERROR_FORBIDDEN, "forbidden",
     "changes need the role operator and, from a browser, a page of our own"},
    {API_ERROR_METHOD, "method", "the header Allow says what the path takes"},
    {API_ERROR_TOO_LARGE, "too-large", "send less in one request"},
    {API_ERROR_WRONG_TYPE, "wrong-type", "send JSON, and say so: Content-Type: application/json"},
    {API_ERROR_TOO_MANY, "too-many", "wait as long as the header Retry-After says, then try again"},
    {API_ERROR_STOPPING, "stopping", "try again once landfalld runs again"},
};

/* By code of base/error.h. */
static const unsigned statuses[] = {
    [LANDFALL_ERROR_CONFIG] = 400,      [LANDFALL_ERROR_SOURCE] = 502,
    [LANDFALL_ERROR_REPLICA] = 502,     [LANDFALL_ERROR_CORRUPT] = 500,
    [LANDFALL_ERROR_CANCELLED] = 409,   [LANDFALL_ERROR_CONFLICT] = 409,
    [LANDFALL_ERROR_UNSUPPORTED] = 501, [LANDFALL_ERROR_MISSING] = 404,
    [LANDFALL_ERROR_INTERNAL] = 500,
};

unsigned api_error_status(const GError *error)
{
    if (error->domain == API_ERROR)
        return (unsigned)error->code;
    if (error->domain == LANDFALL_ERROR && (guint)error->code < G_N_ELEMENTS(statuses))
        return statuses[error->code];
    return 500;
}

JsonObject *api_error_to_json(const GError *error)
{
    const char *name = landfall_error_name(error);
    const char *hint = landfall_error_hint(error);
    for (guint i = 0; error->domain == API_ERROR && i < G_N_ELEMENTS(api_errors); i++) {
        if (api_errors[i].status != (unsigned)error->code)
            continue;
        name = api_errors[i].name;
        hint = api_errors[i].hint;
    }
    JsonObject *inner = json_object_new();
    json_object_set_string_member(inner, "code", name);
    json_object_set_string_member(inner, "message", error->message);
    json_set_optional_string(inner, "hint", hint);
    JsonObject *outer = json_object_new();
    json_object_set_object_member(outer, "error", inner);
    return outer;
}
