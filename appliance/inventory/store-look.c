/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/store-look.h"
#include "appliance/inventory/lane.h"
#include "appliance/state/stores.h"
#include "replicator/store.h"

#include <errno.h>
#include <sys/statvfs.h>

#define DEADLINE_S 20u

struct look {
    struct lane *lane;
    gboolean is_seen;
    char *path;
    char *id;      /* or NULL */
    char *problem; /* or NULL */
    guint64 free_bytes;
    guint64 size_bytes;
};

struct store_looks {
    struct state *state;
    struct lane_hung *hung;
    GHashTable *by_name; /* struct look */
};

struct sight {
    char *id;
    char *problem;
    guint64 free_bytes;
    guint64 size_bytes;
};

static void sight_free(gpointer data)
{
    struct sight *sight = data;
    g_free(sight->id);
    g_free(sight->problem);
    g_free(sight);
}

static void on_seen(gpointer receiver, gpointer result)
{
    struct look *look = receiver;
    struct sight *sight = result;
    look->is_seen = TRUE;
    g_free(look->id);
    g_free(look->problem);
    look->id = g_steal_pointer(&sight->id);
    look->problem = g_steal_pointer(&sight->problem);
    look->free_bytes = sight->free_bytes;
    look->size_bytes = sight->size_bytes;
}

/* In the lane's thread; its context is the path. */
static void job_look(struct lane *lane, gpointer path, const char *argument)
{
    struct sight *sight = g_new0(struct sight, 1);
    g_autoptr(GError) error = NULL;
    struct statvfs room;
    (void)argument;
    lane_step(lane, "look", DEADLINE_S * 1000);
    struct store *store = store_open(path, FALSE, &error);
    if (store)
        sight->id = g_strdup(store->id);
    store_free(store);
    if (!store)
        sight->problem = g_strdup(error->message);
    else if (statvfs(path, &room) != 0)
        sight->problem = g_strdup(g_strerror(errno));
    else {
        sight->free_bytes = (guint64)room.f_bavail * room.f_frsize;
        sight->size_bytes = (guint64)room.f_blocks * room.f_frsize;
    }
    lane_post(lane, on_seen, sight, sight_free);
}

static struct look *look_new(struct store_looks *looks, const char *path)
{
    struct look *look = g_new0(struct look, 1);
    look->path = g_strdup(path);
    look->problem = g_strdup("it has not been looked at yet");
    look->lane = lane_new("store", g_strdup(path), g_free, looks->hung, look);
    return look;
}

static void look_free(struct look *look, gint64 until_us)
{
    lane_finish(look->lane, until_us);
    g_free(look->path);
    g_free(look->id);
    g_free(look->problem);
    g_free(look);
}

static void look_drop(gpointer look)
{
    look_free(look, 0);
}

struct store_looks *store_looks_new(struct state *state)
{
    struct store_looks *looks = g_new0(struct store_looks, 1);
    looks->state = state;
    looks->hung = lane_hung_new();
    looks->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, look_drop);
    store_looks_begin(looks);
    return looks;
}

void store_looks_free(struct store_looks *looks, gint64 until_us)
{
    if (!looks)
        return;
    GHashTableIter iter;
    gpointer name, look;
    g_hash_table_iter_init(&iter, looks->by_name);
    while (g_hash_table_iter_next(&iter, &name, &look)) {
        g_hash_table_iter_steal(&iter);
        g_free(name);
        look_free(look, until_us);
    }
    g_hash_table_unref(looks->by_name);
    lane_hung_unref(looks->hung);
    g_free(looks);
}

static gboolean is_unknown(gpointer name, gpointer value, gpointer data)
{
    const GPtrArray *stores = data;
    const struct look *look = value;
    for (guint i = 0; i < stores->len; i++) {
        const struct state_store *store = stores->pdata[i];
        if (g_strcmp0(store->name, name) == 0)
            return g_strcmp0(store->path, look->path) != 0;
    }
    return TRUE;
}

/* A look that hangs is not begun twice: the lane has one thread, and a job waits in it once. */
void store_looks_begin(struct store_looks *looks)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) stores = state_store_list(looks->state, &error);
    if (!stores) {
        g_warning("stores: %s", error->message);
        return;
    }
    g_hash_table_foreach_remove(looks->by_name, is_unknown, stores);
    for (guint i = 0; i < stores->len; i++) {
        const struct state_store *store = stores->pdata[i];
        struct look *look = g_hash_table_lookup(looks->by_name, store->name);
        if (!look) {
            look = look_new(looks, store->path);
            g_hash_table_insert(looks->by_name, g_strdup(store->name), look);
        }
        lane_push(look->lane, job_look, NULL, FALSE);
    }
}

static void describe(const char *name, struct look *look, struct readiness_store *ret_store)
{
    g_autofree char *what = NULL, *argument = NULL;
    if (lane_overdue(look->lane, &what, &argument)) {
        g_free(look->problem);
        look->problem = g_strdup_printf("its folder does not answer in %u s", DEADLINE_S);
        look->is_seen = TRUE;
    }
    ret_store->name = name;
    ret_store->id = look->id;
    ret_store->problem = look->problem;
    ret_store->free_bytes = look->problem ? 0 : look->free_bytes;
    ret_store->size_bytes = look->problem ? 0 : look->size_bytes;
}

gboolean store_looks_have_seen(const struct store_looks *looks, const char *name)
{
    const struct look *look = g_hash_table_lookup(looks->by_name, name);
    return look && look->is_seen;
}

gboolean store_looks_get(struct store_looks *looks, const char *name,
                         struct readiness_store *ret_store)
{
    gboolean found = FALSE;
    GHashTableIter iter;
    gpointer key, look;
    g_hash_table_iter_init(&iter, looks->by_name);
    while (g_hash_table_iter_next(&iter, &key, &look)) {
        struct readiness_store store = *ret_store;
        describe(key, look, &store);
        gboolean better = !found || (ret_store->problem && !store.problem) ||
                          store.free_bytes > ret_store->free_bytes;
        if (name ? g_strcmp0(name, key) != 0 : !better)
            continue;
        *ret_store = store;
        found = TRUE;
    }
    return found;
}
