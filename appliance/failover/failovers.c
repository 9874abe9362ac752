/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/failover/failover-private.h"
#include "appliance/jobs/job-json.h"
#include "appliance/state/audit.h"
#include "appliance/state/replications.h"
#include "base/error.h"
#include "base/json.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* --- beginning -----------------------------------------------------------------------------------
 */

struct state_job *failovers_new_job(const struct state_failover *failover, const char *who)
{
    gboolean waits = failover->state == FAILOVER_WAITING;
    struct state_job *job = g_new0(struct state_job, 1);
    job->kind = g_strdup(failover->kind);
    job->machine = failover->machine;
    job->who = g_strdup(who);
    job->state = g_strdup(waits ? STATE_JOB_QUEUED : STATE_JOB_RUNNING);
    job->attempt = 1;
    job->queued_us = state_now_us();
    job->started_us = waits ? 0 : job->queued_us;
    job->parameters = json_object_new();
    json_object_set_int_member(job->parameters, "operation", failover->id);
    return job;
}

static struct state_failover *new_failover(const struct failover_request *request)
{
    struct state_failover *failover = g_new0(struct state_failover, 1);
    failover->kind = g_strdup(request->kind);
    failover->machine = request->machine;
    failover->subject = request->subject ? request->subject->id : 0;
    failover->target = g_strdup(request->target);
    failover->recovery_point = request->recovery_point;
    failover->state = request->due_us ? FAILOVER_WAITING : FAILOVER_RUNNING;
    failover->who = g_strdup(request->who);
    failover->options = request->options ? json_object_ref(request->options) : json_object_new();
    failover->asked_us = state_now_us();
    failover->started_us = request->due_us ? 0 : failover->asked_us;
    failover->due_us = request->due_us;
    return failover;
}

static gboolean save_request(struct failovers *failovers, const struct failover_request *request,
                             struct state_failover *failover, struct state_job **ret_job,
                             GError **error)
{
    struct state *state = failovers->state;
    g_autofree char *action = g_strconcat("failover.", request->kind, NULL);
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = state_failover_add(state, failover, error);
    struct state_job *job = failovers_new_job(failover, request->who);
    ok = ok && state_job_add(state, job, error);
    failover->job = job->id;
    ok =
        ok && state_failover_save(state, failover, error) &&
        (!request->word || failovers_set_word(failovers, request->machine, request->word, error)) &&
        state_audit_machine(state, request->who, action, request->machine, failover->options,
                            error);
    *ret_job = job;
    return state_end(state, ok, error);
}

static void publish_job(struct failovers *failovers, const struct state_job *job)
{
    struct state_machine *machine = state_machine_get(failovers->state, job->machine, NULL);
    g_autoptr(JsonObject) object = job_to_json(job, machine ? machine->name : NULL);
    event_hub_publish(failovers->hub, "job", object);
    state_machine_free(machine);
}

gboolean failovers_begin(struct failovers *failovers, const struct failover_request *request,
                         struct failover_ids *ret_ids, GError **error)
{
    struct state_failover *failover = new_failover(request);
    struct state_job *job = NULL;
    gboolean ok = save_request(failovers, request, failover, &job, error);
    if (ok) {
        *ret_ids = (struct failover_ids){failover->id, job->id};
        publish_job(failovers, job);
        if (request->word)
            scheduler_moved(failovers->scheduler, request->machine);
    }
    state_job_free(job);
    if (ok && failover->state == FAILOVER_RUNNING)
        return failovers_run(failovers, failover, error);
    state_failover_free(failover);
    if (ok)
        failovers_look(failovers);
    return ok;
}

gboolean failovers_begin_on(struct failovers *failovers, const char *kind, const char *who,
                            const struct state_failover *subject, JsonObject *options,
                            struct failover_ids *ret_ids, GError **error)
{
    const struct failover_request request = {
        .kind = kind,
        .who = who,
        .machine = subject->machine,
        .subject = subject,
        .target = subject->target,
        .recovery_point = subject->recovery_point,
        .options = options,
        .word = strcmp(kind, STATE_FAILOVER_ROLLBACK) == 0 ? WORD_ROLLING_BACK : NULL,
    };
    return failovers_begin(failovers, &request, ret_ids, error);
}

gboolean failovers_set_word(struct failovers *failovers, gint64 machine, const char *word,
                            GError **error)
{
    struct state *state = failovers->state;
    if (!word)
        return state_replication_remove(state, NULL, machine, NULL, error);
    struct state_replication *replication = state_replication_get(state, machine, error);
    if (!replication)
        return FALSE;
    g_free(replication->state);
    replication->state = g_strdup(word);
    replication->next_due_us = state_now_us();
    gboolean ok = state_replication_progress(state, replication, error);
    state_replication_free(replication);
    return ok;
}

/* --- running -------------------------------------------------------------------------------------
 */

struct operation *failovers_find(struct failovers *failovers, gint64 id)
{
    return g_hash_table_lookup(failovers->operations, &id);
}

/* What the child of an earlier daemon did is done again, but not beside it. */
static void on_orphan_end(void *data)
{
    struct operation *operation = data;
    g_clear_pointer(&operation->orphan, orphan_free);
    operation_go(operation, 0);
}

gboolean failovers_run(struct failovers *failovers, struct state_failover *failover, GError **error)
{
    struct operation *operation = operation_new(failovers, failover, error);
    if (!operation)
        return FALSE;
    g_hash_table_insert(failovers->operations, &operation->failover->id, operation);
    operation->orphan = orphan_watch(operation->job, on_orphan_end, operation);
    operation_go(operation, 0);
    return TRUE;
}

gboolean failovers_has_steps(struct failovers *failovers, const struct state_failover *move)
{
    struct state_target *target = state_target_get(failovers->state, move->target, NULL);
    g_autoptr(GPtrArray) journal = state_failover_steps(failovers->state, move->id, NULL);
    const struct sequence_input input = {
        .failover = move,
        .nbd = target && strcmp(target->reach, STATE_TARGET_NBD) == 0,
        .journal = journal,
    };
    state_target_free(target);
    return sequence_next(&input) != NULL;
}

static gboolean is_running(struct failovers *failovers, const struct state_failover *failover)
{
    struct state_job *job = state_job_get(failovers->state, failover->job, NULL);
    gboolean running = job && strcmp(job->state, STATE_JOB_RUNNING) == 0;
    state_job_free(job);
    return running;
}

/* --- after a start -------------------------------------------------------------------------------
 */

static gboolean resume_one(struct failovers *failovers, gint64 id, GError **error)
{
    struct state_failover *failover = state_failover_get(failovers->state, id, error);
    gboolean goes_on = failover && is_running(failovers, failover);
    if (!goes_on) {
        state_failover_free(failover);
        return failover && serving_begin(failovers, id, error);
    }
    g_message("operation %" G_GINT64_FORMAT " (%s) goes on", id, failover->kind);
    if (!failovers_run(failovers, failover, error))
        return FALSE;
    failovers_find(failovers, id)->resumed_us = state_now_us();
    return TRUE;
}

/* Whatever had steps to do when the daemon ended, and whatever stands on what it served. */
static gboolean resume(struct failovers *failovers, GError **error)
{
    const struct state_failover_filter filter = {.open = TRUE};
    g_autoptr(GPtrArray) open = state_failover_list(failovers->state, &filter, error);
    if (!open)
        return FALSE;
    for (guint i = open->len; i-- > 0;)
        if (!resume_one(failovers, ((const struct state_failover *)open->pdata[i])->id, error))
            return FALSE;
    return TRUE;
}

/* --- what others tell ----------------------------------------------------------------------------
 */

/* A move without a shutdown leaves the source as it is. */
static gboolean is_fenced(struct failovers *failovers, gint64 machine)
{
    const struct state_failover_filter filter = {
        .machine = machine, .kind = STATE_FAILOVER_MIGRATE, .open = TRUE, .limit = 1};
    g_autoptr(GPtrArray) moves = state_failover_list(failovers->state, &filter, NULL);
    return moves && moves->len > 0 && option_boolean(moves->pdata[0], "shutdown", TRUE);
}

/* The source must not run beside what has moved. */
static void watch_fence(struct failovers *failovers, JsonObject *machine)
{
    gint64 id = (gint64)json_find_uint(machine, "id");
    const char *power = json_find_string(machine, "power");
    struct state_replication *replication =
        id && power ? state_replication_get(failovers->state, id, NULL) : NULL;
    if (!replication)
        return;
    gboolean moved = strcmp(replication->state, WORD_MIGRATED) == 0 && is_fenced(failovers, id);
    g_autofree char *message = g_strdup_printf(
        "machine %s was started at its source, while the machine it has moved to exists",
        json_find_string(machine, "name"));
    gboolean wrong = moved && strcmp(power, "running") == 0;
    alerting_machine(scheduler_alerting(failovers->scheduler), "fenced-running", id,
                     wrong ? message : NULL,
                     "switch one of the two off at once: the source if the move stands, or else "
                     "landfall rollback, which switches the other off");
    state_replication_free(replication);
}

static void on_hub_event(const struct event *event, gpointer data)
{
    struct failovers *failovers = data;
    if (strcmp(event->topic, "job") == 0)
        passes_heard(failovers, event->object);
    else if (strcmp(event->topic, "machine") == 0)
        watch_fence(failovers, event->object);
}

/* --- beginning and end ---------------------------------------------------------------------------
 */

char *failover_evidence_path(struct failovers *failovers, gint64 operation)
{
    g_autofree char *file = g_strdup_printf("%" G_GINT64_FORMAT ".png", operation);
    return g_build_filename(failovers->folder, "evidence", file, NULL);
}

static gboolean make_folder(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "evidence", NULL);
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return TRUE;
    landfall_error_set_errno(error, LANDFALL_ERROR_INTERNAL, errno, NULL,
                             "cannot create the folder %s", path);
    return FALSE;
}

struct failovers *failovers_new(struct state *state, struct event_hub *hub,
                                struct scheduler *scheduler, struct inventory *inventory,
                                const char *folder, GError **error)
{
    struct failovers *failovers = g_new0(struct failovers, 1);
    failovers->state = state;
    failovers->hub = hub;
    failovers->scheduler = scheduler;
    failovers->inventory = inventory;
    failovers->folder = g_strdup(folder);
    failovers->operations =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify)operation_free);
    failovers->subscription = event_hub_subscribe(hub, on_hub_event, failovers);
    failovers->appliance = state_appliance_id(state, error);
    if (failovers->appliance && make_folder(folder, error) && abandoned_begin(failovers, error) &&
        resume(failovers, error)) {
        history_begin(failovers);
        failovers_look(failovers);
        return failovers;
    }
    failovers_free(failovers);
    return NULL;
}

void failovers_free(struct failovers *failovers)
{
    if (!failovers)
        return;
    g_clear_handle_id(&failovers->timer, g_source_remove);
    g_clear_handle_id(&failovers->history_timer, g_source_remove);
    g_clear_handle_id(&failovers->serving_timer, g_source_remove);
    abandoned_end(failovers);
    event_hub_unsubscribe(failovers->hub, failovers->subscription);
    g_hash_table_unref(failovers->operations);
    g_free(failovers->appliance);
    g_free(failovers->folder);
    g_free(failovers);
}

void failovers_drain(struct failovers *failovers)
{
    failovers->draining = TRUE;
    g_clear_handle_id(&failovers->timer, g_source_remove);
    g_clear_handle_id(&failovers->history_timer, g_source_remove);
    g_clear_handle_id(&failovers->serving_timer, g_source_remove);
}
