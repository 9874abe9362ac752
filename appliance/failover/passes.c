/* SPDX-License-Identifier: Apache-2.0 */

/* The cycles of a move: deltas, until one is so short that the last one will be, too; and the last
 * one, of the machine that is off. They are the scheduler's, which tells of their end as of any
 * job's. */

#include "appliance/failover/failover-private.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define FINAL_PASS_S 10
#define PASSES_MAX 5

/* Then what the last cycle finds is what a power cut would have left. */
static gboolean was_forced_off(const struct operation *operation)
{
    const char *how = NULL;
    for (guint i = 0; i < operation->journal->len; i++) {
        const struct state_failover_step *step = operation->journal->pdata[i];
        if (strcmp(step->step, "shutdown") == 0 && step->result)
            how = json_find_string(step->result, "how");
    }
    return g_strcmp0(how, "forced") == 0;
}

static gboolean ask(struct operation *operation, GError **error)
{
    const struct state_failover *failover = operation->failover;
    JsonObject *parameters = json_object_new();
    g_autofree char *lease = operation_lease(operation);
    json_object_set_int_member(parameters, "operation", failover->id);
    json_object_set_string_member(parameters, "lease", lease);
    if (operation->step->runner == RUN_FINAL) {
        json_object_set_boolean_member(parameters, "final", TRUE);
        json_object_set_string_member(parameters, "verify",
                                      option_text(failover, "verify", "transferred"));
        if (was_forced_off(operation))
            json_object_set_string_member(parameters, "consistency", "crash");
    }
    return scheduler_pass(operation->failovers->scheduler, failover->who, failover->machine,
                          parameters, &operation->pass_job, error);
}

static void end_with(struct operation *operation, JsonObject *result)
{
    operation->pass_job = operation->pass_count = operation->pass_bytes = 0;
    operation_step_ended(operation, result, NULL);
}

void operation_passes(struct operation *operation)
{
    g_autoptr(GError) error = NULL;
    gint64 most = option_number(operation->failover, "max_passes", PASSES_MAX);
    if (operation->step->runner == RUN_PASSES && most <= 0) {
        g_autoptr(JsonObject) result = json_object_new();
        json_object_set_int_member(result, "count", 0);
        end_with(operation, result);
    } else if (!ask(operation, &error)) {
        operation_step_ended(operation, NULL, error);
    }
}

/* The facts of a final cycle are its recovery point; those of passes what they were all together.
 */
static JsonObject *facts_of(const struct operation *operation, JsonObject *result)
{
    JsonObject *facts = json_object_new();
    json_object_set_int_member(facts, "count", operation->pass_count);
    json_object_set_int_member(facts, "sent_bytes", operation->pass_bytes);
    json_object_set_int_member(facts, "number", (gint64)json_find_uint(result, "number"));
    json_object_set_int_member(facts, "last_ms", (gint64)json_find_uint(result, "cycle_ms"));
    return facts;
}

static void note_pass(struct operation *operation, JsonObject *result)
{
    g_autoptr(GError) error = NULL;
    JsonObject *event = json_object_new();
    g_autofree char *sent =
        g_format_size_full(failover_sum_of_disks(result, "sent_bytes"), G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *message =
        g_strdup_printf("pass %" G_GINT64_FORMAT " sent %s in %.1f s", operation->pass_count, sent,
                        (double)json_find_uint(result, "cycle_ms") / 1000);
    json_object_set_string_member(event, "event", "note");
    json_object_set_string_member(event, "step", operation->step->name);
    json_object_set_string_member(event, "message", message);
    if (!operation_note(operation, event, &error))
        g_critical("cannot keep an event of an operation: %s", error->message);
    operation_publish(operation);
}

/* What changes during a pass is what the next one has to send: it takes no longer. */
static void pass_done(struct operation *operation, JsonObject *result)
{
    gint64 wanted_ms = option_number(operation->failover, "final_pass_s", FINAL_PASS_S) * 1000;
    gint64 most = option_number(operation->failover, "max_passes", PASSES_MAX);
    g_autoptr(GError) error = NULL;
    if (operation->step->runner == RUN_FINAL) {
        end_with(operation, result);
        return;
    }
    operation->pass_count++;
    operation->pass_bytes += (gint64)failover_sum_of_disks(result, "sent_bytes");
    note_pass(operation, result);
    if ((gint64)json_find_uint(result, "cycle_ms") <= wanted_ms || operation->pass_count >= most) {
        g_autoptr(JsonObject) facts = facts_of(operation, result);
        end_with(operation, facts);
    } else if (!ask(operation, &error)) {
        operation_step_ended(operation, NULL, error);
    }
}

static void pass_failed(struct operation *operation, const struct state_job *job)
{
    g_autoptr(GError) error = NULL;
    if (job->error)
        error = json_to_error(job->error);
    else
        landfall_error_set(&error, LANDFALL_ERROR_CANCELLED, NULL, "the cycle was cancelled");
    g_prefix_error(&error, "cycle (job %" G_GINT64_FORMAT "): ", job->id);
    operation->pass_job = operation->pass_count = operation->pass_bytes = 0;
    operation_step_ended(operation, NULL, error);
}

/* In a turn of its own: the scheduler is in the middle of something when it tells. */
static gboolean on_pass_ended(gpointer data)
{
    struct operation *operation = data;
    g_autoptr(GError) error = NULL;
    struct state_job *job = state_job_get(operation->failovers->state, operation->pass_job, &error);
    operation->timer = 0;
    if (!job)
        operation_step_ended(operation, NULL, error);
    else if (strcmp(job->state, STATE_JOB_DONE) == 0 && job->result)
        pass_done(operation, job->result);
    else
        pass_failed(operation, job);
    state_job_free(job);
    return G_SOURCE_REMOVE;
}

static struct operation *find_pass(struct failovers *failovers, gint64 job)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, failovers->operations);
    while (job && g_hash_table_iter_next(&iter, NULL, &value))
        if (((struct operation *)value)->pass_job == job)
            return value;
    return NULL;
}

void passes_heard(struct failovers *failovers, JsonObject *job)
{
    static const char *const over[] = {STATE_JOB_DONE, STATE_JOB_FAILED, STATE_JOB_CANCELLED, NULL};
    const char *state = json_find_string(job, "state");
    struct operation *operation = find_pass(failovers, (gint64)json_find_uint(job, "id"));
    if (!operation || !state)
        return;
    operation->job->done_bytes = (gint64)json_find_uint(job, "done_bytes");
    operation->job->total_bytes = (gint64)json_find_uint(job, "total_bytes");
    operation->job->rate = (gint64)json_find_uint(job, "rate");
    if (!g_strv_contains(over, state))
        operation_touch(operation);
    else if (!operation->timer)
        operation->timer = g_idle_add(on_pass_ended, operation);
}
