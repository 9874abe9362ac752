/* SPDX-License-Identifier: Apache-2.0 */

/* /stores: where replicas live. The file system under a store may hang, so whatever looks at it
 * runs in a thread of its own. */

#include "appliance/state/stores.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "appliance/inventory/inventory.h"
#include "base/json.h"
#include "replicator/store.h"

#include <gio/gio.h>

static void merge(JsonObject *object, JsonObject *seen, const char *name)
{
    if (json_object_has_member(seen, name))
        json_object_set_member(object, name, json_object_dup_member(seen, name));
}

/* What the folder is like comes from the inventory, which does not wait for it. */
static JsonObject *store_to_json(struct api *api, const struct state_store *store,
                                 const GPtrArray *replications)
{
    g_autoptr(JsonObject) seen = inventory_store(api->inventory, store->name);
    JsonObject *object = json_object_new();
    gint64 machines = 0;
    for (guint i = 0; i < replications->len; i++)
        machines +=
            g_str_equal(((struct state_replication *)replications->pdata[i])->store, store->name);
    json_object_set_string_member(object, "name", store->name);
    json_object_set_string_member(object, "kind", store->kind);
    json_object_set_string_member(object, "path", store->path);
    json_object_set_int_member(object, "machines", machines);
    json_set_time(object, "added_at", store->added_us);
    if (seen) {
        merge(object, seen, "free_bytes");
        merge(object, seen, "size_bytes");
        merge(object, seen, "error");
    }
    return object;
}

/* --- handlers --- */

static JsonObject *list_stores(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    g_autoptr(GPtrArray) stores = state_store_list(api->state, error);
    g_autoptr(GPtrArray) replications = stores ? state_replication_list(api->state, error) : NULL;
    if (!replications)
        return NULL;
    JsonArray *items = json_array_new();
    for (guint i = 0; i < stores->len; i++)
        json_array_add_object_element(items, store_to_json(api, stores->pdata[i], replications));
    return answer_list(items, 0);
}

static JsonObject *show_store(struct api *api, const char *name, GError **error)
{
    g_autoptr(GPtrArray) replications = state_replication_list(api->state, error);
    struct state_store *store = replications ? state_store_get(api->state, name, error) : NULL;
    JsonObject *object = store ? store_to_json(api, store, replications) : NULL;
    state_store_free(store);
    return object;
}

static JsonObject *get_store(struct request *request, GError **error)
{
    return show_store(request_api(request), request_parameter(request, 0), error);
}

struct addition {
    struct request *request; /* borrowed: deferred */
    char *name;
    char *path;
};

static void addition_free(struct addition *addition)
{
    g_free(addition->name);
    g_free(addition->path);
    g_free(addition);
}

static void make_store(GTask *task, G_GNUC_UNUSED gpointer source, gpointer data,
                       G_GNUC_UNUSED GCancellable *cancellable)
{
    const struct addition *addition = data;
    GError *error = NULL;
    struct store *store = store_open(addition->path, TRUE, &error);
    if (store)
        g_task_return_boolean(task, TRUE);
    else
        g_task_return_error(task, error);
    store_free(store);
}

static JsonObject *remember(const struct addition *addition, GError **error)
{
    struct api *api = request_api(addition->request);
    if (!api || !state_store_add(api->state, request_who(addition->request), addition->name,
                                 addition->path, error))
        return NULL;
    inventory_stores_changed(api->inventory);
    JsonObject *answer = show_store(api, addition->name, error);
    if (answer)
        json_object_remove_member(answer, "error"); /* that the inventory has not seen it yet */
    return answer;
}

static void on_made(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    const struct addition *addition = data;
    g_autoptr(GError) error = NULL;
    JsonObject *answer = NULL;
    if (g_task_propagate_boolean(G_TASK(result), &error))
        answer = remember(addition, &error);
    request_finish(addition->request, answer, error);
}

static JsonObject *add_store(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *name, *path;
    if (!json_member_string(body, "name", LANDFALL_ERROR_CONFIG, &name, error) ||
        !json_member_string(body, "path", LANDFALL_ERROR_CONFIG, &path, error) ||
        !state_check_name("store", name, error))
        return NULL;
    if (!g_path_is_absolute(path)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "give the path from the root on",
                           "the path '%.200s' is not absolute", path);
        return NULL;
    }
    struct addition *addition = g_new0(struct addition, 1);
    addition->request = request;
    addition->name = g_strdup(name);
    addition->path = g_strdup(path);
    g_autoptr(GTask) task = g_task_new(NULL, NULL, on_made, addition);
    g_task_set_task_data(task, addition, (GDestroyNotify)addition_free);
    request_set_status(request, 201);
    request_defer(request);
    g_task_run_in_thread(task, make_store);
    return NULL;
}

static JsonObject *remove_store(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    if (state_store_remove(api->state, request_who(request), request_parameter(request, 0), error))
        inventory_stores_changed(api->inventory);
    return NULL;
}

const struct route routes_stores[] = {
    {"GET", "/api/v1/stores", ROLE_VIEWER, NULL, NULL, list_stores},
    {"POST", "/api/v1/stores", ROLE_OPERATOR, NULL, "name path", add_store},
    {"GET", "/api/v1/stores/{name}", ROLE_VIEWER, NULL, NULL, get_store},
    {"DELETE", "/api/v1/stores/{name}", ROLE_OPERATOR, NULL, NULL, remove_store},
    {NULL},
};
