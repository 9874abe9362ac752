/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/store-space.h"
#include "appliance/state/stores.h"

#include <sys/statvfs.h>

struct look {
    char *store, *path;
    store_space_callback callback;
    void *data;
    guint64 free_bytes, size_bytes; /* found by the thread */
};

/* Stores whose look has not ended: one that hangs gets no second thread. The main thread's. */
static GHashTable *pending;

/* In either thread: whichever lets go of the task last. */
static void look_free(struct look *look)
{
    g_free(look->store);
    g_free(look->path);
    g_free(look);
}

static void look_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    struct look *look = data;
    struct statvfs about;
    (void)source;
    (void)cancellable;
    if (statvfs(look->path, &about) == 0) {
        look->free_bytes = (guint64)about.f_bavail * about.f_frsize;
        look->size_bytes = (guint64)about.f_blocks * about.f_frsize;
    }
    g_task_return_boolean(task, TRUE);
}

static void on_looked(GObject *source, GAsyncResult *result, gpointer data)
{
    const struct look *look = g_task_get_task_data(G_TASK(result));
    (void)source;
    (void)data;
    g_hash_table_remove(pending, look->store);
    if (look->size_bytes && !g_cancellable_is_cancelled(g_task_get_cancellable(G_TASK(result))))
        look->callback(look->data, look->store, look->free_bytes, look->size_bytes);
}

void store_space_look(struct state *state, GCancellable *closing, store_space_callback callback,
                      void *data)
{
    g_autoptr(GPtrArray) stores = state_store_list(state, NULL);
    if (!pending)
        pending = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; stores && i < stores->len; i++) {
        const struct state_store *store = stores->pdata[i];
        if (!g_hash_table_add(pending, g_strdup(store->name)))
            continue;
        struct look *look = g_new0(struct look, 1);
        look->store = g_strdup(store->name);
        look->path = g_strdup(store->path);
        look->callback = callback;
        look->data = data;
        g_autoptr(GTask) task = g_task_new(NULL, closing, on_looked, NULL);
        g_task_set_task_data(task, look, (GDestroyNotify)look_free);
        g_task_run_in_thread(task, look_thread);
    }
}
