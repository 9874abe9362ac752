/* SPDX-License-Identifier: Apache-2.0 */

/* Machines at targets whose disks are served from here. The server outlives the daemon, but not
 * this machine: whatever stands on it when a daemon begins has its step serve done once more, by a
 * job of its own. To a server that is there the step does nothing. */

#include "appliance/failover/failover-private.h"
#include "appliance/jobs/job-json.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define ALERT "not-served"

/* What could not be served is tried again then, and twice as long after that. */
#define AGAIN_S 30u
#define AGAIN_MAX_S 960u

/* --- what needs it -------------------------------------------------------------------------------
 */

/* Whether the machine at the target was stopped, or given up, by that operation. */
static gboolean ends_serving(struct failovers *failovers, const struct state_failover *failover)
{
    g_autoptr(GPtrArray) journal = state_failover_steps(failovers->state, failover->id, NULL);
    const struct sequence_input input = {.failover = failover, .journal = journal};
    return sequence_has_done(&input, "stop") || sequence_has_done(&input, "abandon") ||
           sequence_has_begun(&input, "unserve");
}

/* It stands, or is stuck, also on the way back: its machine may run, and has no other disks. */
static gboolean stands_on_served(struct failovers *failovers, const struct state_failover *failover)
{
    const struct state_failover_filter filter = {.subject = failover->id};
    g_autoptr(GPtrArray) journal = state_failover_steps(failovers->state, failover->id, NULL);
    const struct sequence_input input = {.failover = failover, .journal = journal};
    if ((failover->state != FAILOVER_LIVE && failover->state != FAILOVER_STUCK) ||
        !sequence_has_done(&input, "serve") || sequence_has_done(&input, "copy") ||
        ends_serving(failovers, failover))
        return FALSE;
    g_autoptr(GPtrArray) ends = state_failover_list(failovers->state, &filter, NULL);
    for (guint i = 0; ends && i < ends->len; i++)
        if (ends_serving(failovers, ends->pdata[i]))
            return FALSE;
    return ends != NULL;
}

/* Something ends it, or is done to it, right now. */
static gboolean is_busy(struct failovers *failovers, const struct state_failover *failover)
{
    const struct state_failover_filter filter = {.subject = failover->id, .open = TRUE, .limit = 1};
    g_autoptr(GPtrArray) ends = state_failover_list(failovers->state, &filter, NULL);
    return failovers_find(failovers, failover->id) || !ends || ends->len > 0;
}

/* --- once more -----------------------------------------------------------------------------------
 */

static gboolean save_job(struct failovers *failovers, struct state_failover *failover,
                         GError **error)
{
    struct state *state = failovers->state;
    struct state_job *job = failovers_new_job(failover, "schedule");
    json_object_set_boolean_member(job->parameters, JOB_SERVE_AGAIN, TRUE);
    gboolean ok = state_begin(state, error);
    if (ok) {
        ok = state_job_add(state, job, error);
        failover->job = job->id;
        ok = state_end(state, ok && state_failover_save(state, failover, error), error);
    }
    state_job_free(job);
    return ok;
}

gboolean serving_begin(struct failovers *failovers, gint64 id, GError **error)
{
    struct state_failover *failover = state_failover_get(failovers->state, id, error);
    if (!failover)
        return FALSE;
    gboolean needed = !is_busy(failovers, failover) && stands_on_served(failovers, failover);
    if (needed && save_job(failovers, failover, error))
        return failovers_run(failovers, failover, error);
    state_failover_free(failover);
    return !needed;
}

/* Whatever else is to be said of the operation is as it was before. */
gboolean serving_decide(struct operation *operation, gboolean *ret_over, GError **error)
{
    g_autoptr(JsonObject) reason = operation->error ? error_to_json(operation->error) : NULL;
    *ret_over =
        !operation->error || operation->cancelled || ++operation->tries >= OPERATION_TRIES_MAX;
    return !*ret_over ||
           operation_end_job(operation, reason ? STATE_JOB_FAILED : STATE_JOB_DONE, reason, error);
}

/* --- what could not be served --------------------------------------------------------------------
 */

/* The job that was to do it and failed, owned by the caller; or NULL. */
static struct state_job *failed_job(struct failovers *failovers,
                                    const struct state_failover *failover)
{
    struct state_job *job = state_job_get(failovers->state, failover->job, NULL);
    if (job && job->error && job->parameters &&
        json_object_has_member(job->parameters, JOB_SERVE_AGAIN) &&
        stands_on_served(failovers, failover))
        return job;
    state_job_free(job);
    return NULL;
}

static void alert(struct operation *operation, const struct state_failover *failover,
                  const struct state_job *job)
{
    g_autofree char *message = g_strdup_printf(
        "machine %s: its disks on host %s (%s) are not served: %s", operation->machine_name,
        failover->target, failover->kind, json_find_string(job->error, "message"));
    g_warning("%s", message);
    alerting_machine(scheduler_alerting(operation->failovers->scheduler), ALERT, failover->machine,
                     message, "what runs there has no disk until then; it is tried again");
}

static gboolean on_again(gpointer data)
{
    struct failovers *failovers = data;
    const struct state_failover_filter filter = {.open = TRUE};
    g_autoptr(GPtrArray) open = state_failover_list(failovers->state, &filter, NULL);
    failovers->serving_timer = 0;
    for (guint i = 0; open && i < open->len; i++) {
        const struct state_failover *failover = open->pdata[i];
        struct state_job *job = failed_job(failovers, failover);
        g_autoptr(GError) error = NULL;
        if (job && !serving_begin(failovers, failover->id, &error))
            g_critical("cannot have disks served once more: %s", error->message);
        state_job_free(job);
    }
    return G_SOURCE_REMOVE;
}

/* The store may not be mounted yet, the host not be up. */
static void try_again(struct failovers *failovers)
{
    if (failovers->draining || failovers->serving_timer)
        return;
    failovers->serving_wait_s = CLAMP(failovers->serving_wait_s * 2, AGAIN_S, AGAIN_MAX_S);
    failovers->serving_timer =
        g_timeout_add_seconds(failovers->serving_wait_s, on_again, failovers);
}

void serving_follow(struct operation *operation)
{
    struct failovers *failovers = operation->failovers;
    const struct state_failover_filter filter = {.machine = operation->failover->machine,
                                                 .open = TRUE};
    g_autoptr(GPtrArray) open = state_failover_list(failovers->state, &filter, NULL);
    struct state_job *job = NULL;
    for (guint i = 0; open && i < open->len && !job; i++) {
        job = failed_job(failovers, open->pdata[i]);
        if (job)
            alert(operation, open->pdata[i], job);
    }
    if (job)
        try_again(failovers);
    else
        alerting_machine(scheduler_alerting(failovers->scheduler), ALERT, filter.machine, NULL,
                         NULL);
    if (!job && operation_serves_again(operation))
        failovers->serving_wait_s = 0;
    state_job_free(job);
}
