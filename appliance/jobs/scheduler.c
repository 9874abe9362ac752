/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/bandwidth.h"
#include "appliance/jobs/replication-json.h"
#include "appliance/jobs/scheduler-private.h"
#include "appliance/state/machines.h"
#include "base/error.h"

/* Clocks may be set: the timer never sleeps longer than this. */
#define SLEEP_MAX_US (60 * G_USEC_PER_SEC)
#define LATE_WINDOW_US G_TIME_SPAN_HOUR
#define CANCEL_STOPPED "landfalld was stopped"

void scheduler_complain(const char *doing, const GError *error)
{
    g_critical("cannot %s: %s", doing, error ? error->message : "no reason given");
}

struct unit *scheduler_find(struct scheduler *scheduler, gint64 machine, GError **error)
{
    struct unit *unit = g_hash_table_lookup(scheduler->units, &machine);
    if (unit)
        return unit;
    g_autofree char *called = state_machine_called(scheduler->state, machine);
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "`landfall replicate` starts it",
                       "machine %s is not replicated", called);
    return NULL;
}

void scheduler_publish_replication(struct scheduler *scheduler, const struct unit *unit)
{
    g_autoptr(JsonObject) object = replication_to_json(unit->replication);
    json_object_set_int_member(object, "machine", unit->replication->machine);
    json_object_set_string_member(object, "machine_name", unit->name);
    event_hub_publish(scheduler->hub, "replication", object);
}

void scheduler_replan(struct unit *unit)
{
    unit_plan(unit);
    scheduler_publish_replication(unit->scheduler, unit);
    scheduler_pump(unit->scheduler);
}

gint64 scheduler_ask(struct unit *unit, struct state_job *job)
{
    gint64 id = job->id;
    job_publish(unit->scheduler, job);
    unit_ask(unit, job);
    scheduler_pump(unit->scheduler);
    return id;
}

void scheduler_replace_replication(struct unit *unit, struct state_replication *replication)
{
    GHashTable *units = unit->scheduler->units;
    /* The key of the table lies in the replication. */
    g_hash_table_steal(units, &unit->replication->machine);
    state_replication_free(unit->replication);
    unit->replication = replication;
    g_hash_table_insert(units, &replication->machine, unit);
}

/* --- running -------------------------------------------------------------------------------------
 */

/* Whoever runs shares what there is, by what is set now. */
static gint64 share_bandwidth(struct scheduler *scheduler, gint64 now_us)
{
    gint64 until_us;
    guint count = scheduler->running->len;
    guint64 total = scheduler_bandwidth(&scheduler->settings, now_us, &until_us);
    g_autofree guint64 *limits = g_new0(guint64, count + 1);
    g_autofree guint64 *shares = g_new0(guint64, count + 1);
    for (guint i = 0; i < count; i++) {
        const struct task *task = scheduler->running->pdata[i];
        limits[i] = (guint64)task->unit->replication->bandwidth;
    }
    bandwidth_share(total, limits, shares, count);
    for (guint i = 0; i < count; i++)
        task_set_bandwidth(scheduler->running->pdata[i], shares[i]);
    return count ? until_us : SCHEDULE_NEVER;
}

static gboolean on_timer(gpointer data)
{
    struct scheduler *scheduler = data;
    scheduler->timer = 0;
    scheduler_pump(scheduler);
    return G_SOURCE_REMOVE;
}

static void set_timer(struct scheduler *scheduler, gint64 at_us, gint64 now_us)
{
    gint64 sleep_us = CLAMP(at_us - now_us, 0, SLEEP_MAX_US);
    g_clear_handle_id(&scheduler->timer, g_source_remove);
    scheduler->timer = g_timeout_add((guint)((sleep_us + 999) / 1000), on_timer, scheduler);
}

/* By how much starts are later than due, for whoever watches. */
static void note_lateness(struct scheduler *scheduler, const struct task *task, gint64 now_us)
{
    if (now_us - scheduler->late_since_us > LATE_WINDOW_US) {
        scheduler->late_since_us = now_us;
        scheduler->late_us = 0;
    }
    scheduler->late_us = MAX(scheduler->late_us, now_us - task->entry.due_us);
}

static void check_drained(struct scheduler *scheduler)
{
    if (!scheduler->draining || scheduler->running->len > 0 || !scheduler->drained)
        return;
    void (*drained)(void *) = scheduler->drained;
    scheduler->drained = NULL;
    g_clear_handle_id(&scheduler->drain_timer, g_source_remove);
    drained(scheduler->drained_data);
}

void scheduler_pump(struct scheduler *scheduler)
{
    struct queue_entry *entry;
    if (scheduler->draining) {
        check_drained(scheduler);
        return;
    }
    gint64 now_us = state_now_us();
    while ((entry = queue_take(scheduler->queue, &scheduler->settings.limits, now_us))) {
        struct task *task = entry->owner;
        note_lateness(scheduler, task, now_us);
        task_start(task);
    }
    gint64 share_us = share_bandwidth(scheduler, now_us);
    gint64 alert_us = alerting_check_lag(scheduler->alerting, scheduler, now_us);
    gint64 due_us = queue_next_due_us(scheduler->queue, now_us);
    set_timer(scheduler, MIN(MIN(share_us, alert_us), due_us), now_us);
}

/* --- history -------------------------------------------------------------------------------------
 */

guint scheduler_history(const struct scheduler *scheduler, gint64 *ret_before_us)
{
    *ret_before_us = state_now_us() - scheduler->settings.keep_days * G_TIME_SPAN_DAY;
    return (guint)scheduler->settings.keep_jobs;
}

static gboolean on_prune(gpointer data)
{
    struct scheduler *scheduler = data;
    g_autoptr(GError) error = NULL;
    gint64 before_us;
    guint removed = 0, keep = scheduler_history(scheduler, &before_us);
    if (!state_job_prune(scheduler->state, before_us, keep, &removed, &error))
        scheduler_complain("prune the history of jobs", error);
    scheduler->prune_timer = g_timeout_add_seconds(
        removed ? SCHEDULER_FIRST_PRUNE_S : SCHEDULER_PRUNE_S, on_prune, scheduler);
    return G_SOURCE_REMOVE;
}

/* --- beginning and end ---------------------------------------------------------------------------
 */

static gboolean load_units(struct scheduler *scheduler, GError **error)
{
    g_autoptr(GPtrArray) replications = state_replication_list(scheduler->state, error);
    if (!replications)
        return FALSE;
    while (replications->len > 0) {
        g_autoptr(GError) cause = NULL;
        struct state_replication *replication = g_ptr_array_steal_index(replications, 0);
        gint64 machine = replication->machine;
        struct unit *unit = unit_new(scheduler, replication, &cause);
        if (!unit) {
            g_critical("machine %" G_GINT64_FORMAT " is not replicated: %s", machine,
                       cause->message);
            continue;
        }
        unit->held = TRUE;
        g_hash_table_insert(scheduler->units, &unit->replication->machine, unit);
    }
    return TRUE;
}

struct scheduler *scheduler_new(struct state *state, struct event_hub *hub,
                                struct inventory *inventory, GError **error)
{
    struct scheduler *scheduler = g_new0(struct scheduler, 1);
    scheduler->state = state;
    scheduler->hub = hub;
    scheduler->inventory = inventory;
    scheduler->queue = queue_new();
    scheduler->units =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify)unit_free);
    scheduler->running = g_ptr_array_new();
    scheduler->closing = g_cancellable_new();
    scheduler->alerting = alerting_new(state, hub, inventory);
    if (scheduler_settings_load(&scheduler->settings, state, error) &&
        load_units(scheduler, error) && scheduler_reconcile(scheduler, error)) {
        alerting_reload(scheduler->alerting, &scheduler->settings);
        scheduler->prune_timer =
            g_timeout_add_seconds(SCHEDULER_FIRST_PRUNE_S, on_prune, scheduler);
        scheduler_pump(scheduler);
        return scheduler;
    }
    scheduler_free(scheduler);
    return NULL;
}

void scheduler_free(struct scheduler *scheduler)
{
    if (!scheduler)
        return;
    g_clear_handle_id(&scheduler->timer, g_source_remove);
    g_clear_handle_id(&scheduler->save_timer, g_source_remove);
    g_clear_handle_id(&scheduler->prune_timer, g_source_remove);
    g_clear_handle_id(&scheduler->drain_timer, g_source_remove);
    g_cancellable_cancel(scheduler->closing);
    g_clear_pointer(&scheduler->orphans, g_ptr_array_unref);
    g_hash_table_unref(scheduler->units);
    g_ptr_array_unref(scheduler->running);
    queue_free(scheduler->queue);
    alerting_free(scheduler->alerting);
    scheduler_settings_clear(&scheduler->settings);
    g_object_unref(scheduler->closing);
    g_free(scheduler);
}

static gboolean on_drain_late(gpointer data)
{
    struct scheduler *scheduler = data;
    scheduler->drain_timer = 0;
    for (guint i = 0; i < scheduler->running->len; i++)
        task_cancel(scheduler->running->pdata[i], CANCEL_STOPPED);
    return G_SOURCE_REMOVE;
}

void scheduler_drain(struct scheduler *scheduler, void (*drained)(void *data), void *data)
{
    scheduler->draining = TRUE;
    scheduler->drained = drained;
    scheduler->drained_data = data;
    g_clear_handle_id(&scheduler->timer, g_source_remove);
    scheduler->drain_timer =
        g_timeout_add_seconds((guint)scheduler->settings.drain_s, on_drain_late, scheduler);
    check_drained(scheduler);
}

gboolean scheduler_reload(struct scheduler *scheduler, GError **error)
{
    if (!scheduler_settings_load(&scheduler->settings, scheduler->state, error))
        return FALSE;
    alerting_reload(scheduler->alerting, &scheduler->settings);
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, scheduler->units);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        g_autoptr(GError) cause = NULL;
        struct unit *unit = value;
        if (!unit_refresh(unit, &cause))
            scheduler_complain("take over the settings", cause);
        unit_plan(unit);
    }
    scheduler_pump(scheduler);
    return TRUE;
}

void scheduler_get_figures(const struct scheduler *scheduler, struct scheduler_figures *ret_figures)
{
    *ret_figures = (struct scheduler_figures){
        .running = queue_running(scheduler->queue),
        .waiting = queue_waiting(scheduler->queue, state_now_us()),
        .machines = g_hash_table_size(scheduler->units),
        .late_us = scheduler->late_us,
    };
}
