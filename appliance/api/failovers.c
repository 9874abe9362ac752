/* SPDX-License-Identifier: Apache-2.0 */

/* /machines/{id}/test-migrate, /machines/{id}/migrate and what follows them; /operations, which all
 * of these become. */

#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/failover-options.h"
#include "appliance/api/request.h"
#include "appliance/failover/failover.h"
#include "appliance/failover/report.h"
#include "base/error.h"

#define OPERATIONS_LIMIT 50

/* --- verbs --------------------------------------------------------------------------------------
 */

static gboolean do_verb(struct request *request, FAILOVER_VERB((*verb)),
                        struct failover_ids *ret_ids, GError **error)
{
    gint64 machine;
    return request_machine(request, &machine, error) &&
           failover_options_check(request_body(request), error) &&
           verb(request_api(request)->failovers, request_who(request), machine,
                request_body(request), ret_ids, error);
}

static JsonObject *begin(struct request *request, FAILOVER_VERB((*verb)), GError **error)
{
    struct failover_ids ids;
    if (!do_verb(request, verb, &ids, error))
        return NULL;
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "operation", ids.operation);
    json_object_set_int_member(answer, "job", ids.job);
    request_set_status(request, 202);
    return answer;
}

static JsonObject *test(struct request *request, GError **error)
{
    return begin(request, failover_test, error);
}

static JsonObject *clean_up(struct request *request, GError **error)
{
    return begin(request, failover_cleanup, error);
}

static JsonObject *migrate(struct request *request, GError **error)
{
    return begin(request, failover_migrate, error);
}

static JsonObject *plan(struct request *request, GError **error)
{
    return begin(request, failover_plan, error);
}

static JsonObject *roll_back(struct request *request, GError **error)
{
    return begin(request, failover_rollback, error);
}

static JsonObject *complete(struct request *request, GError **error)
{
    return begin(request, failover_complete, error);
}

static JsonObject *reverse(struct request *request, GError **error)
{
    return begin(request, failover_reverse, error);
}

/* --- operations ---------------------------------------------------------------------------------
 */

static JsonObject *show(struct request *request, gint64 id, GError **error)
{
    struct api *api = request_api(request);
    struct state_failover *failover = state_failover_get(api->state, id, error);
    JsonObject *object = failover ? failover_to_json(api->failovers, failover, error) : NULL;
    state_failover_free(failover);
    return object;
}

static JsonObject *confirm(struct request *request, GError **error)
{
    struct failover_ids ids;
    return do_verb(request, failover_confirm, &ids, error) ? show(request, ids.operation, error)
                                                           : NULL;
}

/* Those that the filter lets through; next tells how to ask for more. */
static JsonObject *list(struct request *request, const struct state_failover_filter *filter,
                        GError **error)
{
    struct api *api = request_api(request);
    g_autoptr(GPtrArray) failovers = state_failover_list(api->state, filter, error);
    g_autoptr(JsonArray) items = json_array_new();
    gint64 last = 0;
    for (guint i = 0; failovers && i < failovers->len; i++) {
        const struct state_failover *failover = failovers->pdata[i];
        JsonObject *object = failover_to_json(api->failovers, failover, error);
        if (!object)
            return NULL;
        json_array_add_object_element(items, object);
        last = failover->id;
    }
    if (!failovers)
        return NULL;
    return answer_list(g_steal_pointer(&items), failovers->len == filter->limit ? last : 0);
}

static JsonObject *list_operations(struct request *request, GError **error)
{
    struct state_failover_filter filter = {.kind = request_query(request, "kind")};
    gint64 limit = OPERATIONS_LIMIT;
    if (!request_query_number(request, "machine", 1, G_MAXINT64, &filter.machine, error) ||
        !request_query_boolean(request, "open", &filter.open, error) ||
        !request_query_number(request, "before", 1, G_MAXINT64, &filter.before, error) ||
        !request_query_number(request, "limit", 1, 1000, &limit, error))
        return NULL;
    if (filter.kind && !failover_is_kind(filter.kind)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as test, migrate or rollback",
                           "there are no operations of kind '%.64s'", filter.kind);
        return NULL;
    }
    filter.limit = (guint)limit;
    return list(request, &filter, error);
}

static JsonObject *list_tests(struct request *request, GError **error)
{
    struct state_failover_filter filter = {.kind = STATE_FAILOVER_TEST, .limit = OPERATIONS_LIMIT};
    gint64 limit = OPERATIONS_LIMIT;
    if (!request_machine(request, &filter.machine, error) ||
        !request_query_number(request, "before", 1, G_MAXINT64, &filter.before, error) ||
        !request_query_number(request, "limit", 1, 1000, &limit, error))
        return NULL;
    filter.limit = (guint)limit;
    return list(request, &filter, error);
}

static JsonObject *get_operation(struct request *request, GError **error)
{
    gint64 id;
    return request_id(request, 0, &id, error) ? show(request, id, error) : NULL;
}

static JsonObject *get_screenshot(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    gint64 id;
    g_autofree char *png = NULL;
    gsize length;
    if (!request_id(request, 0, &id, error))
        return NULL;
    struct state_failover *failover = state_failover_get(api->state, id, error);
    g_autofree char *path = failover ? failover_screenshot(api->failovers, failover, error) : NULL;
    state_failover_free(failover);
    if (path && g_file_get_contents(path, &png, &length, NULL))
        request_answer_bytes(request, "image/png", png, length);
    else if (path)
        landfall_error_set(error, LANDFALL_ERROR_MISSING, NULL,
                           "operation %" G_GINT64_FORMAT " has no screenshot any more", id);
    return NULL;
}

static JsonObject *get_report(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    const char *format = request_query(request, "format");
    gboolean as_page = g_strcmp0(format, "html") == 0;
    gint64 id;
    if (format && !as_page && strcmp(format, "json") != 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "format is json or html");
        return NULL;
    }
    if (!request_id(request, 0, &id, error))
        return NULL;
    struct state_failover *failover = state_failover_get(api->state, id, error);
    JsonObject *report = failover ? report_make(api->state, failover, error) : NULL;
    if (report && as_page) {
        g_autofree char *screenshot = failover_screenshot(api->failovers, failover, NULL);
        g_autofree char *page = report_page(report, screenshot);
        request_answer_text(request, "text/html; charset=utf-8", page);
        g_clear_pointer(&report, json_object_unref);
    }
    state_failover_free(failover);
    return report;
}

const struct route routes_failovers[] = {
    {"POST", "/api/v1/machines/{id}/test-migrate", ROLE_OPERATOR, NULL, FAILOVER_TEST_OPTIONS,
     test},
    {"POST", "/api/v1/machines/{id}/test-cleanup", ROLE_OPERATOR, NULL, FAILOVER_CLEANUP_OPTIONS,
     clean_up},
    {"GET", "/api/v1/machines/{id}/tests", ROLE_VIEWER, "limit before", NULL, list_tests},
    {"POST", "/api/v1/machines/{id}/migrate", ROLE_OPERATOR, NULL, FAILOVER_MIGRATE_OPTIONS,
     migrate},
    {"POST", "/api/v1/machines/{id}/migrate/plan", ROLE_OPERATOR, NULL, FAILOVER_MIGRATE_OPTIONS,
     plan},
    {"POST", "/api/v1/machines/{id}/confirm", ROLE_OPERATOR, NULL, NULL, confirm},
    {"POST", "/api/v1/machines/{id}/rollback", ROLE_OPERATOR, NULL, FAILOVER_ROLLBACK_OPTIONS,
     roll_back},
    {"POST", "/api/v1/machines/{id}/complete", ROLE_OPERATOR, NULL, FAILOVER_COMPLETE_OPTIONS,
     complete},
    {"POST", "/api/v1/machines/{id}/reverse", ROLE_OPERATOR, NULL, NULL, reverse},
    {"GET", "/api/v1/operations", ROLE_VIEWER, "machine kind open limit before", NULL,
     list_operations},
    {"GET", "/api/v1/operations/{id}", ROLE_VIEWER, NULL, NULL, get_operation},
    {"GET", "/api/v1/operations/{id}/report", ROLE_VIEWER, "format", NULL, get_report},
    {"GET", "/api/v1/operations/{id}/screenshot", ROLE_VIEWER, NULL, NULL, get_screenshot},
    {NULL},
};
