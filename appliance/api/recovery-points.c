/* SPDX-License-Identifier: Apache-2.0 */

/* /machines/{id}/recovery-points: what the store holds of a machine. The store is the truth about
 * it, and may be slow: a thread reads it. */

#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "appliance/state/stores.h"
#include "replicator/store.h"

#include <gio/gio.h>

struct look {
    char *uuid;
    GPtrArray *paths; /* of the stores to look into */
    JsonArray *items;
};

static void look_free(struct look *look)
{
    g_free(look->uuid);
    g_ptr_array_unref(look->paths);
    json_array_unref(look->items);
    g_free(look);
}

static gboolean read_machine(const struct store *store, const struct look *look, GError **error)
{
    struct store_machine *machine = store_machine_open(store, look->uuid, STORE_READ, NULL, error);
    for (guint i = 0; machine && i < machine->manifests->len; i++)
        json_array_add_object_element(look->items, manifest_to_json(machine->manifests->pdata[i]));
    gboolean ok = machine != NULL;
    store_machine_free(machine);
    return ok;
}

/* A store that has nothing of the machine is no error: its first cycle may be under way. */
static gboolean read_store(const char *path, const struct look *look, GError **error)
{
    struct store *store = store_open(path, FALSE, error);
    g_autoptr(GPtrArray) keys = store ? store_list_machines(store, error) : NULL;
    gboolean ok = keys && (!g_ptr_array_find_with_equal_func(keys, look->uuid, g_str_equal, NULL) ||
                           read_machine(store, look, error));
    store_free(store);
    return ok;
}

static void read_stores(GTask *task, G_GNUC_UNUSED gpointer source, gpointer data,
                        G_GNUC_UNUSED GCancellable *cancellable)
{
    const struct look *look = data;
    GError *error = NULL;
    for (guint i = 0; i < look->paths->len; i++) {
        if (!read_store(look->paths->pdata[i], look, &error)) {
            g_task_return_error(task, error);
            return;
        }
    }
    g_task_return_boolean(task, TRUE);
}

static void on_read(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    const struct look *look = g_task_get_task_data(G_TASK(result));
    g_autoptr(GError) error = NULL;
    JsonObject *answer = NULL;
    if (g_task_propagate_boolean(G_TASK(result), &error))
        answer = answer_list(json_array_ref(look->items), 0);
    request_finish(data, answer, error);
}

/* The store that the machine goes to; when it goes nowhere (any more), all that there are. */
static GPtrArray *paths_of(struct state *state, gint64 machine, GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) stores = state_store_list(state, error);
    struct state_replication *replication = state_replication_get(state, machine, NULL);
    for (guint i = 0; stores && i < stores->len; i++) {
        const struct state_store *store = stores->pdata[i];
        if (!replication || g_str_equal(replication->store, store->name))
            g_ptr_array_add(paths, g_strdup(store->path));
    }
    state_replication_free(replication);
    return stores ? g_steal_pointer(&paths) : NULL;
}

static JsonObject *list_points(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    gint64 id;
    if (!request_id(request, 0, &id, error))
        return NULL;
    struct state_machine *machine = state_machine_get(state, id, error);
    GPtrArray *paths = machine ? paths_of(state, id, error) : NULL;
    if (paths) {
        struct look *look = g_new0(struct look, 1);
        look->uuid = g_strdup(machine->uuid);
        look->paths = paths;
        look->items = json_array_new();
        g_autoptr(GTask) task = g_task_new(NULL, NULL, on_read, request);
        g_task_set_task_data(task, look, (GDestroyNotify)look_free);
        request_defer(request);
        g_task_run_in_thread(task, read_stores);
    }
    state_machine_free(machine);
    return NULL;
}

const struct route routes_recovery_points[] = {
    {"GET", "/api/v1/machines/{id}/recovery-points", ROLE_VIEWER, NULL, NULL, list_points},
    {NULL},
};
