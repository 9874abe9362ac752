/* SPDX-License-Identifier: Apache-2.0 */

/* /settings and /audit: how the appliance works as a whole, and who changed what. */

#include "appliance/state/settings.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "appliance/inventory/inventory.h"
#include "appliance/jobs/scheduler.h"
#include "appliance/state/audit.h"
#include "base/json.h"

#define AUDIT_LIMIT 100

static JsonObject *get_settings(struct request *request, GError **error)
{
    return state_setting_list(request_api(request)->state, error);
}

/* Alerts that go nowhere are noticed when it is too late. */
static gboolean check_webhook(JsonObject *changes, GError **error)
{
    const char *text = NULL;
    if (!json_optional_string(changes, "alert_webhook", LANDFALL_ERROR_CONFIG, &text, error))
        return FALSE;
    if (!text || !*text || request_is_http_url(text))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as https://alerts.example/landfall",
                       "alert_webhook takes a URL that begins with http:// or https://");
    return FALSE;
}

/* What the scheduler cannot work with, such as windows that are none, is not kept either. */
static JsonObject *change_settings(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    if (!check_webhook(request_body(request), error) || !state_begin(api->state, error))
        return NULL;
    gboolean ok =
        state_setting_change(api->state, request_who(request), request_body(request), error) &&
        scheduler_reload(api->scheduler, error);
    if (!state_end(api->state, ok, error))
        return NULL;
    inventory_reload(api->inventory);
    return state_setting_list(api->state, error);
}

static JsonObject *entry_to_json(const struct state_audit_entry *entry)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", entry->id);
    json_set_time(object, "at", entry->at_us);
    json_object_set_string_member(object, "who", entry->who);
    json_object_set_string_member(object, "action", entry->action);
    json_object_set_string_member(object, "object", entry->object);
    if (entry->detail)
        json_object_set_object_member(object, "detail", json_object_ref(entry->detail));
    return object;
}

static JsonObject *list_audit(struct request *request, GError **error)
{
    gint64 before = 0, limit = AUDIT_LIMIT, last = 0;
    if (!request_query_number(request, "before", 1, G_MAXINT64, &before, error) ||
        !request_query_number(request, "limit", 1, 1000, &limit, error))
        return NULL;
    g_autoptr(GPtrArray) entries =
        state_audit_list(request_api(request)->state, before, (unsigned)limit, error);
    if (!entries)
        return NULL;
    JsonArray *items = json_array_new();
    for (guint i = 0; i < entries->len; i++) {
        json_array_add_object_element(items, entry_to_json(entries->pdata[i]));
        last = ((struct state_audit_entry *)entries->pdata[i])->id;
    }
    return answer_list(items, (gint64)entries->len == limit ? last : 0);
}

const struct route routes_settings[] = {
    {"GET", "/api/v1/settings", ROLE_VIEWER, NULL, NULL, get_settings},
    {"PATCH", "/api/v1/settings", ROLE_OPERATOR, NULL, "*", change_settings},
    {"GET", "/api/v1/audit", ROLE_VIEWER, "before limit", NULL, list_audit},
    {NULL},
};
