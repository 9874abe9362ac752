/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/alerting.h"
#include "appliance/jobs/alert-delivery.h"
#include "appliance/jobs/replication-json.h"
#include "appliance/jobs/scheduler-private.h"
#include "appliance/state/hosts.h"
#include "appliance/state/stores.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define WARNING "warning"
#define CRITICAL "critical"
#define STORES_S 30u

struct alerting {
    struct state *state;
    struct event_hub *hub;
    struct inventory *inventory;
    const struct scheduler_settings *settings;
    struct alert_delivery *delivery;
    GHashTable *raised; /* "kind/object": what the state has as raised */
    guint subscription;
    guint store_timer;
    GCancellable *closing;
};

JsonObject *alert_to_json(const struct state_alert *alert)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "kind", alert->kind);
    json_object_set_string_member(object, "object", alert->object);
    json_object_set_string_member(object, "severity", alert->severity);
    json_object_set_string_member(object, "state", alert->state);
    json_object_set_string_member(object, "message", alert->message);
    json_set_optional_string(object, "hint", alert->hint);
    json_set_time(object, "raised_at", alert->raised_us);
    json_set_time(object, "resolved_at", alert->resolved_us);
    json_set_time(object, "notified_at", alert->notified_us);
    json_set_optional_string(object, "notify_error", alert->notify_error);
    return object;
}

/* --- raised and resolved -------------------------------------------------------------------------
 */

static void publish(struct alerting *alerting, const char *state,
                    const struct state_alert_words *words)
{
    const struct state_alert alert = {.kind = (char *)words->kind,
                                      .object = (char *)words->object,
                                      .severity = (char *)words->severity,
                                      .state = (char *)state,
                                      .message = (char *)words->message,
                                      .hint = (char *)words->hint};
    g_autoptr(JsonObject) json = alert_to_json(&alert);
    event_hub_publish(alerting->hub, "alert", json);
    alert_delivery_go(alerting->delivery);
}

static void raise_alert(struct alerting *alerting, const char *kind, const char *object,
                        const char *severity, const char *message, const char *hint)
{
    const struct state_alert_words words = {kind, object, severity, message, hint};
    g_autofree char *key = g_strconcat(kind, "/", object, NULL);
    g_autoptr(GError) error = NULL;
    gboolean fresh;
    if (g_hash_table_contains(alerting->raised, key))
        return;
    if (!state_alert_raise(alerting->state, &words, &fresh, &error)) {
        scheduler_complain("note an alert", error);
        return;
    }
    g_hash_table_add(alerting->raised, g_steal_pointer(&key));
    if (!fresh)
        return;
    g_warning("alert: %s", message);
    publish(alerting, STATE_ALERT_RAISED, &words);
}

static void resolve_alert(struct alerting *alerting, const char *kind, const char *object)
{
    const struct state_alert_words words = {kind, object, WARNING, "resolved", NULL};
    g_autofree char *key = g_strconcat(kind, "/", object, NULL);
    g_autoptr(GError) error = NULL;
    gboolean changed;
    if (!g_hash_table_contains(alerting->raised, key))
        return;
    if (!state_alert_resolve(alerting->state, kind, object, &changed, &error)) {
        scheduler_complain("note the end of an alert", error);
        return;
    }
    g_hash_table_remove(alerting->raised, key);
    if (changed)
        publish(alerting, STATE_ALERT_RESOLVED, &words);
}

static char *machine_object(gint64 machine)
{
    return g_strdup_printf("machine/%" G_GINT64_FORMAT, machine);
}

/* --- machines ------------------------------------------------------------------------------------
 */

/* SCHEDULE_NEVER for one that is not expected to have recovery points: the first copy takes as long
 * as it takes, and a pause is somebody's wish. */
static gint64 lag_limit(const struct unit *unit)
{
    const struct state_replication *replication = unit->replication;
    if (!replication->ever_committed || replication->paused || unit_is_moving(unit) ||
        replication_is_stopping(replication))
        return SCHEDULE_NEVER;
    gint64 limit_us = schedule_lag_limit_us(replication->last_point_us, unit_interval_us(unit),
                                            unit->scheduler->settings.lag_factor, unit->blackout);
    /* After a start or a pause there is time for one cycle before anybody is told. */
    return MAX(limit_us, unit->since_us + unit_interval_us(unit));
}

static void raise_lag(struct alerting *alerting, const struct unit *unit, gint64 now_us)
{
    g_autofree char *object = machine_object(unit->replication->machine);
    g_autofree char *message =
        g_strdup_printf("machine %s lags: its last recovery point is %" G_GINT64_FORMAT
                        " s old, and it wants one every %" G_GINT64_FORMAT " s",
                        unit->name, scheduler_lag_us(unit->replication, now_us) / G_USEC_PER_SEC,
                        unit_interval_us(unit) / G_USEC_PER_SEC);
    raise_alert(alerting, "lag", object, WARNING, message,
                "`landfall machine show` tells the last error; without one, the limits of running "
                "cycles or the bandwidth are too low for the interval");
}

gint64 alerting_check_lag(struct alerting *alerting, const struct scheduler *scheduler,
                          gint64 now_us)
{
    gint64 next_us = SCHEDULE_NEVER;
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, scheduler->units);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct unit *unit = value;
        gint64 limit_us = lag_limit(unit);
        if (limit_us <= now_us)
            raise_lag(alerting, unit, now_us);
        else
            next_us = MIN(next_us, limit_us);
    }
    return next_us;
}

static gboolean bitmap_missed(JsonObject *result)
{
    JsonArray *disks = json_find_array(result, "disks");
    for (guint i = 0; disks && i < json_array_get_length(disks); i++)
        if (json_find_uint(json_array_get_object_element(disks, i), "audit_misses") > 0)
            return TRUE;
    return FALSE;
}

static void judge_failure(struct alerting *alerting, const struct state_replication *replication,
                          const char *name, const char *object)
{
    const char *cause = json_find_string(replication->error, "message");
    /* What waits for the operator does not become better by waiting. */
    gboolean waits = strcmp(replication->state, "error") == 0;
    if (!replication->error ||
        (!waits && replication->failures < alerting->settings->alert_failures))
        return;
    g_autofree char *message =
        waits ? g_strdup_printf("machine %s: cycles fail until somebody acts: %s", name, cause)
              : g_strdup_printf("machine %s: %" G_GINT64_FORMAT " cycles in a row have failed: %s",
                                name, replication->failures, cause);
    raise_alert(alerting, "failing", object, CRITICAL, message,
                json_find_string(replication->error, "hint"));
}

void alerting_cycle_ended(struct alerting *alerting, const struct state_replication *replication,
                          const char *name, JsonObject *result)
{
    g_autofree char *object = machine_object(replication->machine);
    if (!result) {
        judge_failure(alerting, replication, name, object);
        return;
    }
    resolve_alert(alerting, "failing", object);
    resolve_alert(alerting, "lag", object);
    if (!bitmap_missed(result)) {
        resolve_alert(alerting, "bitmap-missed", object);
        return;
    }
    g_autofree char *message = g_strdup_printf(
        "machine %s: a block had changed that the dirty bitmap called clean; all of the disk was "
        "read and compared at once, and the recovery point is right",
        name);
    raise_alert(alerting, "bitmap-missed", object, WARNING, message,
                "look for what wrote to the disk's image past QEMU, or shrank and regrew it");
}

void alerting_machine(struct alerting *alerting, const char *kind, gint64 machine,
                      const char *message, const char *hint)
{
    g_autofree char *object = machine_object(machine);
    if (message)
        raise_alert(alerting, kind, object, CRITICAL, message, hint);
    else
        resolve_alert(alerting, kind, object);
}

void alerting_forget(struct alerting *alerting, gint64 machine)
{
    static const char *const kinds[] = {"lag", "failing", "bitmap-missed", "rehearsal-failed"};
    g_autofree char *object = machine_object(machine);
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
        resolve_alert(alerting, kinds[i], object);
}

/* --- hosts and stores ----------------------------------------------------------------------------
 */

static void on_hub_event(const struct event *event, gpointer data)
{
    struct alerting *alerting = data;
    const char *host = json_find_string(event->object, "host");
    const char *status = json_find_string(event->object, "status");
    const char *detail = json_find_string(event->object, "detail");
    if (strcmp(event->topic, "host") != 0 || !host || !status)
        return;
    g_autofree char *object = g_strconcat("host/", host, NULL);
    g_autofree char *message =
        g_strdup_printf("host %s does not answer: %s", host, detail ? detail : "no reason given");
    if (strcmp(status, "lost") == 0)
        raise_alert(alerting, "host-lost", object, CRITICAL, message,
                    json_find_string(event->object, "hint"));
    else
        resolve_alert(alerting, "host-lost", object);
}

static void check_space(struct alerting *alerting, const char *store, const char *object,
                        JsonObject *seen)
{
    guint64 free_bytes = json_find_uint(seen, "free_bytes");
    guint64 size_bytes = json_find_uint(seen, "size_bytes");
    if (free_bytes > size_bytes / 100 * (guint64)alerting->settings->alert_store_free_percent) {
        resolve_alert(alerting, "store-full", object);
        return;
    }
    g_autofree char *left = g_format_size_full(free_bytes, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *message = g_strdup_printf("store %s is nearly full: %s are left", store, left);
    raise_alert(alerting, "store-full", object, CRITICAL, message,
                "give it space, keep fewer recovery points, or move machines to another store");
}

static void check_store(struct alerting *alerting, const char *store)
{
    g_autofree char *object = g_strconcat("store/", store, NULL);
    g_autoptr(JsonObject) seen = inventory_store(alerting->inventory, store);
    const char *problem = json_find_string(seen, "error");
    if (!seen)
        return;
    if (!problem) {
        resolve_alert(alerting, "store-lost", object);
        check_space(alerting, store, object, seen);
        return;
    }
    g_autofree char *message = g_strdup_printf("store %s cannot be used: %s", store, problem);
    raise_alert(alerting, "store-lost", object, CRITICAL, message,
                "mount or repair it; its replicas go on as soon as it is back");
}

static void check_stores(struct alerting *alerting)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) stores = state_store_list(alerting->state, &error);
    if (!stores)
        scheduler_complain("read the stores", error);
    for (guint i = 0; stores && i < stores->len; i++)
        check_store(alerting, ((const struct state_store *)stores->pdata[i])->name);
}

/* Whether the operator has taken the host or store away that the alert is about. */
static gboolean has_gone(struct alerting *alerting, const char *kind, const char *name)
{
    g_autoptr(GError) error = NULL;
    if (strcmp(kind, "host-lost") == 0)
        state_host_free(state_host_get(alerting->state, name, &error));
    else
        state_store_free(state_store_get(alerting->state, name, &error));
    return g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_MISSING);
}

static void resolve_gone(struct alerting *alerting)
{
    g_autofree char **keys = (char **)g_hash_table_get_keys_as_array(alerting->raised, NULL);
    for (char **key = keys; *key; key++) {
        g_auto(GStrv) parts = g_strsplit(*key, "/", 3); /* kind, the object's kind, its name */
        if (g_strv_length(parts) == 3 && strcmp(parts[1], "machine") != 0 &&
            has_gone(alerting, parts[0], parts[2])) {
            g_autofree char *object = g_strconcat(parts[1], "/", parts[2], NULL);
            resolve_alert(alerting, parts[0], object);
        }
    }
}

static gboolean on_store_timer(gpointer data)
{
    struct alerting *alerting = data;
    resolve_gone(alerting);
    check_stores(alerting);
    return G_SOURCE_CONTINUE;
}

/* --- beginning and end ---------------------------------------------------------------------------
 */

static void load_raised(struct alerting *alerting)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) alerts = state_alert_list(alerting->state, &error);
    if (!alerts)
        scheduler_complain("read the alerts", error);
    for (guint i = 0; alerts && i < alerts->len; i++) {
        const struct state_alert *alert = alerts->pdata[i];
        if (strcmp(alert->state, STATE_ALERT_RAISED) == 0)
            g_hash_table_add(alerting->raised, g_strconcat(alert->kind, "/", alert->object, NULL));
    }
}

struct alerting *alerting_new(struct state *state, struct event_hub *hub,
                              struct inventory *inventory)
{
    struct alerting *alerting = g_new0(struct alerting, 1);
    alerting->state = state;
    alerting->hub = hub;
    alerting->inventory = inventory;
    alerting->raised = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    alerting->closing = g_cancellable_new();
    alerting->delivery = alert_delivery_new(state, alerting->closing);
    alerting->subscription = event_hub_subscribe(hub, on_hub_event, alerting);
    load_raised(alerting);
    return alerting;
}

void alerting_free(struct alerting *alerting)
{
    if (!alerting)
        return;
    g_cancellable_cancel(alerting->closing);
    g_clear_handle_id(&alerting->store_timer, g_source_remove);
    event_hub_unsubscribe(alerting->hub, alerting->subscription);
    alert_delivery_free(alerting->delivery);
    g_hash_table_unref(alerting->raised);
    g_object_unref(alerting->closing);
    g_free(alerting);
}

void alerting_reload(struct alerting *alerting, const struct scheduler_settings *settings)
{
    alerting->settings = settings;
    g_clear_handle_id(&alerting->store_timer, g_source_remove);
    alerting->store_timer = g_timeout_add_seconds(STORES_S, on_store_timer, alerting);
    on_store_timer(alerting);
    alert_delivery_go(alerting->delivery);
}
