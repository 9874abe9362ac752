/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/state: jobs with their events and history; alerts and what is to be told of them. */

#include "appliance/state/alerts.h"
#include "appliance/state/jobs.h"
#include "base/error.h"
#include "tests/unit/state-folder.h"

/* --- jobs ----------------------------------------------------------------------------------------
 */

static gint64 add_job(struct rig *rig, gint64 machine, const char *job_state)
{
    struct state_job job = {.kind = (char *)STATE_JOB_CYCLE,
                            .machine = machine,
                            .state = (char *)job_state,
                            .who = (char *)"schedule",
                            .attempt = 1,
                            .queued_us = 10};
    g_assert_true(state_job_add(rig->state, &job, &rig->error));
    g_assert_cmpint(job.id, >, 0);
    return job.id;
}

static struct state_job *get_job(struct rig *rig, gint64 id)
{
    struct state_job *job = state_job_get(rig->state, id, &rig->error);
    g_assert_nonnull(job);
    return job;
}

static guint count_jobs(struct rig *rig, gint64 machine, const char *job_state, guint limit)
{
    const struct state_job_filter filter = {.machine = machine, .state = job_state, .limit = limit};
    g_autoptr(GPtrArray) jobs = state_job_list(rig->state, &filter, &rig->error);
    g_assert_nonnull(jobs);
    return jobs->len;
}

static void test_life(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 id = add_job(rig, 7, STATE_JOB_QUEUED);
    struct state_job *job = get_job(rig, id);
    job->started_us = 20;
    job->child_pid = 100;
    job->child_start = 200;
    g_assert_true(state_job_start(rig->state, job, &rig->error));
    job->step = g_strdup("reading");
    job->done_bytes = 5;
    job->total_bytes = 9;
    g_assert_true(state_job_set_progress(rig->state, job, &rig->error));
    state_job_free(job);
    job = get_job(rig, id);
    g_assert_cmpstr(job->state, ==, STATE_JOB_RUNNING);
    g_assert_cmpstr(job->step, ==, "reading");
    g_assert_cmpint(job->total_bytes, ==, 9);
    g_assert_cmpint(job->child_start, ==, 200);
    state_job_free(job);

    g_autoptr(JsonObject) result = json_object_new();
    json_object_set_int_member(result, "number", 4);
    g_assert_true(state_job_end(rig->state, id, STATE_JOB_DONE, result, NULL, &rig->error));
    /* What has ended stays as it ended. */
    g_assert_true(state_job_end(rig->state, id, STATE_JOB_FAILED, NULL, NULL, &rig->error));
    job = get_job(rig, id);
    g_assert_cmpstr(job->state, ==, STATE_JOB_DONE);
    g_assert_cmpint(json_object_get_int_member(job->result, "number"), ==, 4);
    g_assert_cmpint(job->child_pid, ==, 0);
    state_job_free(job);
    g_assert_null(state_job_get(rig->state, 999, &rig->error));
    g_assert_error(rig->error, LANDFALL_ERROR, LANDFALL_ERROR_MISSING);
    g_clear_error(&rig->error);
}

static void test_requeue(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state_job *job = get_job(rig, add_job(rig, 7, STATE_JOB_RUNNING));
    job->attempt = 2;
    g_assert_true(state_job_requeue(rig->state, job, &rig->error));
    g_autoptr(GPtrArray) unfinished = state_job_list_unfinished(rig->state, &rig->error);
    g_assert_cmpuint(unfinished->len, ==, 1);
    const struct state_job *again = unfinished->pdata[0];
    g_assert_cmpstr(again->state, ==, STATE_JOB_QUEUED);
    g_assert_cmpint(again->attempt, ==, 2);
    state_job_free(job);
}

static void test_list(struct rig *rig, gconstpointer data)
{
    (void)data;
    for (int i = 0; i < 5; i++)
        add_job(rig, i % 2, STATE_JOB_QUEUED);
    gint64 running = add_job(rig, 1, STATE_JOB_RUNNING);
    g_assert_cmpuint(count_jobs(rig, 0, NULL, 0), ==, 6);
    g_assert_cmpuint(count_jobs(rig, 1, NULL, 0), ==, 3);
    g_assert_cmpuint(count_jobs(rig, 1, STATE_JOB_RUNNING, 0), ==, 1);
    g_assert_cmpuint(count_jobs(rig, 0, NULL, 2), ==, 2);
    const struct state_job_filter before = {.before = running, .limit = 1};
    g_autoptr(GPtrArray) jobs = state_job_list(rig->state, &before, &rig->error);
    g_assert_cmpint(((struct state_job *)jobs->pdata[0])->id, ==, running - 1);
}

static void test_events(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 id = add_job(rig, 7, STATE_JOB_RUNNING);
    for (int i = 1; i <= 250; i++) {
        g_autoptr(JsonObject) event = json_object_new();
        json_object_set_int_member(event, "number", i);
        g_assert_true(state_job_event_add(rig->state, id, i, event, &rig->error));
    }
    g_autoptr(JsonArray) events = state_job_event_list(rig->state, id, &rig->error);
    g_assert_cmpuint(json_array_get_length(events), ==, 200);
    JsonObject *first = json_array_get_object_element(events, 0);
    g_assert_cmpint(json_object_get_int_member(first, "seq"), ==, 51);
    g_assert_cmpint(json_object_get_int_member(first, "number"), ==, 51);
}

static void test_prune(struct rig *rig, gconstpointer data)
{
    (void)data;
    guint removed;
    for (int i = 0; i < 10; i++) {
        gint64 id = add_job(rig, 7, STATE_JOB_RUNNING);
        g_assert_true(state_job_end(rig->state, id, STATE_JOB_DONE, NULL, NULL, &rig->error));
    }
    add_job(rig, 7, STATE_JOB_RUNNING);
    g_assert_true(state_job_prune(rig->state, 0, 10, &removed, &rig->error));
    g_assert_cmpuint(removed, ==, 0);
    g_assert_true(state_job_prune(rig->state, 0, 4, &removed, &rig->error));
    g_assert_cmpuint(removed, ==, 6);
    g_assert_cmpuint(count_jobs(rig, 0, NULL, 0), ==, 5);
    /* All that have ended are older than that; what runs stays. */
    g_assert_true(state_job_prune(rig->state, G_MAXINT64, 100, &removed, &rig->error));
    g_assert_cmpuint(removed, ==, 4);
    g_assert_cmpuint(count_jobs(rig, 0, STATE_JOB_RUNNING, 0), ==, 1);
}

/* --- alerts --------------------------------------------------------------------------------------
 */

static gboolean raise_lag(struct rig *rig)
{
    static const struct state_alert_words words = {"lag", "machine/7", "warning", "it lags",
                                                   "look"};
    gboolean changed;
    g_assert_true(state_alert_raise(rig->state, &words, &changed, &rig->error));
    return changed;
}

static gboolean resolve_lag(struct rig *rig)
{
    gboolean changed;
    g_assert_true(state_alert_resolve(rig->state, "lag", "machine/7", &changed, &rig->error));
    return changed;
}

static struct state_alert *take(struct rig *rig, gint64 now_us, gint64 *ret_next_us)
{
    struct state_alert *alert =
        state_alert_take_pending(rig->state, now_us, now_us + 1000, ret_next_us, &rig->error);
    g_assert_no_error(rig->error);
    return alert;
}

/* What is to be told next is of that state, and it is told. */
static void check_told(struct rig *rig, const char *alert_state)
{
    gint64 next_us;
    struct state_alert *alert = take(rig, state_now_us(), &next_us);
    g_assert_nonnull(alert);
    g_assert_cmpstr(alert->state, ==, alert_state);
    g_assert_true(state_alert_told(rig->state, alert, NULL, 0, &rig->error));
    state_alert_free(alert);
    g_assert_null(take(rig, state_now_us(), &next_us));
    g_assert_cmpint(next_us, ==, G_MAXINT64);
}

static void test_once(struct rig *rig, gconstpointer data)
{
    (void)data;
    g_assert_true(raise_lag(rig));
    g_assert_false(raise_lag(rig));
    check_told(rig, STATE_ALERT_RAISED);
    g_assert_false(raise_lag(rig));
    g_assert_true(resolve_lag(rig));
    g_assert_false(resolve_lag(rig));
    check_told(rig, STATE_ALERT_RESOLVED);
    g_assert_true(raise_lag(rig));
    check_told(rig, STATE_ALERT_RAISED);
    g_autoptr(GPtrArray) alerts = state_alert_list(rig->state, &rig->error);
    g_assert_cmpuint(alerts->len, ==, 1);
}

static void test_silent(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 next_us;
    raise_lag(rig);
    resolve_lag(rig);
    g_assert_null(take(rig, state_now_us(), &next_us));
}

/* Taken, and then the daemon dies, or telling fails: it comes again, and only then. */
static void test_again(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 next_us, now_us;
    raise_lag(rig);
    now_us = state_now_us();
    struct state_alert *alert = take(rig, now_us, &next_us);
    g_assert_cmpint(alert->tries, ==, 1);
    g_assert_null(take(rig, now_us + 999, &next_us));
    g_assert_cmpint(next_us, ==, now_us + 1000);
    g_assert_true(state_alert_told(rig->state, alert, "no answer", now_us + 5000, &rig->error));
    state_alert_free(alert);
    g_assert_null(take(rig, now_us + 4999, &next_us));
    alert = take(rig, now_us + 5000, &next_us);
    g_assert_cmpint(alert->tries, ==, 2);
    /* Resolved while it is told of as raised: that this is over is still to be told. */
    g_assert_true(resolve_lag(rig));
    g_assert_true(state_alert_told(rig->state, alert, NULL, 0, &rig->error));
    state_alert_free(alert);
    check_told(rig, STATE_ALERT_RESOLVED);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct rig *rig, gconstpointer data);
    } tests[] = {
        {"/state/jobs/life", test_life},
        {"/state/jobs/requeue", test_requeue},
        {"/state/jobs/list", test_list},
        {"/state/jobs/events are bounded", test_events},
        {"/state/jobs/prune", test_prune},
        {"/state/alerts/J8: told once for each change", test_once},
        {"/state/alerts/J8: not told when over before it was", test_silent},
        {"/state/alerts/J8: told again while it fails", test_again},
    };
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, struct rig, NULL, set_up, tests[i].run, tear_down);
    return g_test_run();
}
