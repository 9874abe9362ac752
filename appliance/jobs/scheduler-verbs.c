/* SPDX-License-Identifier: Apache-2.0 */

/* What operators ask of the scheduler. Each verb changes the state and its audit in one
 * transaction, and only then what is in memory. */

#include "appliance/jobs/replication-json.h"
#include "appliance/jobs/scheduler-private.h"
#include "appliance/state/audit.h"
#include "base/error.h"

#include <string.h>

struct state_job *scheduler_new_job(const char *kind, gint64 machine, const char *who,
                                    JsonObject *parameters)
{
    struct state_job *job = g_new0(struct state_job, 1);
    job->kind = g_strdup(kind);
    job->machine = machine;
    job->who = g_strdup(who);
    job->state = g_strdup(STATE_JOB_QUEUED);
    job->attempt = 1;
    job->queued_us = state_now_us();
    job->parameters = parameters;
    return job;
}

static struct unit *find_going(struct scheduler *scheduler, gint64 machine, GError **error)
{
    struct unit *unit = scheduler_find(scheduler, machine, error);
    if (!unit || (!replication_is_stopping(unit->replication) && !unit_is_moving(unit)))
        return unit;
    if (unit_is_moving(unit))
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "landfall report tells how far that is; landfall rollback undoes "
                           "it, landfall complete ends it",
                           "machine %s is %s", unit->name, unit->replication->state);
    else
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "wait until it has ended; `landfall job list` shows it",
                           "the replication of machine %s is being ended", unit->name);
    return NULL;
}

/* --- starting and changing -----------------------------------------------------------------------
 */

static gboolean save_new(struct scheduler *scheduler, const char *who,
                         struct state_replication *replication, struct state_job *job,
                         JsonObject *settings, GError **error)
{
    if (!state_begin(scheduler->state, error))
        return FALSE;
    gboolean ok = state_replication_add(scheduler->state, who, replication, settings, error) &&
                  state_job_add(scheduler->state, job, error);
    return state_end(scheduler->state, ok, error);
}

gboolean scheduler_replicate(struct scheduler *scheduler, const char *who, gint64 machine,
                             JsonObject *settings, gint64 *ret_job, GError **error)
{
    struct state_replication *replication = state_replication_new();
    struct state_job *job = scheduler_new_job(STATE_JOB_CYCLE, machine, who, NULL);
    struct unit *unit = NULL;
    replication->machine = machine;
    replication->state = g_strdup("initial-replication");
    replication->next_due_us = job->queued_us;
    if (replication_settings_apply(replication, settings, TRUE, scheduler->state,
                                   &scheduler->settings, error) &&
        save_new(scheduler, who, replication, job, settings, error))
        unit = unit_new(scheduler, g_steal_pointer(&replication), error);
    state_replication_free(replication);
    if (!unit) {
        state_job_free(job);
        return FALSE;
    }
    *ret_job = job->id;
    g_hash_table_insert(scheduler->units, &unit->replication->machine, unit);
    job_publish(scheduler, job);
    scheduler_publish_replication(scheduler, unit);
    unit_ask(unit, job);
    scheduler_pump(scheduler);
    return TRUE;
}

/* As it would be after the changes: nothing is changed in memory before it is in the state. */
static struct state_replication *changed(struct scheduler *scheduler, gint64 machine,
                                         JsonObject *changes, GError **error)
{
    struct state_replication *replication = state_replication_get(scheduler->state, machine, error);
    if (replication && replication_settings_apply(replication, changes, FALSE, scheduler->state,
                                                  &scheduler->settings, error))
        return replication;
    state_replication_free(replication);
    return NULL;
}

/* A new interval counts from the last start; what waited for the operator is tried at once. */
static void plan_changed(struct unit *unit)
{
    struct state_replication *replication = unit->replication;
    unit->since_us = state_now_us();
    gint64 due_us = replication->last_started_us + unit_interval_us(unit);
    if (replication->error)
        due_us = state_now_us();
    replication->next_due_us = due_us;
    if (unit->task && unit->task->waiting && !unit->task->job->id)
        g_clear_pointer(&unit->task, task_free);
    unit_plan(unit);
}

gboolean scheduler_change(struct scheduler *scheduler, const char *who, gint64 machine,
                          JsonObject *changes, GError **error)
{
    struct unit *unit = find_going(scheduler, machine, error);
    struct state_replication *replication =
        unit ? changed(scheduler, machine, changes, error) : NULL;
    if (!replication || !state_replication_change(scheduler->state, who, "replication.change",
                                                  replication, changes, error)) {
        state_replication_free(replication);
        return FALSE;
    }
    scheduler_replace_replication(unit, replication);
    if (!unit_refresh(unit, error))
        return FALSE;
    plan_changed(unit);
    if (!state_replication_progress(scheduler->state, replication, error))
        return FALSE;
    scheduler_publish_replication(scheduler, unit);
    scheduler_pump(scheduler);
    return TRUE;
}

static gboolean set_paused(struct scheduler *scheduler, const char *who, gint64 machine,
                           gboolean paused, GError **error)
{
    struct unit *unit = find_going(scheduler, machine, error);
    if (!unit)
        return FALSE;
    gboolean before = unit->replication->paused;
    unit->replication->paused = paused;
    if (!state_replication_change(scheduler->state, who,
                                  paused ? "replication.pause" : "replication.resume",
                                  unit->replication, NULL, error)) {
        unit->replication->paused = before;
        return FALSE;
    }
    /* The time of the pause is nobody's lateness. */
    unit->since_us = state_now_us();
    unit->replication->next_due_us = MAX(unit->replication->next_due_us, unit->since_us);
    scheduler_replan(unit);
    return TRUE;
}

gboolean scheduler_pause(struct scheduler *scheduler, const char *who, gint64 machine,
                         GError **error)
{
    return set_paused(scheduler, who, machine, TRUE, error);
}

gboolean scheduler_resume(struct scheduler *scheduler, const char *who, gint64 machine,
                          GError **error)
{
    return set_paused(scheduler, who, machine, FALSE, error);
}

/* --- jobs that are asked for ---------------------------------------------------------------------
 */

static gboolean save_job(struct scheduler *scheduler, const char *who, const char *action,
                         struct state_job *job, GError **error)
{
    if (!state_begin(scheduler->state, error))
        return FALSE;
    gboolean ok =
        state_job_add(scheduler->state, job, error) &&
        state_audit_machine(scheduler->state, who, action, job->machine, job->parameters, error);
    return state_end(scheduler->state, ok, error);
}

gboolean scheduler_sync(struct scheduler *scheduler, const char *who, gint64 machine,
                        gint64 *ret_job, GError **error)
{
    struct unit *unit = find_going(scheduler, machine, error);
    if (!unit)
        return FALSE;
    const struct state_job *there = unit->next ? unit->next : unit->task ? unit->task->job : NULL;
    if (there && there->id) {
        *ret_job = there->id;
        return TRUE;
    }
    struct state_job *job = scheduler_new_job(STATE_JOB_CYCLE, machine, who, NULL);
    if (!save_job(scheduler, who, "replication.sync", job, error)) {
        state_job_free(job);
        return FALSE;
    }
    *ret_job = scheduler_ask(unit, job);
    return TRUE;
}

gboolean scheduler_verify(struct scheduler *scheduler, const char *who, gint64 machine,
                          gint64 recovery_point, gint64 *ret_job, GError **error)
{
    struct unit *unit = find_going(scheduler, machine, error);
    if (!unit)
        return FALSE;
    if (unit->verify) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "wait for it, or cancel it",
                           "job %" G_GINT64_FORMAT " verifies machine %s already",
                           unit->verify->job->id, unit->name);
        return FALSE;
    }
    JsonObject *parameters = json_object_new();
    json_object_set_int_member(parameters, "recovery_point", recovery_point);
    struct state_job *job = scheduler_new_job(STATE_JOB_VERIFY, machine, who, parameters);
    if (!save_job(scheduler, who, "replication.verify", job, error)) {
        state_job_free(job);
        return FALSE;
    }
    *ret_job = job->id;
    job_publish(scheduler, job);
    unit->verify = task_new(unit, job, QUEUE_VERIFY, job->queued_us);
    task_wait(unit->verify);
    scheduler_pump(scheduler);
    return TRUE;
}

/* --- ends ----------------------------------------------------------------------------------------
 */

/* Of a job that waits; it leaves the queue. */
static gboolean save_cancelled(struct scheduler *scheduler, struct state_job *job, GError **error)
{
    if (!state_job_end(scheduler->state, job->id, STATE_JOB_CANCELLED, NULL, NULL, error))
        return FALSE;
    g_free(job->state);
    job->state = g_strdup(STATE_JOB_CANCELLED);
    job->ended_us = state_now_us();
    job_publish(scheduler, job);
    return TRUE;
}

gboolean scheduler_save_replaced(const struct unit *unit, GError **error)
{
    struct state_job *waiting = unit->next                          ? unit->next
                                : unit->task && unit->task->waiting ? unit->task->job
                                                                    : NULL;
    return !waiting || !waiting->id || save_cancelled(unit->scheduler, waiting, error);
}

static gboolean save_stop(struct scheduler *scheduler, const char *who, struct unit *unit,
                          struct state_job *job, GError **error)
{
    if (!state_begin(scheduler->state, error))
        return FALSE;
    gboolean ok = scheduler_save_replaced(unit, error) &&
                  state_replication_progress(scheduler->state, unit->replication, error) &&
                  save_job(scheduler, who, "replication.stop", job, error);
    return state_end(scheduler->state, ok, error);
}

/* The end that was asked for before is to leave the host alone. */
static gboolean give_up_host(struct scheduler *scheduler, const char *who, struct unit *unit,
                             gint64 *ret_job, GError **error)
{
    struct state *state = scheduler->state;
    struct state_job *job = unit->next ? unit->next : unit->task ? unit->task->job : NULL;
    if (!job) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "try again in a moment",
                           "what an earlier landfalld did with machine %s is being settled",
                           unit->name);
        return FALSE;
    }
    if (!state_begin(state, error))
        return FALSE;
    json_object_set_boolean_member(job->parameters, "abandon", TRUE);
    unit->replication->next_due_us = state_now_us();
    gboolean ok = state_job_set_parameters(state, job->id, job->parameters, error) &&
                  state_replication_progress(state, unit->replication, error) &&
                  state_audit_machine(state, who, "replication.abandon", job->machine,
                                      job->parameters, error);
    if (!state_end(state, ok, error))
        return FALSE;
    *ret_job = job->id;
    if (unit->task && !unit->task->waiting)
        task_cancel(unit->task, "the host is left alone");
    unit_plan(unit);
    scheduler_pump(scheduler);
    return TRUE;
}

gboolean scheduler_stop(struct scheduler *scheduler, const char *who, gint64 machine,
                        gboolean keep_replica, gboolean abandon, gint64 *ret_job, GError **error)
{
    struct unit *unit = scheduler_find(scheduler, machine, error);
    if (unit && abandon && replication_is_stopping(unit->replication))
        return give_up_host(scheduler, who, unit, ret_job, error);
    if (!unit || !find_going(scheduler, machine, error))
        return FALSE;
    JsonObject *parameters = json_object_new();
    json_object_set_boolean_member(parameters, "remove_replica", !keep_replica);
    json_object_set_boolean_member(parameters, "abandon", abandon);
    struct state_job *job = scheduler_new_job(STATE_JOB_CLEANUP, machine, who, parameters);
    g_autofree char *before = g_steal_pointer(&unit->replication->state);
    unit->replication->state = g_strdup("stopping");
    if (!save_stop(scheduler, who, unit, job, error)) {
        g_free(unit->replication->state);
        unit->replication->state = g_steal_pointer(&before);
        state_job_free(job);
        return FALSE;
    }
    *ret_job = job->id;
    job_publish(scheduler, job);
    scheduler_publish_replication(scheduler, unit);
    if (unit->verify && !unit->verify->waiting)
        task_cancel(unit->verify, "the replication was ended");
    if (unit->task && !unit->task->waiting)
        task_cancel(unit->task, "the replication was ended");
    unit_ask(unit, job);
    scheduler_pump(scheduler);
    return TRUE;
}

/* The task that has the job, or NULL; *ret_next: it is what the unit was asked for next. */
static struct task *find_task(struct scheduler *scheduler, gint64 id, struct unit **ret_next)
{
    GHashTableIter iter;
    gpointer value;
    *ret_next = NULL;
    g_hash_table_iter_init(&iter, scheduler->units);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct unit *unit = value;
        if (unit->task && unit->task->job->id == id)
            return unit->task;
        if (unit->verify && unit->verify->job->id == id)
            return unit->verify;
        if (unit->next && unit->next->id == id)
            *ret_next = unit;
    }
    return NULL;
}

static gboolean cancel_waiting(struct scheduler *scheduler, struct task *task, struct unit *next,
                               GError **error)
{
    struct unit *unit = task ? task->unit : next;
    if (!save_cancelled(scheduler, task ? task->job : next->next, error))
        return FALSE;
    if (!task)
        g_clear_pointer(&next->next, state_job_free);
    else if (task == unit->verify)
        g_clear_pointer(&unit->verify, task_free);
    else
        g_clear_pointer(&unit->task, task_free);
    unit_plan(unit);
    scheduler_pump(scheduler);
    return TRUE;
}

gboolean scheduler_cancel(struct scheduler *scheduler, const char *who, gint64 id, GError **error)
{
    struct unit *next;
    g_autofree char *object = g_strdup_printf("job/%" G_GINT64_FORMAT, id);
    struct task *task = find_task(scheduler, id, &next);
    const struct state_job *job = task ? task->job : next ? next->next : NULL;
    if (!job) {
        struct state_job *known = state_job_get(scheduler->state, id, error);
        if (known)
            landfall_error_set(error, LANDFALL_ERROR_CONFLICT, NULL,
                               "job %" G_GINT64_FORMAT " has ended", id);
        state_job_free(known);
        return FALSE;
    }
    if (strcmp(job->kind, STATE_JOB_CLEANUP) == 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "when it has ended, the machine can be replicated anew",
                           "the end of a replication cannot be cancelled");
        return FALSE;
    }
    if (!state_audit(scheduler->state, who, "job.cancel", object, NULL, error))
        return FALSE;
    if (!task || task->waiting)
        return cancel_waiting(scheduler, task, next, error);
    task_cancel(task, "cancelled by somebody");
    return TRUE;
}
