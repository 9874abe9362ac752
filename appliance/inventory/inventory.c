/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/inventory.h"
#include "appliance/inventory/credentials.h"
#include "appliance/inventory/host-watch.h"
#include "appliance/inventory/store-look.h"
#include "appliance/state/hosts.h"
#include "appliance/state/machines.h"
#include "appliance/state/replications.h"
#include "appliance/state/settings.h"
#include "appliance/state/stores.h"
#include "base/json.h"

/* How long the end of the program waits for threads that are about to end themselves. */
#define FINISH_US (2 * G_USEC_PER_SEC)

/* Machines that a host no longer has are forgotten after a while, unless they are replicated. */
#define FORGET_US (30 * 24 * 3600 * (gint64)G_USEC_PER_SEC)

struct inventory {
    struct watch_settings settings;
    struct store_looks *stores;
    GHashTable *watches; /* by name: struct host_watch * */
    guint ticking;
    gint64 next_look_us; /* at the stores */
};

static void tick_slowly(struct inventory *inventory, gint64 now_us)
{
    g_autoptr(GError) error = NULL;
    inventory->next_look_us = now_us + (gint64)inventory->settings.interval_s * G_USEC_PER_SEC;
    store_looks_begin(inventory->stores);
    if (!state_machine_forget(inventory->settings.state, state_now_us() - FORGET_US, &error))
        g_warning("%s", error->message);
}

static gboolean on_tick(gpointer data)
{
    struct inventory *inventory = data;
    gint64 now_us = g_get_monotonic_time();
    GHashTableIter iter;
    gpointer watch;
    g_hash_table_iter_init(&iter, inventory->watches);
    while (g_hash_table_iter_next(&iter, NULL, &watch))
        host_watch_tick(watch);
    if (now_us >= inventory->next_look_us)
        tick_slowly(inventory, now_us);
    return G_SOURCE_CONTINUE;
}

static void on_taken(gpointer data, const char *from_host, const char *uuid)
{
    struct inventory *inventory = data;
    struct host_watch *watch = g_hash_table_lookup(inventory->watches, from_host);
    if (watch)
        host_watch_forget(watch, uuid);
}

static gboolean watch_host(struct inventory *inventory, const char *host, GError **error)
{
    struct host_watch *watch = host_watch_new(&inventory->settings, host, error);
    if (watch)
        g_hash_table_insert(inventory->watches, g_strdup(host), watch);
    return watch != NULL;
}

static gboolean watch_all(struct inventory *inventory, GError **error)
{
    g_autoptr(GPtrArray) hosts = state_host_list(inventory->settings.state, error);
    for (guint i = 0; hosts && i < hosts->len; i++) {
        const struct state_host *host = hosts->pdata[i];
        if (!watch_host(inventory, host->name, error))
            return FALSE;
    }
    return hosts != NULL;
}

/* A setting that cannot be read leaves what was. */
static void read_setting(struct state *state, const char *name, guint *value)
{
    g_autoptr(GError) error = NULL;
    gint64 number;
    if (state_setting_int(state, name, &number, &error))
        *value = (guint)number;
    else
        g_warning("%s", error->message);
}

void inventory_reload(struct inventory *inventory)
{
    struct watch_settings *settings = &inventory->settings;
    read_setting(settings->state, "inventory_interval_s", &settings->interval_s);
    read_setting(settings->state, "host_deadline_s", &settings->deadline_s);
    read_setting(settings->state, "guest_deadline_s", &settings->guest_deadline_s);
}

void inventory_stores_changed(struct inventory *inventory)
{
    store_looks_begin(inventory->stores);
}

struct inventory *inventory_new(struct state *state, struct event_hub *hub, const char *runtime_dir,
                                GError **error)
{
    struct inventory *inventory = g_new0(struct inventory, 1);
    inventory->settings.state = state;
    inventory->settings.hub = hub;
    inventory->settings.runtime_dir = g_strdup(runtime_dir);
    inventory->settings.taken = on_taken;
    inventory->settings.taken_data = inventory;
    inventory->settings.interval_s = 30;
    inventory->settings.deadline_s = 20;
    inventory->settings.guest_deadline_s = 10;
    inventory->watches = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    inventory->stores = store_looks_new(state);
    credentials_forget(runtime_dir, NULL);
    inventory_reload(inventory);
    if (!watch_all(inventory, error)) {
        inventory_free(inventory);
        return NULL;
    }
    inventory->ticking = g_timeout_add_seconds(1, on_tick, inventory);
    return inventory;
}

void inventory_free(struct inventory *inventory)
{
    if (!inventory)
        return;
    gint64 until_us = g_get_monotonic_time() + FINISH_US;
    GHashTableIter iter;
    gpointer watch;
    g_clear_handle_id(&inventory->ticking, g_source_remove);
    g_hash_table_iter_init(&iter, inventory->watches);
    while (g_hash_table_iter_next(&iter, NULL, &watch))
        host_watch_free(watch, until_us);
    g_hash_table_unref(inventory->watches);
    store_looks_free(inventory->stores, until_us);
    g_free(inventory->settings.runtime_dir);
    g_free(inventory);
}

void inventory_host_changed(struct inventory *inventory, const char *host)
{
    g_autoptr(GError) error = NULL;
    struct host_watch *watch = g_hash_table_lookup(inventory->watches, host);
    struct state_host *known = state_host_get(inventory->settings.state, host, &error);
    if (watch && known) {
        host_watch_reconnect(watch);
    } else if (watch) {
        g_hash_table_remove(inventory->watches, host);
        host_watch_free(watch, 0);
    } else if (known && !watch_host(inventory, host, &error)) {
        g_warning("host %s: %s", host, error->message);
    }
    state_host_free(known);
}

gboolean inventory_refresh(struct inventory *inventory, const char *host)
{
    struct host_watch *watch = g_hash_table_lookup(inventory->watches, host);
    if (watch)
        host_watch_refresh(watch);
    return watch != NULL;
}

gboolean inventory_look(struct inventory *inventory, const char *host, const char *uuid,
                        inventory_looked looked, gpointer data)
{
    struct host_watch *watch = g_hash_table_lookup(inventory->watches, host);
    if (watch)
        host_watch_look(watch, uuid, looked, data);
    return watch != NULL;
}

void inventory_look_away(struct inventory *inventory, gconstpointer data)
{
    GHashTableIter iter;
    gpointer watch;
    g_hash_table_iter_init(&iter, inventory->watches);
    while (g_hash_table_iter_next(&iter, NULL, &watch))
        host_watch_look_away(watch, data);
}

char *inventory_host_uri(struct inventory *inventory, const char *host, GError **error)
{
    const struct watch_settings *settings = &inventory->settings;
    struct credentials *credentials =
        credentials_load(settings->state, settings->runtime_dir, host, error);
    if (!credentials)
        return NULL;
    char *uri = g_steal_pointer(&credentials->uri);
    credentials_free(credentials);
    return uri;
}

JsonObject *inventory_store(struct inventory *inventory, const char *store)
{
    struct readiness_store seen = {0};
    if (!store_looks_get(inventory->stores, store, &seen) ||
        !store_looks_have_seen(inventory->stores, store))
        return NULL;
    JsonObject *object = json_object_new();
    json_set_optional_string(object, "id", seen.id);
    if (seen.problem) {
        json_object_set_string_member(object, "error", seen.problem);
    } else {
        json_object_set_int_member(object, "free_bytes", (gint64)seen.free_bytes);
        json_object_set_int_member(object, "size_bytes", (gint64)seen.size_bytes);
    }
    return object;
}

/* --- readiness -----------------------------------------------------------------------------------
 */

/* The machines of other hosts that may run a copy. Their facts may be many, so no others are read.
 */
static GPtrArray *machines_of_targets(struct state *state, const struct state_machine *machine,
                                      const GPtrArray *hosts, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)state_machine_free);
    for (guint i = 0; i < hosts->len; i++) {
        const struct state_host *host = hosts->pdata[i];
        if (g_strcmp0(host->role, "source") == 0 || g_strcmp0(host->name, machine->host) == 0)
            continue;
        g_autoptr(GPtrArray) machines = state_machine_list(state, host->name, NULL, error);
        if (!machines)
            return NULL;
        g_ptr_array_extend_and_steal(all, g_steal_pointer(&machines));
    }
    return g_steal_pointer(&all);
}

/* What the entries point to is borrowed. */
static GArray *others_of(const GPtrArray *machines)
{
    GArray *others = g_array_new(FALSE, FALSE, sizeof(struct readiness_other));
    for (guint i = 0; i < machines->len; i++) {
        const struct state_machine *other = machines->pdata[i];
        const struct readiness_other entry = {other->host, other->name, other->uuid, other->facts};
        if (!other->gone_us)
            g_array_append_val(others, entry);
    }
    return others;
}

/* A machine that is not replicated has none. */
static struct state_replication *replication_of(struct inventory *inventory, gint64 machine)
{
    return state_replication_get(inventory->settings.state, machine, NULL);
}

static GStrv excluded_disks(const struct state_replication *replication)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    JsonArray *array = replication ? replication->exclude_disks : NULL;
    for (guint i = 0; array && i < json_array_get_length(array); i++)
        g_strv_builder_add(names, json_array_get_string_element(array, i));
    return g_strv_builder_end(names);
}

static JsonObject *judge(struct inventory *inventory, const struct state_machine *machine,
                         const char *store_name, GError **error)
{
    struct state *state = inventory->settings.state;
    g_autoptr(GPtrArray) hosts = state_host_list(state, error);
    g_autoptr(GPtrArray) machines =
        hosts ? machines_of_targets(state, machine, hosts, error) : NULL;
    struct state_host *host = machines ? state_host_get(state, machine->host, error) : NULL;
    if (!host)
        return NULL;
    struct state_replication *replication = replication_of(inventory, machine->id);
    struct readiness_store store = {
        .has_copy = replication && replication->ever_committed &&
                    (!store_name || g_strcmp0(store_name, replication->store) == 0),
    };
    g_auto(GStrv) excluded = excluded_disks(replication);
    g_autoptr(GArray) others = others_of(machines);
    if (!store_name && replication)
        store_name = replication->store;
    gboolean has_store = store_looks_get(inventory->stores, store_name, &store);
    const struct readiness_input input = {
        .host = host->name,
        .host_status = host->status,
        .host_detail = host->status_detail,
        .name = machine->name,
        .uuid = machine->uuid,
        .power = machine->power,
        .gone = machine->gone_us != 0,
        .facts = machine->facts,
        .exclude_disks = (const char *const *)excluded,
        .store = has_store ? &store : NULL,
        .others = (const struct readiness_other *)(void *)others->data,
        .other_count = others->len,
    };
    JsonObject *result = readiness_judge(&input);
    state_replication_free(replication);
    state_host_free(host);
    return result;
}

JsonObject *inventory_readiness(struct inventory *inventory, gint64 machine, const char *store,
                                GError **error)
{
    struct state *state = inventory->settings.state;
    struct state_store *wanted = store ? state_store_get(state, store, error) : NULL;
    if (store && !wanted)
        return NULL;
    state_store_free(wanted);
    struct state_machine *known = state_machine_get(state, machine, error);
    JsonObject *result = known ? judge(inventory, known, store, error) : NULL;
    state_machine_free(known);
    return result;
}
