/* SPDX-License-Identifier: Apache-2.0 */

/* /hosts: where machines run. */

#include "appliance/state/hosts.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "appliance/inventory/inventory.h"
#include "appliance/state/secrets.h"
#include "base/json.h"

#include <string.h>

/* Members of the body that are secrets, and the names they are kept under. */
static const char *const secrets[][2] = {{"password", "password"}, {"ssh_key", "ssh-key"}};

static JsonObject *host_to_json(struct state *state, const struct state_host *host, GError **error)
{
    gint64 machines;
    if (!state_machine_count(state, host->name, &machines, error))
        return NULL;
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", host->name);
    json_object_set_string_member(object, "uri", host->uri);
    json_object_set_string_member(object, "roles", host->role);
    json_object_set_string_member(object, "status", host->status);
    json_set_optional_string(object, "status_detail", host->status_detail);
    json_set_optional_string(object, "hint", host->hint);
    json_object_set_int_member(object, "machines", machines);
    json_set_time(object, "added_at", host->added_us);
    json_set_time(object, "seen_at", host->seen_us);
    if (host->facts)
        json_object_set_object_member(object, "facts", json_object_ref(host->facts));
    return object;
}

static JsonObject *list_hosts(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    g_autoptr(GPtrArray) hosts = state_host_list(state, error);
    g_autoptr(JsonArray) items = json_array_new();
    for (guint i = 0; hosts && i < hosts->len; i++) {
        JsonObject *object = host_to_json(state, hosts->pdata[i], error);
        if (!object)
            return NULL;
        json_array_add_object_element(items, object);
    }
    return hosts ? answer_list(g_steal_pointer(&items), 0) : NULL;
}

static JsonObject *show_host(struct request *request, const char *name, GError **error)
{
    struct state *state = request_api(request)->state;
    struct state_host *host = state_host_get(state, name, error);
    JsonObject *object = host ? host_to_json(state, host, error) : NULL;
    state_host_free(host);
    return object;
}

static JsonObject *get_host(struct request *request, GError **error)
{
    return show_host(request, request_parameter(request, 0), error);
}

/* A secret that is an empty text goes. */
static gboolean set_secrets(struct request *request, const char *name, GError **error)
{
    struct state *state = request_api(request)->state;
    g_autofree char *owner = g_strconcat("host/", name, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(secrets); i++) {
        const char *value = NULL;
        if (!json_optional_string(request_body(request), secrets[i][0], LANDFALL_ERROR_CONFIG,
                                  &value, error))
            return FALSE;
        if (value && !*value &&
            !state_secret_remove(state, request_who(request), owner, secrets[i][1], error))
            return FALSE;
        if (value && *value &&
            !state_secret_set(state, request_who(request), owner, secrets[i][1], value,
                              strlen(value), error))
            return FALSE;
    }
    return TRUE;
}

/* NULL is none that was given. libvirt would say so, too, but not before it is asked. */
static gboolean check_uri(const char *text, GError **error)
{
    g_autoptr(GUri) uri = text ? g_uri_parse(text, G_URI_FLAGS_NONE, NULL) : NULL;
    if (!text || uri)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "write it as libvirt does: qemu:///system, qemu+ssh://user@host/system",
                       "'%.200s' is not a URI", text);
    return FALSE;
}

static JsonObject *add_host(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    JsonObject *body = request_body(request);
    const char *name, *uri, *role = "both";
    if (!json_member_string(body, "name", LANDFALL_ERROR_CONFIG, &name, error) ||
        !json_member_string(body, "uri", LANDFALL_ERROR_CONFIG, &uri, error) ||
        !json_optional_string(body, "roles", LANDFALL_ERROR_CONFIG, &role, error) ||
        !check_uri(uri, error) || !state_begin(api->state, error))
        return NULL;
    gboolean ok = state_host_add(api->state, request_who(request), name, uri, role, error) &&
                  set_secrets(request, name, error);
    if (!state_end(api->state, ok, error))
        return NULL;
    inventory_host_changed(api->inventory, name);
    request_set_status(request, 201);
    return show_host(request, name, error);
}

static JsonObject *change_host(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    JsonObject *body = request_body(request);
    const char *name = request_parameter(request, 0), *uri = NULL, *role = NULL;
    if (!json_optional_string(body, "uri", LANDFALL_ERROR_CONFIG, &uri, error) ||
        !json_optional_string(body, "roles", LANDFALL_ERROR_CONFIG, &role, error) ||
        !check_uri(uri, error) || !state_begin(api->state, error))
        return NULL;
    gboolean ok = state_host_change(api->state, request_who(request), name, uri, role, error) &&
                  set_secrets(request, name, error);
    if (!state_end(api->state, ok, error))
        return NULL;
    inventory_host_changed(api->inventory, name);
    return show_host(request, name, error);
}

static JsonObject *remove_host(struct request *request, GError **error)
{
    const char *name = request_parameter(request, 0);
    struct api *api = request_api(request);
    if (state_host_remove(api->state, request_who(request), name, error))
        inventory_host_changed(api->inventory, name);
    return NULL;
}

static JsonObject *refresh_host(struct request *request, GError **error)
{
    const char *name = request_parameter(request, 0);
    JsonObject *answer = show_host(request, name, error);
    if (answer)
        inventory_refresh(request_api(request)->inventory, name);
    request_set_status(request, 202);
    return answer;
}

const struct route routes_hosts[] = {
    {"GET", "/api/v1/hosts", ROLE_VIEWER, NULL, NULL, list_hosts},
    {"POST", "/api/v1/hosts", ROLE_OPERATOR, NULL, "name uri roles password ssh_key", add_host},
    {"GET", "/api/v1/hosts/{name}", ROLE_VIEWER, NULL, NULL, get_host},
    {"PATCH", "/api/v1/hosts/{name}", ROLE_OPERATOR, NULL, "uri roles password ssh_key",
     change_host},
    {"DELETE", "/api/v1/hosts/{name}", ROLE_OPERATOR, NULL, NULL, remove_host},
    {"POST", "/api/v1/hosts/{name}/refresh", ROLE_OPERATOR, NULL, NULL, refresh_host},
    {NULL},
};
