/* SPDX-License-Identifier: Apache-2.0 */

/* An operation, step by step. A step's process is started, and does nothing before it is told what:
 * it is told only once the journal says that the step has begun, and who does it. So whatever ends
 * this daemon, the next one knows what may have been done, and whom to wait for. */

#include "appliance/failover/failover-private.h"
#include "appliance/jobs/job-json.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define CANCEL_DEADLINE_S 60u
#define AGAIN_MS 5000u
#define SAVE_MS 1000u
#define CANCELLED "cancelled by somebody"

gboolean operation_serves_again(const struct operation *operation)
{
    return operation->job->parameters &&
           json_object_has_member(operation->job->parameters, JOB_SERVE_AGAIN);
}

struct sequence_input operation_input(const struct operation *operation)
{
    gboolean only = operation_serves_again(operation);
    gboolean forward = operation->failover->state == FAILOVER_RUNNING;
    return (struct sequence_input){
        .failover = operation->failover,
        .nbd = operation->nbd,
        .journal = operation->journal,
        .subject = operation->subject_journal,
        .first = operation->first_journal,
        .serve_us = only      ? operation->job->queued_us
                    : forward ? operation->resumed_us
                              : 0,
        .serve_only = only,
    };
}

/* --- what is told --------------------------------------------------------------------------------
 */

void operation_publish(const struct operation *operation)
{
    g_autoptr(JsonObject) object = job_to_json(operation->job, operation->machine_name);
    event_hub_publish(operation->failovers->hub, "job", object);
}

gboolean operation_note(struct operation *operation, JsonObject *event, GError **error)
{
    gboolean ok = state_job_event_add(operation->failovers->state, operation->job->id,
                                      state_now_us(), event, error);
    json_object_unref(event);
    return ok;
}

static gboolean on_save(gpointer data)
{
    struct operation *operation = data;
    g_autoptr(GError) error = NULL;
    operation->save_timer = 0;
    if (state_job_set_progress(operation->failovers->state, operation->job, &error))
        operation_publish(operation);
    else
        g_critical("cannot note how far an operation is: %s", error->message);
    return G_SOURCE_REMOVE;
}

void operation_touch(struct operation *operation)
{
    if (!operation->save_timer)
        operation->save_timer = g_timeout_add(SAVE_MS, on_save, operation);
}

static JsonObject *step_event(const struct operation *operation, const char *state)
{
    JsonObject *event = json_object_new();
    json_object_set_string_member(event, "event", "step");
    json_object_set_string_member(event, "step", operation->step->name);
    json_object_set_string_member(event, "state", state);
    return event;
}

/* --- the end of a step ---------------------------------------------------------------------------
 */

static struct state_failover_step *current(const struct operation *operation)
{
    return operation->journal->pdata[operation->journal->len - 1];
}

static gboolean note_end(struct operation *operation, GError **error)
{
    const struct state_failover_step *step = current(operation);
    JsonObject *event = step_event(operation, operation->error ? "failed" : "done");
    json_object_set_int_member(event, "took_ms", (state_now_us() - step->begun_us) / 1000);
    if (operation->error) {
        json_object_set_string_member(event, "message", operation->error->message);
        json_set_optional_string(event, "hint", landfall_error_hint(operation->error));
    }
    return operation_note(operation, event, error);
}

/* In memory as in the state; taken back if that is not written. */
static void remember_end(struct operation *operation, JsonObject *reason)
{
    struct state_failover_step *step = current(operation);
    step->ended_us = state_now_us();
    step->result = operation->result ? json_object_ref(operation->result) : NULL;
    step->error = reason ? json_object_ref(reason) : NULL;
}

static void read_again(struct operation *operation, struct state_failover **row)
{
    struct state_failover *known =
        *row ? state_failover_get(operation->failovers->state, (*row)->id, NULL) : NULL;
    if (!known)
        return;
    state_failover_free(*row);
    *row = known;
}

static void forget_end(struct operation *operation)
{
    struct state_failover_step *step = current(operation);
    step->ended_us = 0;
    g_clear_pointer(&step->result, json_object_unref);
    g_clear_pointer(&step->error, json_object_unref);
    read_again(operation, &operation->failover);
    read_again(operation, &operation->subject);
}

static gboolean save_end(struct operation *operation, gboolean *ret_over, GError **error)
{
    struct state *state = operation->failovers->state;
    g_autoptr(JsonObject) reason = operation->error ? error_to_json(operation->error) : NULL;
    if (!state_begin(state, error))
        return FALSE;
    remember_end(operation, reason);
    gboolean ok = state_failover_step_end(state, operation->failover->id, operation->seq,
                                          operation->result, reason, error) &&
                  note_end(operation, error) && operation_decide(operation, ret_over, error);
    return state_end(state, ok, error);
}

static void clear_step(struct operation *operation)
{
    operation->step = NULL;
    g_clear_pointer(&operation->child, job_child_free);
    g_clear_pointer(&operation->result, json_object_unref);
    g_clear_error(&operation->error);
    operation->job->done_bytes = operation->job->total_bytes = operation->job->rate = 0;
}

/* What cannot be written down is not done: it is tried again until it can be. */
static gboolean on_ended(gpointer data)
{
    struct operation *operation = data;
    g_autoptr(GError) error = NULL;
    gboolean over = FALSE;
    operation->timer = 0;
    if (!save_end(operation, &over, &error)) {
        g_critical("cannot note the end of a step: %s", error->message);
        forget_end(operation);
        operation->timer = g_timeout_add(AGAIN_MS, on_ended, operation);
        return G_SOURCE_REMOVE;
    }
    clear_step(operation);
    operation_decided(operation, over);
    return G_SOURCE_REMOVE;
}

void operation_step_ended(struct operation *operation, JsonObject *result, const GError *reason)
{
    /* The next daemon does it again: nobody wanted it to fail but the end of this one. */
    if (operation->failovers->draining && !result)
        return;
    operation->result = result ? json_object_ref(result) : NULL;
    operation->error = reason ? g_error_copy(reason) : NULL;
    g_clear_handle_id(&operation->timer, g_source_remove);
    operation->timer = g_idle_add(on_ended, operation);
}

/* --- a step's process ----------------------------------------------------------------------------
 */

static void take_progress(struct operation *operation, JsonObject *line)
{
    operation->job->done_bytes = (gint64)json_find_uint(line, "done");
    operation->job->total_bytes = (gint64)json_find_uint(line, "total");
    operation_touch(operation);
}

static void on_event(void *data, const char *event, JsonObject *line)
{
    struct operation *operation = data;
    g_autoptr(GError) error = NULL;
    if (strcmp(event, "progress") == 0) {
        take_progress(operation, line);
        return;
    }
    json_object_set_string_member(line, "step", operation->step->name);
    if (!operation_note(operation, json_object_ref(line), &error))
        g_critical("cannot keep an event of an operation: %s", error->message);
    operation_publish(operation);
}

static void on_child_ended(void *data, JsonObject *result, const GError *error)
{
    struct operation *operation = data;
    operation_step_ended(operation, result, error);
}

static gboolean start_child(struct operation *operation, GError **error)
{
    const char *const words[] = {"failover-step", operation->step->name, NULL};
    const struct job_child_listener listener = {operation, on_event, on_child_ended};
    operation->child = job_child_start(words, &listener, error);
    if (!operation->child)
        return FALSE;
    operation->job->child_pid = job_child_pid(operation->child);
    operation->job->child_start = (gint64)job_child_start_time(operation->child);
    return TRUE;
}

/* --- the beginning of a step ---------------------------------------------------------------------
 */

static void set_job_step(struct operation *operation)
{
    g_free(operation->job->step);
    operation->job->step = g_strdup(operation->step->name);
}

static gboolean save_begin(struct operation *operation, GError **error)
{
    struct state *state = operation->failovers->state;
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = state_failover_step_begin(state, operation->failover->id, operation->step->name,
                                            &operation->seq, error) &&
                  state_job_set_child(state, operation->job, error) &&
                  state_job_set_progress(state, operation->job, error) &&
                  operation_note(operation, step_event(operation, "begun"), error);
    return state_end(state, ok, error);
}

static void remember_begin(struct operation *operation)
{
    struct state_failover_step *step = g_new0(struct state_failover_step, 1);
    step->seq = operation->seq;
    step->step = g_strdup(operation->step->name);
    step->begun_us = state_now_us();
    g_ptr_array_add(operation->journal, step);
}

/* A process that is not told anything does nothing. */
static gboolean on_begin(gpointer data);

static void begin_again(struct operation *operation, const GError *error)
{
    g_critical("cannot note the begin of a step: %s", error->message);
    g_clear_pointer(&operation->child, job_child_free);
    operation->step = NULL;
    operation->timer = g_timeout_add(AGAIN_MS, on_begin, operation);
}

static void on_looked(gpointer data)
{
    struct operation *operation = data;
    operation->looks--;
    operation_go(operation, 0);
}

static void look_at(struct operation *operation, const char *host, const char *uuid)
{
    if (inventory_look(operation->failovers->inventory, host, uuid, on_looked, operation))
        operation->looks++;
}

/* What the inventory knows may be half a minute old, and a host that was away may be back: somebody
 * who has just removed a cause is not to be refused for it. TRUE: there is something to wait for.
 */
static gboolean look_first(struct operation *operation)
{
    const struct state_failover *failover = operation->failover;
    if (operation->looked || !operation_step_judges(operation->step->name))
        return FALSE;
    operation->looked = TRUE;
    struct state_machine *machine =
        state_machine_get(operation->failovers->state, failover->machine, NULL);
    if (machine)
        look_at(operation, machine->host, machine->uuid);
    if (failover->target)
        look_at(operation, failover->target, NULL);
    state_machine_free(machine);
    return operation->looks > 0;
}

/* The line that the step's process is told, or NULL. */
static char *prepare(struct operation *operation, GError **error)
{
    g_autofree char *work = NULL;
    operation->job->child_pid = operation->job->child_start = 0;
    if (operation->cancelled && operation->failover->state == FAILOVER_RUNNING) {
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, CANCELLED);
        return NULL;
    }
    if (operation->step->runner != RUN_STEP)
        return NULL;
    work = operation_work(operation, operation->step->name, error);
    return work && start_child(operation, error) ? g_steal_pointer(&work) : NULL;
}

static gboolean on_begin(gpointer data)
{
    struct operation *operation = data;
    const struct sequence_input input = operation_input(operation);
    g_autoptr(GError) failure = NULL;
    g_autoptr(GError) error = NULL;
    operation->timer = 0;
    operation->step = sequence_next(&input);
    if (look_first(operation)) {
        operation->step = NULL;
        return G_SOURCE_REMOVE;
    }
    set_job_step(operation);
    g_autofree char *work = prepare(operation, &failure);
    if (!save_begin(operation, &error)) {
        begin_again(operation, error);
        return G_SOURCE_REMOVE;
    }
    remember_begin(operation);
    operation_publish(operation);
    if (failure)
        operation_step_ended(operation, NULL, failure);
    else if (work)
        job_child_tell(operation->child, work);
    else
        operation_passes(operation);
    return G_SOURCE_REMOVE;
}

void operation_go(struct operation *operation, guint delay_ms)
{
    if (!operation->failovers->draining && !operation->timer && !operation->step &&
        operation->looks == 0 && !operation->orphan)
        operation->timer = g_timeout_add(delay_ms, on_begin, operation);
}

/* --- cancelling ----------------------------------------------------------------------------------
 */

void operation_cancel(struct operation *operation)
{
    operation->cancelled = TRUE;
    if (operation->child)
        job_child_cancel(operation->child, CANCEL_DEADLINE_S);
    if (operation->pass_job)
        scheduler_cancel(operation->failovers->scheduler, operation->failover->who,
                         operation->pass_job, NULL);
}
