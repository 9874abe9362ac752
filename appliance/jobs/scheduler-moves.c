/* SPDX-License-Identifier: Apache-2.0 */

/* The scheduler's part in moves of machines: it lets the machine rest, and runs the cycles that
 * whoever moves it asks for. */

#include "appliance/jobs/scheduler-private.h"
#include "base/error.h"

#include <string.h>

struct alerting *scheduler_alerting(struct scheduler *scheduler)
{
    return scheduler->alerting;
}

GTimeZone *scheduler_zone(struct scheduler *scheduler)
{
    return scheduler->settings.zone;
}

static void let_go(struct scheduler *scheduler, gint64 machine)
{
    alerting_forget(scheduler->alerting, machine);
    g_hash_table_remove(scheduler->units, &machine);
    scheduler_pump(scheduler);
}

/* The machine is what another one has become. */
static void take_up(struct scheduler *scheduler, gint64 machine)
{
    g_autoptr(GError) error = NULL;
    struct state_replication *replication =
        state_replication_get(scheduler->state, machine, &error);
    struct unit *unit = replication ? unit_new(scheduler, replication, &error) : NULL;
    if (!unit) {
        scheduler_complain("replicate a machine elsewhere", error);
        return;
    }
    g_hash_table_insert(scheduler->units, &unit->replication->machine, unit);
    unit_plan(unit);
    scheduler_publish_replication(scheduler, unit);
    scheduler_pump(scheduler);
}

void scheduler_moved(struct scheduler *scheduler, gint64 machine)
{
    g_autoptr(GError) error = NULL;
    struct unit *unit = scheduler_find(scheduler, machine, NULL);
    if (!unit) {
        take_up(scheduler, machine);
        return;
    }
    struct state_replication *replication =
        state_replication_get(scheduler->state, machine, &error);
    if (!replication) {
        if (g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_MISSING))
            let_go(scheduler, machine);
        else
            scheduler_complain("read a replication", error);
        return;
    }
    /* The key of the table lies in the replication. */
    g_hash_table_steal(scheduler->units, &machine);
    state_replication_free(unit->replication);
    unit->replication = replication;
    g_hash_table_insert(scheduler->units, &replication->machine, unit);
    /* The time of the move is nobody's lateness. */
    unit->since_us = state_now_us();
    unit_plan(unit);
    scheduler_publish_replication(scheduler, unit);
    scheduler_pump(scheduler);
}

/* What somebody asked for before, and what has not begun, does not come in between. */
static gboolean save_pass(struct scheduler *scheduler, struct unit *unit, struct state_job *job,
                          GError **error)
{
    struct state_job *waiting = unit->next                          ? unit->next
                                : unit->task && unit->task->waiting ? unit->task->job
                                                                    : NULL;
    if (!state_begin(scheduler->state, error))
        return FALSE;
    gboolean ok =
        (!waiting || !waiting->id || scheduler_save_cancelled(scheduler, waiting, error)) &&
        state_job_add(scheduler->state, job, error);
    return state_end(scheduler->state, ok, error);
}

gboolean scheduler_pass(struct scheduler *scheduler, const char *who, gint64 machine,
                        JsonObject *parameters, gint64 *ret_job, GError **error)
{
    struct unit *unit = scheduler_find(scheduler, machine, error);
    struct state_job *job = scheduler_new_job(STATE_JOB_CYCLE, machine, who, parameters);
    if (!unit || !save_pass(scheduler, unit, job, error)) {
        state_job_free(job);
        return FALSE;
    }
    *ret_job = job->id;
    job_publish(scheduler, job);
    unit_ask(unit, job);
    scheduler_pump(scheduler);
    return TRUE;
}
