/* SPDX-License-Identifier: Apache-2.0 */

/* /metrics: what was counted, and how things are now, for Prometheus. */

#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/metrics.h"
#include "appliance/api/request.h"
#include "appliance/inventory/inventory.h"
#include "appliance/jobs/scheduler.h"
#include "appliance/state/alerts.h"
#include "appliance/state/hosts.h"
#include "appliance/state/machines.h"
#include "appliance/state/replications.h"
#include "appliance/state/stores.h"

static void append_counts(GString *text, const char *name, const char *label, GHashTable *counts)
{
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, counts);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const char *const labels[] = {label, key, NULL};
        metrics_append_sample(text, name, labels, GPOINTER_TO_UINT(value));
    }
}

static void count(GHashTable *counts, const char *key)
{
    guint number = GPOINTER_TO_UINT(g_hash_table_lookup(counts, key));
    g_hash_table_insert(counts, (gpointer)key, GUINT_TO_POINTER(number + 1));
}

static gboolean append_hosts(GString *text, struct state *state, GError **error)
{
    g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) hosts = state_host_list(state, error);
    if (!hosts)
        return FALSE;
    for (guint i = 0; i < hosts->len; i++)
        count(counts, ((struct state_host *)hosts->pdata[i])->status);
    metrics_append_head(text, "landfall_hosts", "gauge", "Hosts by status.");
    append_counts(text, "landfall_hosts", "status", counts);
    return TRUE;
}

static void append_lag(GString *text, GHashTable *replications, GPtrArray *machines)
{
    gint64 now_us = state_now_us();
    metrics_append_head(text, "landfall_replication_lag_seconds", "gauge",
                        "Age of the latest recovery point.");
    for (guint i = 0; i < machines->len; i++) {
        const struct state_machine *machine = machines->pdata[i];
        const struct state_replication *replication =
            g_hash_table_lookup(replications, &machine->id);
        if (!replication || !replication->last_point_us)
            continue;
        const char *const labels[] = {"machine",     machine->name, "host",
                                      machine->host, "store",       replication->store,
                                      "uuid",        machine->uuid, NULL};
        metrics_append_sample(text, "landfall_replication_lag_seconds", labels,
                              (double)(now_us - replication->last_point_us) / G_USEC_PER_SEC);
    }
}

static gboolean append_machines(GString *text, struct state *state, GError **error)
{
    g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) by_machine = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_autoptr(GPtrArray) machines = state_machine_list(state, NULL, NULL, error);
    g_autoptr(GPtrArray) replications = machines ? state_replication_list(state, error) : NULL;
    if (!replications)
        return FALSE;
    for (guint i = 0; i < replications->len; i++) {
        struct state_replication *replication = replications->pdata[i];
        g_hash_table_insert(by_machine, &replication->machine, replication);
    }
    for (guint i = 0; i < machines->len; i++)
        count(counts, answer_state_word(g_hash_table_lookup(
                          by_machine, &((struct state_machine *)machines->pdata[i])->id)));
    metrics_append_head(text, "landfall_machines", "gauge", "Machines by state.");
    append_counts(text, "landfall_machines", "state", counts);
    append_lag(text, by_machine, machines);
    return TRUE;
}

/* One family for each member that the inventory knows of a store. */
static void append_store_figure(GString *text, struct api *api, const GPtrArray *stores,
                                const char *family, const char *help, const char *member)
{
    metrics_append_head(text, family, "gauge", help);
    for (guint i = 0; i < stores->len; i++) {
        const char *name = ((struct state_store *)stores->pdata[i])->name;
        const char *const labels[] = {"store", name, NULL};
        g_autoptr(JsonObject) seen = inventory_store(api->inventory, name);
        if (seen && json_object_has_member(seen, member))
            metrics_append_sample(text, family, labels,
                                  (double)json_object_get_int_member(seen, member));
    }
}

static gboolean append_stores(GString *text, struct api *api, GError **error)
{
    g_autoptr(GPtrArray) stores = state_store_list(api->state, error);
    if (!stores)
        return FALSE;
    append_store_figure(text, api, stores, "landfall_store_free_bytes",
                        "Free space of a store's file system.", "free_bytes");
    append_store_figure(text, api, stores, "landfall_store_size_bytes",
                        "Size of a store's file system.", "size_bytes");
    return TRUE;
}

static void append_scheduler(GString *text, const struct scheduler *scheduler)
{
    struct scheduler_figures figures;
    scheduler_get_figures(scheduler, &figures);
    metrics_append_head(text, "landfall_jobs_running", "gauge",
                        "Jobs that run, each a child process.");
    metrics_append_sample(text, "landfall_jobs_running", NULL, figures.running);
    metrics_append_head(text, "landfall_jobs_waiting", "gauge", "Jobs that are due and wait.");
    metrics_append_sample(text, "landfall_jobs_waiting", NULL, figures.waiting);
    metrics_append_head(text, "landfall_scheduler_late_seconds", "gauge",
                        "By how much the latest start of the last hour was later than due.");
    metrics_append_sample(text, "landfall_scheduler_late_seconds", NULL,
                          (double)figures.late_us / G_USEC_PER_SEC);
}

static gboolean append_alerts(GString *text, struct state *state, GError **error)
{
    g_autoptr(GPtrArray) alerts = state_alert_list(state, error);
    if (!alerts)
        return FALSE;
    metrics_append_head(text, "landfall_alert", "gauge", "1 while the alert is raised.");
    for (guint i = 0; i < alerts->len; i++) {
        const struct state_alert *alert = alerts->pdata[i];
        const char *const labels[] = {"kind",     alert->kind,     "object", alert->object,
                                      "severity", alert->severity, NULL};
        metrics_append_sample(text, "landfall_alert", labels,
                              g_str_equal(alert->state, STATE_ALERT_RAISED));
    }
    return TRUE;
}

static JsonObject *get_metrics(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    static const char *const version[] = {"version", LANDFALL_VERSION, NULL};
    g_autoptr(GString) text = g_string_new(NULL);
    metrics_append_head(text, "landfall_build_info", "gauge", "The version that runs.");
    metrics_append_sample(text, "landfall_build_info", version, 1);
    metrics_append(api->metrics, text);
    metrics_append_head(text, "landfall_event_streams", "gauge", "Clients that read events.");
    metrics_append_sample(text, "landfall_event_streams", NULL, api->streams.length);
    append_scheduler(text, api->scheduler);
    if (append_hosts(text, api->state, error) && append_machines(text, api->state, error) &&
        append_stores(text, api, error) && append_alerts(text, api->state, error))
        request_answer_text(request, "text/plain; version=0.0.4; charset=utf-8", text->str);
    return NULL;
}

const struct route routes_metrics[] = {
    {"GET", "/metrics", ROLE_VIEWER, NULL, NULL, get_metrics},
    {NULL},
};
