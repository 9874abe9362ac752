/* SPDX-License-Identifier: Apache-2.0 */

/* /machines/{id}/replication and what is done with it. The scheduler does all
 * of it. */

#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "appliance/inventory/inventory.h"
#include "appliance/jobs/replication-json.h"
#include "appliance/jobs/scheduler.h"
#include "appliance/state/machines.h"
#include "base/json.h"

#define SETTINGS                                                                                   \
    "store interval_s retain exclude_disks bandwidth blackout consistency "                        \
    "priority"

static JsonObject *job_answer(struct request *request, gint64 job)
{
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "job", job);
    request_set_status(request, 202);
    return answer;
}

static JsonObject *show(struct request *request, gint64 machine, GError **error)
{
    struct state_replication *replication =
        state_replication_get(request_api(request)->state, machine, error);
    JsonObject *answer = replication ? replication_to_json(replication) : NULL;
    state_replication_free(replication);
    return answer;
}

/* The first check of the readiness that stands in the way. */
static JsonObject *blocking_check(JsonObject *readiness)
{
    JsonArray *checks = json_object_get_array_member(readiness, "checks");
    for (guint i = 0; i < json_array_get_length(checks); i++) {
        JsonObject *check = json_array_get_object_element(checks, i);
        if (g_str_equal(json_object_get_string_member(check, "verdict"), "blocked"))
            return check;
    }
    return NULL;
}

/* A cycle that is bound to fail is not begun unless somebody insists. */
static gboolean check_ready(struct request *request, gint64 machine, GError **error)
{
    const char *store = NULL;
    gboolean force = FALSE;
    if (!json_optional_string(request_body(request), "store", LANDFALL_ERROR_CONFIG, &store,
                              error) ||
        !json_optional_boolean(request_body(request), "force", LANDFALL_ERROR_CONFIG, &force,
                               error))
        return FALSE;
    g_autoptr(JsonObject) readiness =
        inventory_readiness(request_api(request)->inventory, machine, store, error);
    JsonObject *check = readiness ? blocking_check(readiness) : NULL;
    if (!readiness || force || !check)
        return readiness != NULL;
    g_autofree char *hint =
        g_strconcat(json_object_get_string_member_with_default(check, "hint", "mend that"),
                    "; or begin all the same, with force", NULL);
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, hint, "the machine is not ready: %s: %s",
                       json_object_get_string_member(check, "check"),
                       json_object_get_string_member(check, "message"));
    return FALSE;
}

/* What is left for the scheduler. */
static JsonObject *settings_of(const struct request *request)
{
    JsonObject *settings = json_object_new();
    g_autoptr(GList) members = json_object_get_members(request_body(request));
    for (const GList *member = members; member; member = member->next)
        if (!g_str_equal(member->data, "force"))
            json_object_set_member(settings, member->data,
                                   json_object_dup_member(request_body(request), member->data));
    return settings;
}

static JsonObject *begin(struct request *request, gint64 machine, GError **error)
{
    gint64 job;
    g_autoptr(JsonObject) settings = settings_of(request);
    return scheduler_replicate(request_api(request)->scheduler, request_who(request), machine,
                               settings, &job, error)
               ? job_answer(request, job)
               : NULL;
}

/* By what was seen just now. */
static gboolean judge_again(gpointer data)
{
    struct request *request = data;
    g_autoptr(GError) error = NULL;
    JsonObject *answer = NULL;
    gint64 machine;
    if (request_api(request) && request_machine(request, &machine, &error) &&
        check_ready(request, machine, &error))
        answer = begin(request, machine, &error);
    request_finish(request, answer, error);
    return G_SOURCE_REMOVE;
}

static void on_looked(gpointer data)
{
    g_idle_add(judge_again, data);
}

/* What stood in the way may just have been removed. FALSE: there is nobody to ask. */
static gboolean look_again(struct request *request, gint64 machine)
{
    struct api *api = request_api(request);
    struct state_machine *known = state_machine_get(api->state, machine, NULL);
    gboolean looks =
        known && inventory_look(api->inventory, known->host, known->uuid, on_looked, request);
    state_machine_free(known);
    if (looks)
        request_defer(request);
    return looks;
}

static JsonObject *replicate(struct request *request, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    gint64 machine;
    if (!request_machine(request, &machine, error))
        return NULL;
    if (check_ready(request, machine, &refusal))
        return begin(request, machine, error);
    if (!g_error_matches(refusal, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT) ||
        !look_again(request, machine))
        g_propagate_error(error, g_steal_pointer(&refusal));
    return NULL;
}

static JsonObject *change(struct request *request, GError **error)
{
    gint64 machine;
    if (!request_id(request, 0, &machine, error) ||
        !scheduler_change(request_api(request)->scheduler, request_who(request), machine,
                          request_body(request), error))
        return NULL;
    return show(request, machine, error);
}

static JsonObject *stop(struct request *request, GError **error)
{
    gint64 machine, job;
    gboolean keep_replica = TRUE, abandon = FALSE;
    if (!request_id(request, 0, &machine, error) ||
        !request_query_boolean(request, "keep_replica", &keep_replica, error) ||
        !request_query_boolean(request, "abandon", &abandon, error) ||
        !scheduler_stop(request_api(request)->scheduler, request_who(request), machine,
                        keep_replica, abandon, &job, error))
        return NULL;
    return job_answer(request, job);
}

static JsonObject *sync_now(struct request *request, GError **error)
{
    gint64 machine, job;
    if (!request_id(request, 0, &machine, error) ||
        !scheduler_sync(request_api(request)->scheduler, request_who(request), machine, &job,
                        error))
        return NULL;
    return job_answer(request, job);
}

static JsonObject *pause_cycles(struct request *request, GError **error)
{
    gint64 machine;
    if (!request_id(request, 0, &machine, error) ||
        !scheduler_pause(request_api(request)->scheduler, request_who(request), machine, error))
        return NULL;
    return show(request, machine, error);
}

static JsonObject *resume_cycles(struct request *request, GError **error)
{
    gint64 machine;
    if (!request_id(request, 0, &machine, error) ||
        !scheduler_resume(request_api(request)->scheduler, request_who(request), machine, error))
        return NULL;
    return show(request, machine, error);
}

static JsonObject *verify(struct request *request, GError **error)
{
    gint64 machine, job;
    guint64 number = 0;
    if (!request_id(request, 0, &machine, error) ||
        !json_optional_uint(request_body(request), "recovery_point", LANDFALL_ERROR_CONFIG, &number,
                            error) ||
        !scheduler_verify(request_api(request)->scheduler, request_who(request), machine,
                          (gint64)number, &job, error))
        return NULL;
    return job_answer(request, job);
}

const struct route routes_replications[] = {
    {"PUT", "/api/v1/machines/{id}/replication", ROLE_OPERATOR, NULL, SETTINGS " force", replicate},
    {"PATCH", "/api/v1/machines/{id}/replication", ROLE_OPERATOR, NULL, SETTINGS, change},
    {"DELETE", "/api/v1/machines/{id}/replication", ROLE_OPERATOR, "keep_replica abandon", NULL,
     stop},
    {"POST", "/api/v1/machines/{id}/sync", ROLE_OPERATOR, NULL, NULL, sync_now},
    {"POST", "/api/v1/machines/{id}/pause", ROLE_OPERATOR, NULL, NULL, pause_cycles},
    {"POST", "/api/v1/machines/{id}/resume", ROLE_OPERATOR, NULL, NULL, resume_cycles},
    {"POST", "/api/v1/machines/{id}/verify", ROLE_OPERATOR, NULL, "recovery_point", verify},
    {NULL},
};
