/* SPDX-License-Identifier: Apache-2.0 */

/* /jobs and /alerts: what is being done and was done, and what somebody should
 * look at. */

#include "appliance/state/jobs.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "appliance/failover/failover.h"
#include "appliance/jobs/alerting.h"
#include "appliance/jobs/job-json.h"
#include "appliance/jobs/scheduler.h"
#include "appliance/state/alerts.h"
#include "appliance/state/machines.h"
#include "base/error.h"

#define JOBS_LIMIT 50

/* A machine may be gone while its jobs are still known. */
static JsonObject *to_json(struct state *state, const struct state_job *job)
{
    struct state_machine *machine = state_machine_get(state, job->machine, NULL);
    JsonObject *object = job_to_json(job, machine ? machine->name : NULL);
    state_machine_free(machine);
    return object;
}

static gboolean check_state(const char *name, GError **error)
{
    static const char *const states[] = {STATE_JOB_QUEUED, STATE_JOB_RUNNING,   STATE_JOB_DONE,
                                         STATE_JOB_FAILED, STATE_JOB_CANCELLED, NULL};
    if (!name || g_strv_contains(states, name))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "jobs are queued, running, done, failed or cancelled",
                       "there is no state '%.64s'", name);
    return FALSE;
}

static JsonObject *list_jobs(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    struct state_job_filter filter = {.state = request_query(request, "state")};
    gint64 limit = JOBS_LIMIT, last = 0;
    if (!check_state(filter.state, error) ||
        !request_query_number(request, "machine", 1, G_MAXINT64, &filter.machine, error) ||
        !request_query_number(request, "before", 1, G_MAXINT64, &filter.before, error) ||
        !request_query_number(request, "limit", 1, 1000, &limit, error))
        return NULL;
    filter.limit = (guint)limit;
    g_autoptr(GPtrArray) jobs = state_job_list(state, &filter, error);
    if (!jobs)
        return NULL;
    JsonArray *items = json_array_new();
    for (guint i = 0; i < jobs->len; i++) {
        const struct state_job *job = jobs->pdata[i];
        json_array_add_object_element(items, to_json(state, job));
        last = job->id;
    }
    return answer_list(items, jobs->len == filter.limit ? last : 0);
}

static JsonObject *show(struct request *request, gint64 id, GError **error)
{
    struct state *state = request_api(request)->state;
    struct state_job *job = state_job_get(state, id, error);
    JsonObject *object = job ? to_json(state, job) : NULL;
    state_job_free(job);
    return object;
}

static JsonObject *get_job(struct request *request, GError **error)
{
    gint64 id;
    return request_id(request, 0, &id, error) ? show(request, id, error) : NULL;
}

static JsonObject *list_events(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    gint64 id;
    if (!request_id(request, 0, &id, error))
        return NULL;
    struct state_job *job = state_job_get(state, id, error);
    JsonArray *events = job ? state_job_event_list(state, id, error) : NULL;
    state_job_free(job);
    return events ? answer_list(events, 0) : NULL;
}

/* Jobs of operations are not the scheduler's. */
static gboolean cancel(struct request *request, gint64 id, GError **error)
{
    struct api *api = request_api(request);
    struct state_job *job = state_job_get(api->state, id, error);
    gboolean is_operation = job && failover_is_kind(job->kind), is_there = job != NULL;
    state_job_free(job);
    if (is_operation)
        return failover_cancel(api->failovers, request_who(request), id, error);
    return is_there && scheduler_cancel(api->scheduler, request_who(request), id, error);
}

static JsonObject *cancel_job(struct request *request, GError **error)
{
    gint64 id;
    if (!request_id(request, 0, &id, error) || !cancel(request, id, error))
        return NULL;
    request_set_status(request, 202);
    return show(request, id, error);
}

static JsonObject *list_alerts(struct request *request, GError **error)
{
    g_autoptr(GPtrArray) alerts = state_alert_list(request_api(request)->state, error);
    if (!alerts)
        return NULL;
    JsonArray *items = json_array_new();
    for (guint i = 0; i < alerts->len; i++)
        json_array_add_object_element(items, alert_to_json(alerts->pdata[i]));
    return answer_list(items, 0);
}

const struct route routes_jobs[] = {
    {"GET", "/api/v1/jobs", ROLE_VIEWER, "machine state limit before", NULL, list_jobs},
    {"GET", "/api/v1/jobs/{id}", ROLE_VIEWER, NULL, NULL, get_job},
    {"GET", "/api/v1/jobs/{id}/events", ROLE_VIEWER, NULL, NULL, list_events},
    {"POST", "/api/v1/jobs/{id}/cancel", ROLE_OPERATOR, NULL, NULL, cancel_job},
    {"GET", "/api/v1/alerts", ROLE_VIEWER, NULL, NULL, list_alerts},
    {NULL},
};
