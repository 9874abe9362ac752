/* SPDX-License-Identifier: Apache-2.0 */

/* What happens by itself at its time: a move begins, or is rolled back unless somebody or something
 * said that it is well; a test is cleaned up; a rehearsal begins. */

#include "appliance/failover/failover-private.h"
#include "appliance/jobs/job-json.h"

#include <string.h>

#define WHO "schedule"
/* Clocks may be set: the timer never sleeps longer than this. */
#define SLEEP_MAX_US (60 * G_USEC_PER_SEC)
/* What cannot be done now is tried again then. */
#define AGAIN_US (30 * G_USEC_PER_SEC)

static void complain(const char *doing, gint64 operation, const GError *error)
{
    g_critical("cannot %s of operation %" G_GINT64_FORMAT ": %s", doing, operation,
               error ? error->message : "no reason given");
}

/* --- a move that waits ---------------------------------------------------------------------------
 */

gboolean failovers_check_waiting(struct failovers *failovers, const struct state_failover *move,
                                 struct failover_ids *ret_ids, GError **error)
{
    return failovers_begin_on(failovers, STATE_FAILOVER_PLAN, WHO, move, move->options, ret_ids,
                              error);
}

gint64 failovers_planned_us(const struct state_failover *move)
{
    const char *at = option_text(move, "at", NULL);
    return at ? job_parse_time(at) : 0;
}

static gboolean save_start(struct failovers *failovers, struct state_failover *move, GError **error)
{
    struct state *state = failovers->state;
    struct state_job *job = state_job_get(state, move->job, error);
    if (!job)
        return FALSE;
    move->state = FAILOVER_RUNNING;
    move->started_us = job->started_us = state_now_us();
    move->due_us = 0;
    gboolean ok = state_begin(state, error);
    if (ok)
        ok = state_end(state,
                       state_job_start(state, job, error) &&
                           state_failover_save(state, move, error) &&
                           failovers_set_word(failovers, move->machine, WORD_MIGRATING, error),
                       error);
    state_job_free(job);
    return ok;
}

/* Takes the row. */
static void begin_waiting(struct failovers *failovers, struct state_failover *move)
{
    g_autoptr(GError) error = NULL;
    gint64 machine = move->machine, id = move->id;
    if (!save_start(failovers, move, &error)) {
        complain("note the begin", id, error);
        state_failover_free(move);
        return;
    }
    scheduler_moved(failovers->scheduler, machine);
    if (!failovers_run(failovers, move, &error))
        complain("begin the first step", id, error);
}

/* Takes the row. */
static void waiting_due(struct failovers *failovers, struct state_failover *move, gint64 now_us)
{
    g_autoptr(GError) error = NULL;
    struct failover_ids ids;
    gint64 at_us = failovers_planned_us(move);
    if (now_us >= at_us) {
        begin_waiting(failovers, move);
        return;
    }
    move->due_us = at_us;
    if (!state_failover_save(failovers->state, move, &error) ||
        !failovers_check_waiting(failovers, move, &ids, &error))
        complain("look ahead", move->id, error);
    state_failover_free(move);
}

/* Takes the row. */
static void cancel_waiting(struct failovers *failovers, struct state_failover *move)
{
    g_autoptr(GError) error = NULL;
    if (!failovers_close_waiting(failovers, move, &error))
        complain("note the end", move->id, error);
    state_failover_free(move);
}

gboolean failovers_close_waiting(struct failovers *failovers, struct state_failover *move,
                                 GError **error)
{
    struct state *state = failovers->state;
    move->state = FAILOVER_CANCELLED;
    move->ended_us = state_now_us();
    move->due_us = 0;
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = state_failover_save(state, move, error) &&
                  state_job_end(state, move->job, STATE_JOB_CANCELLED, NULL, NULL, error);
    if (!state_end(state, ok, error))
        return FALSE;
    struct state_job *job = state_job_get(state, move->job, NULL);
    g_autoptr(JsonObject) object = job ? job_to_json(job, NULL) : NULL;
    if (object)
        event_hub_publish(failovers->hub, "job", object);
    state_job_free(job);
    return TRUE;
}

void failovers_wake(struct failovers *failovers, const struct state_failover *before,
                    gboolean free_now)
{
    const struct state_failover_filter filter = {
        .machine = before->machine, .kind = STATE_FAILOVER_MIGRATE, .open = TRUE};
    g_autoptr(GPtrArray) moves = state_failover_list(failovers->state, &filter, NULL);
    while (moves && moves->len > 0) {
        struct state_failover *move = g_ptr_array_steal_index(moves, 0);
        if (move->state != FAILOVER_WAITING || option_number(move, "after", 0) != before->id)
            state_failover_free(move);
        else if (free_now)
            begin_waiting(failovers, move);
        else
            cancel_waiting(failovers, move);
    }
}

/* --- what stands ---------------------------------------------------------------------------------
 */

static void begin_end(struct failovers *failovers, const char *kind,
                      const struct state_failover *subject)
{
    g_autoptr(GError) error = NULL;
    struct failover_ids ids;
    if (!failovers_begin_on(failovers, kind, WHO, subject, NULL, &ids, &error))
        complain("begin what is due", subject->id, error);
}

void failovers_roll_back(struct failovers *failovers, const struct state_failover *move)
{
    begin_end(failovers, STATE_FAILOVER_ROLLBACK, move);
}

/* Once: what it becomes is an operation of its own. Takes the row. */
static void live_due(struct failovers *failovers, struct state_failover *failover)
{
    g_autoptr(GError) error = NULL;
    gboolean probes = strcmp(option_text(failover, "rollback_unless", "confirm"), "probes") == 0;
    failover->due_us = 0;
    if (!state_failover_save(failovers->state, failover, &error))
        complain("note what is due", failover->id, error);
    else if (strcmp(failover->kind, STATE_FAILOVER_TEST) == 0)
        begin_end(failovers, STATE_FAILOVER_CLEANUP, failover);
    else if (probes)
        begin_end(failovers, STATE_FAILOVER_CHECK, failover);
    else
        failovers_roll_back(failovers, failover);
    state_failover_free(failover);
}

/* --- the timer -----------------------------------------------------------------------------------
 */

static gboolean on_timer(gpointer data)
{
    struct failovers *failovers = data;
    failovers->timer = 0;
    failovers_look(failovers);
    return G_SOURCE_REMOVE;
}

/* Takes the row. Returns when it is due. */
static gint64 look_at(struct failovers *failovers, struct state_failover *failover, gint64 now_us)
{
    gint64 due_us = failover->due_us ? failover->due_us : G_MAXINT64;
    if (due_us > now_us) {
        state_failover_free(failover);
        return due_us;
    }
    /* It does something else now; that ends. */
    if (failovers_find(failovers, failover->id)) {
        state_failover_free(failover);
        return now_us + AGAIN_US;
    }
    if (failover->state == FAILOVER_WAITING)
        waiting_due(failovers, failover, now_us);
    else
        live_due(failovers, failover);
    return now_us + AGAIN_US;
}

void failovers_look(struct failovers *failovers)
{
    const struct state_failover_filter filter = {.open = TRUE};
    g_autoptr(GError) error = NULL;
    gint64 now_us = state_now_us();
    if (failovers->draining || failovers->looking)
        return;
    failovers->looking = TRUE;
    g_autoptr(GPtrArray) open = state_failover_list(failovers->state, &filter, &error);
    gint64 next_us = rehearsals_look(failovers, now_us);
    while (open && open->len > 0) {
        gint64 due_us = look_at(failovers, g_ptr_array_steal_index(open, 0), now_us);
        next_us = MIN(next_us, due_us);
    }
    failovers->looking = FALSE;
    g_clear_handle_id(&failovers->timer, g_source_remove);
    gint64 sleep_us = CLAMP(next_us - state_now_us(), 0, SLEEP_MAX_US);
    failovers->timer = g_timeout_add((guint)((sleep_us + 999) / 1000), on_timer, failovers);
}
