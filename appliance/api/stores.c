/* SPDX-License-Identifier: Apache-2.0 */

/* /stores: where replicas live. The file system under a store may hang, so whatever looks at it
 * runs in a thread of its own. */

#include "appliance/state/stores.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "base/json.h"
#include "replicator/store.h"

#include <gio/gio.h>

static JsonObject *store_to_json(const struct state_store *store)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", store->name);
    json_object_set_string_member(object, "kind", store->kind);
    json_object_set_string_member(object, "path", store->path);
    answer_set_time(object, "added_at", store->added_us);
    return object;
}

/* --- what only the folder tells --- */

static void set_error(JsonObject *object, const GError *error)
{
    json_object_set_string_member(object, "error", error->message);
}

static void add_machines(JsonObject *object, const char *path)
{
    g_autoptr(GError) error = NULL;
    struct store *store = store_open(path, FALSE, &error);
    g_autoptr(GPtrArray) machines = store ? store_list_machines(store, &error) : NULL;
    if (machines)
        json_object_set_int_member(object, "machines", machines->len);
    else
        set_error(object, error);
    store_free(store);
}

static void add_space(JsonObject *object, const char *path)
{
    g_autoptr(GFile) folder = g_file_new_for_path(path);
    g_autoptr(GFileInfo) info =
        g_file_query_filesystem_info(folder, "filesystem::size,filesystem::free", NULL, NULL);
    if (!info)
        return;
    json_object_set_int_member(
        object, "size_bytes",
        (gint64)g_file_info_get_attribute_uint64(info, G_FILE_ATTRIBUTE_FILESYSTEM_SIZE));
    json_object_set_int_member(
        object, "free_bytes",
        (gint64)g_file_info_get_attribute_uint64(info, G_FILE_ATTRIBUTE_FILESYSTEM_FREE));
}

static void look(GTask *task, G_GNUC_UNUSED gpointer source, gpointer data,
                 G_GNUC_UNUSED GCancellable *cancellable)
{
    JsonArray *items = data;
    for (guint i = 0; i < json_array_get_length(items); i++) {
        JsonObject *object = json_array_get_object_element(items, i);
        const char *path = json_object_get_string_member(object, "path");
        add_machines(object, path);
        add_space(object, path);
    }
    g_task_return_boolean(task, TRUE);
}

static void answer_all(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    JsonArray *items = g_task_get_task_data(G_TASK(result));
    request_finish(data, answer_list(json_array_ref(items), 0), NULL);
}

static void answer_one(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    JsonArray *items = g_task_get_task_data(G_TASK(result));
    request_finish(data, json_object_ref(json_array_get_object_element(items, 0)), NULL);
}

/* Takes items. */
static void look_later(struct request *request, JsonArray *items, GAsyncReadyCallback answer)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, answer, request);
    g_task_set_task_data(task, items, (GDestroyNotify)json_array_unref);
    request_defer(request);
    g_task_run_in_thread(task, look);
}

/* --- handlers --- */

static JsonObject *list_stores(struct request *request, GError **error)
{
    g_autoptr(GPtrArray) stores = state_store_list(request_api(request)->state, error);
    if (!stores)
        return NULL;
    JsonArray *items = json_array_new();
    for (guint i = 0; i < stores->len; i++)
        json_array_add_object_element(items, store_to_json(stores->pdata[i]));
    look_later(request, items, answer_all);
    return NULL;
}

static void show_store(struct request *request, const char *name, GError **error)
{
    struct state_store *store = state_store_get(request_api(request)->state, name, error);
    if (!store)
        return;
    JsonArray *items = json_array_new();
    json_array_add_object_element(items, store_to_json(store));
    state_store_free(store);
    look_later(request, items, answer_one);
}

static JsonObject *get_store(struct request *request, GError **error)
{
    show_store(request, request_parameter(request, 0), error);
    return NULL;
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
    const struct request *request = addition->request;
    if (!request_api(request) || !state_store_add(request_api(request)->state, request_who(request),
                                                  addition->name, addition->path, error))
        return NULL;
    struct state_store *store = state_store_get(request_api(request)->state, addition->name, error);
    JsonObject *object = store ? store_to_json(store) : NULL;
    state_store_free(store);
    return object;
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
    state_store_remove(request_api(request)->state, request_who(request),
                       request_parameter(request, 0), error);
    return NULL;
}

const struct route routes_stores[] = {
    {"GET", "/api/v1/stores", ROLE_VIEWER, NULL, NULL, list_stores},
    {"POST", "/api/v1/stores", ROLE_OPERATOR, NULL, "name path", add_store},
    {"GET", "/api/v1/stores/{name}", ROLE_VIEWER, NULL, NULL, get_store},
    {"DELETE", "/api/v1/stores/{name}", ROLE_OPERATOR, NULL, NULL, remove_store},
    {NULL},
};
