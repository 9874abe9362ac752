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
    scheduler_replan(unit);
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
    scheduler_replace_replication(unit, replication);
    /* The time of the move is nobody's lateness. */
    unit->since_us = state_now_us();
    scheduler_replan(unit);
}

static gboolean save_pass(struct scheduler *scheduler, struct unit *unit, struct state_job *job,
                          GError **error)
{
    if (!state_begin(scheduler->state, error))
        return FALSE;
    gboolean ok =
        scheduler_save_replaced(unit, error) && state_job_add(scheduler->state, job, error);
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
    *ret_job = scheduler_ask(unit, job);
    return TRUE;
}
