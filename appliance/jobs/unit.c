/* SPDX-License-Identifier: Apache-2.0 */

/* A replicated machine: when its next cycle is due, and what the end of one means for it. */

#include "appliance/jobs/job-json.h"
#include "appliance/jobs/replication-json.h"
#include "appliance/jobs/scheduler-private.h"
#include "appliance/state/machines.h"
#include "appliance/state/stores.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

/* What waits for the operator is tried again all the same: he may have mended it on the host. */
#define SLOW_RETRY_US G_TIME_SPAN_HOUR

struct schedule_calendar *unit_calendar(JsonArray *windows, GTimeZone *zone, GError **error)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    for (guint i = 0; windows && i < json_array_get_length(windows); i++)
        g_ptr_array_add(texts, (char *)json_array_get_string_element(windows, i));
    g_ptr_array_add(texts, NULL);
    return schedule_calendar_new((const char *const *)texts->pdata, zone, error);
}

static void replace(char **text, const char *by)
{
    g_free(*text);
    *text = g_strdup(by);
}

gboolean unit_refresh(struct unit *unit, GError **error)
{
    struct state *state = unit->scheduler->state;
    struct state_machine *machine = state_machine_get(state, unit->replication->machine, error);
    struct state_store *store =
        machine ? state_store_get(state, unit->replication->store, error) : NULL;
    struct schedule_calendar *blackout =
        store ? unit_calendar(unit->replication->blackout, unit->scheduler->settings.zone, error)
              : NULL;
    if (blackout) {
        schedule_calendar_free(unit->blackout);
        unit->blackout = blackout;
        unit->host = g_intern_string(machine->host);
        replace(&unit->uuid, machine->uuid);
        replace(&unit->name, machine->name);
        replace(&unit->store_path, store->path);
    }
    state_machine_free(machine);
    state_store_free(store);
    return blackout != NULL;
}

struct unit *unit_new(struct scheduler *scheduler, struct state_replication *replication,
                      GError **error)
{
    struct unit *unit = g_new0(struct unit, 1);
    unit->scheduler = scheduler;
    unit->replication = replication;
    unit->since_us = state_now_us();
    if (unit_refresh(unit, error))
        return unit;
    unit_free(unit);
    return NULL;
}

void unit_free(struct unit *unit)
{
    task_free(unit->task);
    task_free(unit->verify);
    state_job_free(unit->next);
    g_clear_pointer(&unit->interrupted, g_ptr_array_unref);
    state_replication_free(unit->replication);
    schedule_calendar_free(unit->blackout);
    g_free(unit->uuid);
    g_free(unit->name);
    g_free(unit->store_path);
    g_free(unit);
}

gint64 unit_interval_us(const struct unit *unit)
{
    const struct state_replication *replication = unit->replication;
    return schedule_interval_us(replication->interval_s, replication->last_duration_ms * 1000,
                                &unit->scheduler->settings.automatic);
}

gint64 scheduler_lag_us(const struct state_replication *replication, gint64 now_us)
{
    return replication->last_point_us ? MAX(now_us - replication->last_point_us, 0) : 0;
}

/* --- what is next --------------------------------------------------------------------------------
 */

gboolean unit_is_moving(const struct unit *unit)
{
    return replication_is_moving(unit->replication);
}

/* What is going on with it is not the cycles' to say. */
static gboolean is_going(const struct unit *unit)
{
    return replication_is_stopping(unit->replication) || unit_is_moving(unit);
}

static enum queue_rank rank_of(const struct unit *unit, const struct state_job *job)
{
    if (job && json_find_boolean(job->parameters, "final"))
        return QUEUE_FINAL;
    if (job && strcmp(job->kind, STATE_JOB_CLEANUP) == 0)
        return QUEUE_CLEAN;
    if (!unit->replication->ever_committed)
        return QUEUE_INITIAL;
    return job ? QUEUE_MANUAL : QUEUE_DELTA;
}

/* A row that is not in the state yet: scheduled cycles get theirs when they start. */
static struct state_job *scheduled_job(const struct unit *unit)
{
    struct state_job *job = g_new0(struct state_job, 1);
    job->kind = g_strdup(STATE_JOB_CYCLE);
    job->machine = unit->replication->machine;
    job->who = g_strdup("schedule");
    job->state = g_strdup(STATE_JOB_RUNNING);
    job->attempt = unit->replication->failures + 1;
    return job;
}

/* A job that somebody asked for, and that waits, is looked at anew as the next one. */
static void take_back(struct unit *unit)
{
    if (unit->task && unit->task->job->id && !unit->next)
        unit->next = g_steal_pointer(&unit->task->job);
    g_clear_pointer(&unit->task, task_free);
}

/* One that was tried before waits for the time of its next try. */
static struct task *asked_task(struct unit *unit)
{
    struct state_job *job = g_steal_pointer(&unit->next);
    gint64 due_us = job->attempt > 1 ? unit->replication->next_due_us : job->queued_us;
    return task_new(unit, job, rank_of(unit, job), due_us);
}

/* A clock that was wrong and has been set must not put the next cycle off for long. */
static struct task *scheduled_task(struct unit *unit)
{
    gint64 latest_us = state_now_us() + MAX(unit_interval_us(unit), SLOW_RETRY_US);
    gint64 due_us =
        schedule_calendar_open(unit->blackout, MIN(unit->replication->next_due_us, latest_us));
    return task_new(unit, scheduled_job(unit), rank_of(unit, NULL), due_us);
}

void unit_plan(struct unit *unit)
{
    const struct state_replication *replication = unit->replication;
    if (unit->held || (unit->task && !unit->task->waiting))
        return;
    take_back(unit);
    if (unit->next)
        unit->task = asked_task(unit);
    else if (!replication->paused && !is_going(unit))
        unit->task = scheduled_task(unit);
    if (unit->task)
        task_wait(unit->task);
}

void unit_ask(struct unit *unit, struct state_job *job)
{
    if (unit->task && unit->task->waiting)
        g_clear_pointer(&unit->task, task_free);
    state_job_free(unit->next);
    unit->next = job;
    unit_plan(unit);
}

/* --- what a cycle's end means --------------------------------------------------------------------
 */

static gint64 time_of(JsonObject *result)
{
    const char *created = json_find_string(result, "created");
    return created ? job_parse_time(created) : 0;
}

static void take_success(struct state_replication *replication, gint64 started_us,
                         JsonObject *result)
{
    gint64 duration_ms = (gint64)json_find_uint(result, "cycle_ms");
    replication->last_point = (gint64)json_find_uint(result, "number");
    replication->last_point_us = time_of(result);
    replication->last_duration_ms =
        duration_ms ? duration_ms : (state_now_us() - started_us) / 1000;
    replication->failures = 0;
    replication->ever_committed = TRUE;
    g_clear_pointer(&replication->error, json_object_unref);
}

static void set_state(struct unit *unit, const char *state)
{
    if (is_going(unit))
        return;
    g_free(unit->replication->state);
    unit->replication->state = g_strdup(state);
}

static gboolean waits_for_operator(const GError *error)
{
    return g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG) ||
           g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_UNSUPPORTED) ||
           g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
}

void unit_take_result(struct unit *unit, gint64 started_us, JsonObject *result, const GError *error,
                      gboolean cancelled)
{
    struct state_replication *replication = unit->replication;
    gint64 now_us = state_now_us(), interval_us = unit_interval_us(unit);
    if (result) {
        take_success(replication, started_us, result);
        set_state(unit, "replicating");
        replication->next_due_us = started_us + unit_interval_us(unit);
        return;
    }
    if (cancelled && unit->scheduler->draining) {
        replication->next_due_us = now_us; /* nobody wanted it to wait but the end of the daemon */
        return;
    }
    if (cancelled) {
        replication->next_due_us = MAX(replication->next_due_us, now_us + interval_us);
        return;
    }
    replication->failures++;
    g_clear_pointer(&replication->error, json_object_unref);
    replication->error = error_to_json(error);
    gboolean slow = waits_for_operator(error);
    replication->next_due_us =
        now_us + (slow ? MAX(interval_us, SLOW_RETRY_US)
                       : schedule_backoff_us((guint)MIN(replication->failures, 1000), interval_us,
                                             g_random_double()));
    if (slow)
        set_state(unit, "error");
}
