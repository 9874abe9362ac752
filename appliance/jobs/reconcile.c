/* SPDX-License-Identifier: Apache-2.0 */

/* After a start, whatever ended the daemon before: no machine gets a job until
 *
 *   1. the child that worked on it has ended (it was told to when its daemon died; the process is
 *      known by number and start, so that it is no other),
 *   2. its store has been read: a recovery point that was committed counts, whether or not somebody
 *      was left to hear of it,
 *   3. the job that was interrupted is settled accordingly.
 *
 * Stores are read in threads of their own, since a store may hang: machines of others go on. What
 * is left on hosts is cleaned by the machine's next cycle, which comes soon. */

#include "appliance/jobs/job-json.h"
#include "appliance/jobs/orphan.h"
#include "appliance/jobs/scheduler-private.h"
#include "base/error.h"
#include "replicator/store.h"

#include <gio/gio.h>
#include <string.h>

#define INTERRUPTED "landfalld ended while the job ran"

/* --- what the store says -------------------------------------------------------------------------
 */

struct look {
    gint64 machine;
    char *uuid;
    /* Found by the thread: */
    gboolean known;
    guint64 number; /* of the latest recovery point, 0: there is none */
    gint64 snapshot_us;
};

struct survey {
    char *store_path;
    GPtrArray *looks; /* struct look */
};

static void look_free(struct look *look)
{
    g_free(look->uuid);
    g_free(look);
}

static void survey_free(struct survey *survey)
{
    g_free(survey->store_path);
    g_ptr_array_unref(survey->looks);
    g_free(survey);
}

/* A folder that is not there has no recovery points; anything else that goes wrong tells nothing.
 */
static void look_at(const struct store *store, struct look *look)
{
    g_autoptr(GError) error = NULL;
    struct store_machine *machine = store_machine_open(store, look->uuid, STORE_READ, NULL, &error);
    const struct manifest *latest = machine ? store_machine_latest(machine) : NULL;
    look->known = machine || g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    if (latest) {
        look->number = latest->number;
        look->snapshot_us = job_parse_time(latest->created);
    }
    store_machine_free(machine);
}

static void survey_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    struct survey *survey = data;
    struct store *store = store_open(survey->store_path, FALSE, NULL);
    (void)source;
    for (guint i = 0; store && i < survey->looks->len && !g_cancellable_is_cancelled(cancellable);
         i++)
        look_at(store, survey->looks->pdata[i]);
    store_free(store);
    g_task_return_boolean(task, TRUE);
}

/* --- what follows for a machine ------------------------------------------------------------------
 */

static gboolean take_over(struct state_replication *replication, const struct look *look)
{
    if (!look->known || look->number == (guint64)replication->last_point)
        return FALSE;
    g_message("machine %" G_GINT64_FORMAT ": its store is at recovery point %" G_GUINT64_FORMAT
              ", not %" G_GINT64_FORMAT,
              replication->machine, look->number, replication->last_point);
    replication->last_point = (gint64)look->number;
    replication->last_point_us = look->snapshot_us;
    replication->ever_committed = look->number > 0;
    if (strcmp(replication->state, "initial-replication") == 0 && look->number) {
        g_free(replication->state);
        replication->state = g_strdup("replicating");
    }
    return TRUE;
}

/* A cycle has an end now; anything else that was asked for is done again. */
static gboolean settle_job(struct unit *unit, struct state_job *job, gboolean committed,
                           GError **error)
{
    struct state *state = unit->scheduler->state;
    g_autoptr(JsonObject) result = NULL;
    g_autoptr(JsonObject) reason = NULL;
    if (strcmp(job->kind, STATE_JOB_CYCLE) != 0) {
        job->attempt++;
        return state_job_requeue(state, job, error);
    }
    if (committed) {
        result = json_object_new();
        json_object_set_int_member(result, "number", unit->replication->last_point);
    } else {
        g_autoptr(GError) cause = NULL;
        landfall_error_set(&cause, LANDFALL_ERROR_CANCELLED,
                           "nothing: the next cycle cleans up and comes soon", INTERRUPTED);
        reason = error_to_json(cause);
    }
    return state_job_end(state, job->id, committed ? STATE_JOB_DONE : STATE_JOB_FAILED, result,
                         reason, error);
}

static gboolean save_settled(struct unit *unit, gboolean committed, GError **error)
{
    for (guint i = 0; unit->interrupted && i < unit->interrupted->len; i++)
        if (!settle_job(unit, unit->interrupted->pdata[i], committed, error))
            return FALSE;
    return state_replication_progress(unit->scheduler->state, unit->replication, error);
}

static void requeue(struct unit *unit, struct state_job *job)
{
    g_free(job->state);
    job->state = g_strdup(STATE_JOB_QUEUED);
    if (strcmp(job->kind, STATE_JOB_VERIFY) == 0 && !unit->verify) {
        unit->verify = task_new(unit, job, QUEUE_VERIFY, job->queued_us);
        task_wait(unit->verify);
    } else if (strcmp(job->kind, STATE_JOB_CLEANUP) == 0 && !unit->next) {
        unit->next = job;
    } else {
        state_job_free(job);
    }
}

/* Overdue machines do not come all at once; those that were interrupted have something to clean. */
static void spread(struct unit *unit)
{
    gint64 now_us = state_now_us();
    if (unit->interrupted || unit->replication->next_due_us < now_us)
        unit->replication->next_due_us =
            now_us + schedule_spread_us(unit_interval_us(unit), g_random_double());
}

static void release(struct unit *unit, const struct look *look)
{
    g_autoptr(GError) error = NULL;
    struct state *state = unit->scheduler->state;
    gint64 before = unit->replication->last_point;
    gboolean committed =
        take_over(unit->replication, look) && unit->replication->last_point > before;
    spread(unit);
    if (!state_begin(state, &error) ||
        !state_end(state, save_settled(unit, committed, &error), &error))
        scheduler_complain("settle what was interrupted", error);
    while (unit->interrupted && unit->interrupted->len > 0)
        requeue(unit, g_ptr_array_steal_index(unit->interrupted, 0));
    g_clear_pointer(&unit->interrupted, g_ptr_array_unref);
    unit->held = FALSE;
    unit_plan(unit);
}

static void on_survey(GObject *source, GAsyncResult *result, gpointer data)
{
    const struct survey *survey = g_task_get_task_data(G_TASK(result));
    struct scheduler *scheduler = data;
    (void)source;
    if (g_cancellable_is_cancelled(g_task_get_cancellable(G_TASK(result))))
        return; /* the scheduler has gone */
    for (guint i = 0; i < survey->looks->len; i++) {
        const struct look *look = survey->looks->pdata[i];
        struct unit *unit = scheduler_find(scheduler, look->machine, NULL);
        if (unit && unit->held)
            release(unit, look);
    }
    scheduler_pump(scheduler);
}

static void survey_start(struct scheduler *scheduler, struct survey *survey)
{
    g_autoptr(GTask) task = g_task_new(NULL, scheduler->closing, on_survey, scheduler);
    g_task_set_task_data(task, survey, (GDestroyNotify)survey_free);
    g_task_run_in_thread(task, survey_thread);
}

static struct survey *survey_new(const char *store_path)
{
    struct survey *survey = g_new0(struct survey, 1);
    survey->store_path = g_strdup(store_path);
    survey->looks = g_ptr_array_new_with_free_func((GDestroyNotify)look_free);
    return survey;
}

static void survey_add(struct survey *survey, const struct unit *unit)
{
    struct look *look = g_new0(struct look, 1);
    look->machine = unit->replication->machine;
    look->uuid = g_strdup(unit->uuid);
    g_ptr_array_add(survey->looks, look);
}

/* --- children that have outlived their daemon ----------------------------------------------------
 */

struct watched {
    struct unit *unit;
    struct orphan *orphan;
};

static void watched_free(struct watched *watched)
{
    orphan_free(watched->orphan);
    g_free(watched);
}

static gboolean is_watched(const struct scheduler *scheduler, const struct unit *unit)
{
    for (guint i = 0; i < scheduler->orphans->len; i++)
        if (((struct watched *)scheduler->orphans->pdata[i])->unit == unit)
            return TRUE;
    return FALSE;
}

static void on_orphan_end(void *data)
{
    struct watched *watched = data;
    struct unit *unit = watched->unit;
    struct scheduler *scheduler = unit->scheduler;
    g_ptr_array_remove(scheduler->orphans, watched);
    if (!is_watched(scheduler, unit)) {
        struct survey *survey = survey_new(unit->store_path);
        survey_add(survey, unit);
        survey_start(scheduler, survey);
    }
}

static void watch_child(struct unit *unit, const struct state_job *job)
{
    struct watched *watched = g_new0(struct watched, 1);
    watched->unit = unit;
    watched->orphan = orphan_watch(job, on_orphan_end, watched);
    if (watched->orphan)
        g_ptr_array_add(unit->scheduler->orphans, watched);
    else
        watched_free(watched);
}

/* --- all -----------------------------------------------------------------------------------------
 */

/* Operations are gone on with by those who know their steps. */
static gboolean is_ours(const struct state_job *job)
{
    static const char *const kinds[] = {STATE_JOB_CYCLE, STATE_JOB_CLEANUP, STATE_JOB_VERIFY, NULL};
    return g_strv_contains(kinds, job->kind);
}

/* A cycle that an operation asked for: whoever goes on with that asks again. */
static gboolean is_pass(const struct state_job *job)
{
    return job->parameters && json_object_has_member(job->parameters, "operation");
}

/* Takes the job. */
static gboolean sort_job(struct scheduler *scheduler, struct state_job *job, GError **error)
{
    struct unit *unit = scheduler_find(scheduler, job->machine, NULL);
    gboolean ok = TRUE;
    if (!is_ours(job)) {
        state_job_free(job);
    } else if (!unit || (is_pass(job) && strcmp(job->state, STATE_JOB_QUEUED) == 0)) {
        ok = state_job_end(scheduler->state, job->id, STATE_JOB_CANCELLED, NULL, NULL, error);
        state_job_free(job);
    } else if (strcmp(job->state, STATE_JOB_RUNNING) == 0) {
        if (!unit->interrupted)
            unit->interrupted = g_ptr_array_new_with_free_func((GDestroyNotify)state_job_free);
        g_ptr_array_add(unit->interrupted, job);
        watch_child(unit, job);
    } else if (strcmp(job->kind, STATE_JOB_VERIFY) == 0) {
        requeue(unit, job);
    } else {
        state_job_free(unit->next);
        unit->next = job;
    }
    return ok;
}

static void survey_all(struct scheduler *scheduler)
{
    g_autoptr(GHashTable) surveys = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, scheduler->units);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct unit *unit = value;
        if (is_watched(scheduler, unit))
            continue;
        struct survey *survey = g_hash_table_lookup(surveys, unit->store_path);
        if (!survey) {
            survey = survey_new(unit->store_path);
            g_hash_table_insert(surveys, survey->store_path, survey);
        }
        survey_add(survey, unit);
    }
    g_hash_table_iter_init(&iter, surveys);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        survey_start(scheduler, value);
}

gboolean scheduler_reconcile(struct scheduler *scheduler, GError **error)
{
    g_autoptr(GPtrArray) jobs = state_job_list_unfinished(scheduler->state, error);
    if (!jobs)
        return FALSE;
    scheduler->orphans = g_ptr_array_new_with_free_func((GDestroyNotify)watched_free);
    while (jobs->len > 0)
        if (!sort_job(scheduler, g_ptr_array_steal_index(jobs, 0), error))
            return FALSE;
    survey_all(scheduler);
    return TRUE;
}
