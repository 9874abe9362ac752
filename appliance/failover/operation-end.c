/* SPDX-License-Identifier: Apache-2.0 */

/* What the end of a step means: on, back, or over. Decided within the transaction that writes the
 * end, so that no instant has the one without the other. */

#include "appliance/failover/failover-private.h"
#include "appliance/jobs/job-json.h"
#include "appliance/state/replications.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define TRY_MS 500u

static gboolean is_kind(const struct operation *operation, const char *kind)
{
    return strcmp(operation->failover->kind, kind) == 0;
}

gboolean operation_is_move(const struct operation *operation)
{
    return is_kind(operation, STATE_FAILOVER_MIGRATE);
}

static struct state *state_of(const struct operation *operation)
{
    return operation->failovers->state;
}

static gboolean set_word(struct operation *operation, const char *word, GError **error)
{
    operation->moved = TRUE;
    return failovers_set_word(operation->failovers, operation->failover->machine, word, error);
}

static void set_error(struct state_failover *failover, const GError *cause)
{
    g_clear_pointer(&failover->error, json_object_unref);
    failover->error = cause ? error_to_json(cause) : NULL;
}

/* --- the job's end -------------------------------------------------------------------------------
 */

static JsonObject *fact(const struct operation *operation, const char *step)
{
    for (guint i = operation->journal->len; i-- > 0;) {
        const struct state_failover_step *entry = operation->journal->pdata[i];
        if (entry->result && strcmp(entry->step, step) == 0)
            return entry->result;
    }
    return NULL;
}

static void copy_member(JsonObject *to, JsonObject *from, const char *name)
{
    JsonNode *node = from ? json_object_get_member(from, name) : NULL;
    if (node)
        json_object_set_member(to, name, json_node_copy(node));
}

static JsonObject *result_of(const struct operation *operation)
{
    const struct state_failover *failover = operation->failover;
    if (is_kind(operation, STATE_FAILOVER_PLAN) && fact(operation, "plan"))
        return json_object_ref(fact(operation, "plan"));
    JsonObject *result = json_object_new();
    json_object_set_int_member(result, "operation", failover->id);
    json_set_optional_string(result, "verdict", failover->verdict);
    json_set_optional_string(result, "target", failover->target);
    if (failover->recovery_point)
        json_object_set_int_member(result, "recovery_point", failover->recovery_point);
    copy_member(result, fact(operation, fact(operation, "define") ? "define" : "start"),
                "domain_name");
    copy_member(result, fact(operation, "watch"), "checks");
    gint64 downtime_ms = failover_downtime_ms(failover, operation->journal);
    if (downtime_ms)
        json_object_set_int_member(result, "downtime_ms", downtime_ms);
    return result;
}

gboolean operation_end_job(struct operation *operation, const char *outcome, JsonObject *reason,
                           GError **error)
{
    struct state_job *job = operation->job;
    g_free(job->state);
    job->state = g_strdup(outcome);
    job->ended_us = state_now_us();
    g_clear_pointer(&job->step, g_free);
    g_clear_pointer(&job->result, json_object_unref);
    g_clear_pointer(&job->error, json_object_unref);
    job->result = reason ? NULL : result_of(operation);
    job->error = reason ? json_object_ref(reason) : NULL;
    return state_job_set_progress(state_of(operation), job, error) &&
           state_job_end(state_of(operation), job->id, outcome, job->result, job->error, error);
}

/* --- over ----------------------------------------------------------------------------------------
 */

static gboolean close_operation(struct operation *operation, enum state_failover_state state,
                                GError **error)
{
    struct state_failover *failover = operation->failover;
    failover->state = state;
    failover->ended_us = state_now_us();
    failover->due_us = 0;
    const char *outcome = state == FAILOVER_DONE        ? STATE_JOB_DONE
                          : state == FAILOVER_CANCELLED ? STATE_JOB_CANCELLED
                                                        : STATE_JOB_FAILED;
    return state_failover_save(state_of(operation), failover, error) &&
           operation_end_job(operation, outcome, failover->error, error);
}

static gboolean close_subject(struct operation *operation, enum state_failover_state state,
                              GError **error)
{
    operation->subject->state = state;
    operation->subject->ended_us = state_failover_is_open(state) ? 0 : state_now_us();
    operation->subject->due_us = 0;
    return state_failover_save(state_of(operation), operation->subject, error);
}

static gboolean was_cancelled(const struct state_failover *failover)
{
    return g_strcmp0(json_find_string(failover->error, "code"), "cancelled") == 0;
}

/* All that was done is undone. */
static gboolean finish_back(struct operation *operation, GError **error)
{
    gboolean cancelled = was_cancelled(operation->failover);
    if (operation_is_move(operation) && !set_word(operation, WORD_REPLICATING, error))
        return FALSE;
    return close_operation(operation, cancelled ? FAILOVER_CANCELLED : FAILOVER_FAILED, error);
}

static gboolean finish_rollback(struct operation *operation, GError **error)
{
    return set_word(operation, WORD_REPLICATING, error) &&
           close_subject(operation, FAILOVER_UNDONE, error) &&
           close_operation(operation, FAILOVER_DONE, error);
}

static gboolean finish_complete(struct operation *operation, GError **error)
{
    return set_word(operation, NULL, error) && close_subject(operation, FAILOVER_DONE, error) &&
           close_operation(operation, FAILOVER_DONE, error);
}

/* The replication goes on, of the machine as it is at the target. */
static gboolean finish_reverse(struct operation *operation, GError **error)
{
    struct state_failover *failover = operation->failover;
    operation->turned = option_number(failover, "machine_there", 0);
    return set_word(operation, WORD_REPLICATING, error) &&
           state_replication_turn(state_of(operation), failover->machine, operation->turned,
                                  error) &&
           close_subject(operation, FAILOVER_DONE, error) &&
           close_operation(operation, FAILOVER_DONE, error);
}

static gboolean finish_check(struct operation *operation, GError **error)
{
    operation->subject->due_us = 0;
    return state_failover_save(state_of(operation), operation->subject, error) &&
           close_operation(operation, FAILOVER_DONE, error);
}

/* It stands, and its job is done. */
static gboolean finish_live(struct operation *operation, GError **error)
{
    struct state_failover *failover = operation->failover;
    gint64 after_s = option_number(failover, "cleanup_after_s", 0);
    failover->state = FAILOVER_LIVE;
    if (is_kind(operation, STATE_FAILOVER_TEST) && after_s > 0 && !failover->due_us)
        failover->due_us = state_now_us() + after_s * G_USEC_PER_SEC;
    return state_failover_save(state_of(operation), failover, error) &&
           operation_end_job(operation, failover->error ? STATE_JOB_FAILED : STATE_JOB_DONE,
                             failover->error, error);
}

static gboolean finish(struct operation *operation, GError **error)
{
    if (operation->failover->state == FAILOVER_RETURNING)
        return finish_back(operation, error);
    if (is_kind(operation, STATE_FAILOVER_ROLLBACK))
        return finish_rollback(operation, error);
    if (is_kind(operation, STATE_FAILOVER_COMPLETE))
        return finish_complete(operation, error);
    if (is_kind(operation, STATE_FAILOVER_CHECK))
        return finish_check(operation, error);
    if (is_kind(operation, STATE_FAILOVER_REVERSE))
        return finish_reverse(operation, error);
    if (is_kind(operation, STATE_FAILOVER_CLEANUP))
        return close_subject(operation, FAILOVER_DONE, error) &&
               close_operation(operation, FAILOVER_DONE, error);
    if (is_kind(operation, STATE_FAILOVER_PLAN))
        return close_operation(operation, FAILOVER_DONE, error);
    return finish_live(operation, error);
}

static gboolean go_on_or_finish(struct operation *operation, gboolean *ret_over, GError **error)
{
    const struct sequence_input input = operation_input(operation);
    *ret_over = sequence_next(&input) == NULL;
    return *ret_over ? finish(operation, error)
                     : state_failover_save(state_of(operation), operation->failover, error);
}

/* --- a step that was done ------------------------------------------------------------------------
 */

/* What a watch has seen. */
static void take_verdict(struct operation *operation)
{
    const char *verdict = json_find_string(operation->result, "verdict");
    g_free(operation->failover->verdict);
    operation->failover->verdict =
        g_strdup(g_strcmp0(verdict, "passed") == 0 ? "passed" : "failed");
}

/* The first check that failed, in words. */
static const char *first_failure(JsonObject *result)
{
    JsonArray *checks = json_find_array(result, "checks");
    for (guint i = 0; checks && i < json_array_get_length(checks); i++) {
        JsonObject *check = json_array_get_object_element(checks, i);
        const char *message = json_find_string(check, "message");
        if (message && g_strcmp0(json_find_string(check, "verdict"), "failed") == 0)
            return message;
    }
    return "it did not come up as wanted";
}

static GError *verdict_error(const struct operation *operation, const char *what, const char *hint)
{
    GError *cause = NULL;
    landfall_error_set(&cause, LANDFALL_ERROR_SOURCE, hint, "%s: %s", what,
                       operation->result ? first_failure(operation->result)
                                         : operation->error->message);
    return cause;
}

/* From here on the machine belongs to the target, until it is rolled back. */
static gboolean become_live(struct operation *operation, GError **error)
{
    struct state_failover *failover = operation->failover;
    gint64 commit_s = option_number(failover, "commit_after_s", 0);
    failover->state = FAILOVER_LIVE;
    if (commit_s > 0)
        failover->due_us = state_now_us() + commit_s * G_USEC_PER_SEC;
    if (strcmp(failover->verdict, "failed") == 0) {
        g_autofree char *next = failover_next_command(failover, operation->machine_name);
        g_autoptr(GError) cause =
            verdict_error(operation, "the machine runs at the target, and is not well", next);
        set_error(failover, cause);
    }
    return set_word(operation, WORD_MIGRATED, error);
}

static void go_back(struct operation *operation, const GError *cause)
{
    set_error(operation->failover, cause);
    operation->failover->state = FAILOVER_RETURNING;
    operation->tries = 0;
    if (was_cancelled(operation->failover) || !is_kind(operation, STATE_FAILOVER_TEST))
        return;
    g_free(operation->failover->verdict);
    operation->failover->verdict = g_strdup("failed");
}

static void take_recovery_point(struct operation *operation)
{
    gint64 number = (gint64)json_find_uint(operation->result, "number");
    if (number)
        operation->failover->recovery_point = number;
}

static gboolean decide_watch(struct operation *operation, GError **error)
{
    gboolean failed;
    take_verdict(operation);
    failed = strcmp(operation->failover->verdict, "failed") == 0;
    if (operation_is_move(operation))
        return become_live(operation, error);
    if (failed && is_kind(operation, STATE_FAILOVER_TEST)) {
        g_autoptr(GError) cause = verdict_error(
            operation, "the test failed",
            "landfall report shows the screenshot and the checks; the clone was taken away");
        go_back(operation, cause);
    }
    return TRUE;
}

static gboolean decide_done(struct operation *operation, gboolean *ret_over, GError **error)
{
    operation->tries = 0;
    if (operation->step->runner == RUN_FINAL || operation->step->runner == RUN_PASSES)
        take_recovery_point(operation);
    if (strcmp(operation->step->name, "watch") == 0 &&
        operation->failover->state == FAILOVER_RUNNING && !decide_watch(operation, error))
        return FALSE;
    return go_on_or_finish(operation, ret_over, error);
}

/* --- a step that failed --------------------------------------------------------------------------
 */

static gboolean is_back(const struct operation *operation)
{
    return operation->failover->state == FAILOVER_RETURNING ||
           is_kind(operation, STATE_FAILOVER_ROLLBACK) ||
           is_kind(operation, STATE_FAILOVER_CLEANUP);
}

/* It neither went on nor back: what it is about waits for somebody. */
static gboolean get_stuck(struct operation *operation, GError **error)
{
    struct state_failover *failover = operation->failover;
    struct state_failover *stuck = operation->subject ? operation->subject : failover;
    g_autoptr(GError) cause = NULL;
    stuck->state = FAILOVER_STUCK;
    stuck->due_us = 0;
    g_autofree char *next = failover_next_command(stuck, operation->machine_name);
    const char *hint = landfall_error_hint(operation->error);
    gboolean at_target = strcmp(stuck->kind, STATE_FAILOVER_MIGRATE) == 0 &&
                         strcmp(operation->step->name, "stop") == 0;
    g_autofree char *lost =
        g_strdup_printf("; or, if host %s is lost for good: landfall rollback %s --abandon-target",
                        stuck->target, operation->machine_name);
    g_autofree char *advice = g_strdup_printf("%s%s%s once the cause is gone%s", hint ? hint : "",
                                              hint ? "; then " : "", next, at_target ? lost : "");
    landfall_error_set(&cause, landfall_error_code_from_name(landfall_error_name(operation->error)),
                       advice, "%s: %s", operation->step->name, operation->error->message);
    set_error(failover, cause);
    if (operation->subject)
        return state_failover_save(state_of(operation), operation->subject, error) &&
               close_operation(operation, FAILOVER_FAILED, error);
    return state_failover_save(state_of(operation), failover, error) &&
           operation_end_job(operation, STATE_JOB_FAILED, failover->error, error);
}

/* Nothing has happened yet that could not go on, or be undone. */
static gboolean decide_forward(struct operation *operation, gboolean *ret_over, GError **error)
{
    gboolean stay = operation_is_move(operation) && !operation->cancelled &&
                    g_strcmp0(option_text(operation->failover, "on_failure", "back"), "stay") == 0;
    if (stay) {
        *ret_over = TRUE;
        return get_stuck(operation, error);
    }
    go_back(operation, operation->error);
    return go_on_or_finish(operation, ret_over, error);
}

/* A move whose machine runs at the target stays there. */
static gboolean decide_live(struct operation *operation, gboolean *ret_over, GError **error)
{
    *ret_over = TRUE;
    set_error(operation->failover, operation->error);
    return finish_live(operation, error);
}

static gboolean decide_failed(struct operation *operation, gboolean *ret_over, GError **error)
{
    const struct sequence_input input = operation_input(operation);
    *ret_over = FALSE;
    if (is_back(operation) && strcmp(operation->step->name, "abandon") != 0 &&
        ++operation->tries < OPERATION_TRIES_MAX)
        return TRUE;
    if (is_back(operation)) {
        *ret_over = TRUE;
        return get_stuck(operation, error);
    }
    if (operation->failover->state == FAILOVER_LIVE)
        return decide_live(operation, ret_over, error);
    if (operation_is_move(operation) && sequence_has_done(&input, "start")) {
        g_free(operation->failover->verdict);
        operation->failover->verdict = g_strdup("failed");
        return become_live(operation, error) && go_on_or_finish(operation, ret_over, error);
    }
    if (is_kind(operation, STATE_FAILOVER_TEST) || operation_is_move(operation))
        return decide_forward(operation, ret_over, error);
    *ret_over = TRUE;
    set_error(operation->failover, operation->error);
    return close_operation(operation, FAILOVER_FAILED, error);
}

gboolean operation_decide(struct operation *operation, gboolean *ret_over, GError **error)
{
    if (operation_serves_again(operation))
        return serving_decide(operation, ret_over, error);
    return operation->error ? decide_failed(operation, ret_over, error)
                            : decide_done(operation, ret_over, error);
}

/* --- afterwards ----------------------------------------------------------------------------------
 */

/* What an earlier daemon has begun may have left the machine at the target running, with a server
 * that is not there any more. */
static gint64 left_at_rest(const struct operation *operation)
{
    if (operation->subject)
        return operation->subject->id;
    gboolean stuck = operation->failover->state == FAILOVER_STUCK;
    return stuck && !operation_serves_again(operation) ? operation->failover->id : 0;
}

static void serve_what_rests(struct failovers *failovers, gint64 id)
{
    g_autoptr(GError) error = NULL;
    if (!serving_begin(failovers, id, &error))
        g_critical("cannot have disks served once more: %s", error->message);
}

void operation_decided(struct operation *operation, gboolean over)
{
    struct failovers *failovers = operation->failovers;
    if (operation->moved)
        scheduler_moved(failovers->scheduler, operation->failover->machine);
    if (operation->turned)
        scheduler_moved(failovers->scheduler, operation->turned);
    operation->moved = FALSE;
    operation_publish(operation);
    if (!over) {
        operation_go(operation, operation->tries ? TRY_MS << operation->tries : 0);
        return;
    }
    gint64 id = operation->failover->id;
    gint64 rests = operation->resumed_us ? left_at_rest(operation) : 0;
    follow_operation(operation);
    g_hash_table_remove(failovers->operations, &id);
    if (rests)
        serve_what_rests(failovers, rests);
    failovers_look(failovers);
}
