/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/exchange.h"
#include "appliance/api/api-error.h"
#include "appliance/api/api-private.h"
#include "appliance/api/metrics.h"
#include "appliance/api/request-private.h"
#include "base/json.h"

#include <string.h>

#define BODY_BYTES_MAX (64 * 1024)
#define BRACKETS_MAX 1000

/* A body that is refused is still read up to here, for a client that sees its connection reset
 * before it has sent everything never reads why. */
#define BODY_BYTES_SWALLOWED (1024 * 1024)

static const char *const security_headers[][2] = {
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
    {"Strict-Transport-Security", "max-age=31536000"},
};

/* --- refusing, by the head alone --- */

static gboolean refuse_unknown(struct request *request, const char *methods, GError **error)
{
    if (request->identity.role == ROLE_NONE) {
        g_set_error(error, API_ERROR, API_ERROR_UNAUTHENTICATED, "this needs authentication");
    } else if (methods) {
        request_add_header(request, MHD_HTTP_HEADER_ALLOW, methods);
        g_set_error(error, API_ERROR, API_ERROR_METHOD, "%s does not take %s", request->path,
                    request->method);
    } else {
        landfall_error_set(error, LANDFALL_ERROR_MISSING,
                           "GET /api/v1/openapi.json names all there is", "there is no %s",
                           request->path);
    }
    return FALSE;
}

static gboolean check_role(const struct request *request, GError **error)
{
    if (request->identity.role >= request->route->role)
        return TRUE;
    if (request->identity.role == ROLE_NONE)
        g_set_error(error, API_ERROR, API_ERROR_UNAUTHENTICATED, "this needs authentication");
    else
        g_set_error(error, API_ERROR, API_ERROR_FORBIDDEN,
                    "this needs the role %s, and %s has the role %s",
                    role_name(request->route->role), request_who(request),
                    role_name(request->identity.role));
    return FALSE;
}

struct query_check {
    const struct request *request;
    GHashTable *seen; /* borrowed names */
    GError **error;
};

static enum MHD_Result check_parameter(void *data, G_GNUC_UNUSED enum MHD_ValueKind kind,
                                       const char *name, G_GNUC_UNUSED const char *value)
{
    struct query_check *check = data;
    if (!route_words_have(check->request->route->query, name))
        landfall_error_set(check->error, LANDFALL_ERROR_CONFIG, NULL, "unknown parameter '%s'",
                           name);
    else if (!g_hash_table_add(check->seen, (gpointer)name))
        landfall_error_set(check->error, LANDFALL_ERROR_CONFIG, NULL, "parameter '%s' comes twice",
                           name);
    else
        return MHD_YES;
    return MHD_NO; /* ends the walk */
}

static gboolean check_query(const struct request *request, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GError) cause = NULL;
    struct query_check check = {request, seen, &cause};
    MHD_get_connection_values(request->http, MHD_GET_ARGUMENT_KIND, check_parameter, &check);
    if (!cause)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean body_is_announced(const struct request *request)
{
    const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length && !g_str_equal(length, "0")) ||
           request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* What the client says it will send; libmicrohttpd has checked that it is a number. */
static guint64 body_length(const struct request *request)
{
    const char *text = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    guint64 length = 0;
    if (text && !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &length, NULL))
        return G_MAXUINT64;
    return length;
}

static gboolean too_large(GError **error)
{
    g_set_error(error, API_ERROR, API_ERROR_TOO_LARGE, "the body has more than %d bytes",
                BODY_BYTES_MAX);
    return FALSE;
}

static gboolean check_body_head(const struct request *request, GError **error)
{
    const char *type = request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (!body_is_announced(request))
        return TRUE;
    if (body_length(request) > BODY_BYTES_MAX)
        return too_large(error);
    g_auto(GStrv) words = g_strsplit(type ? type : "", ";", 2);
    if (words[0] && g_ascii_strcasecmp(g_strstrip(words[0]), "application/json") == 0)
        return TRUE;
    g_set_error(error, API_ERROR, API_ERROR_WRONG_TYPE, "the body is not application/json");
    return FALSE;
}

static gboolean check_head(struct request *request, GError **error)
{
    g_autofree char *methods = NULL;
    gboolean changes =
        !g_str_equal(request->method, "GET") && !g_str_equal(request->method, "HEAD");
    if (!identity_find(request, error))
        return FALSE;
    request->route = route_find(request->method, request->path, &request->parameters, &methods);
    if (!request->route)
        return refuse_unknown(request, methods, error);
    return check_role(request, error) && (!changes || identity_check_origin(request, error)) &&
           check_query(request, error) && check_body_head(request, error);
}

/* --- the body and the handler --- */

/* json-glib goes down into each bracket by a call of itself. Nothing that we take has many. */
static gboolean check_brackets(const GByteArray *body, GError **error)
{
    guint count = 0;
    for (guint i = 0; i < body->len; i++)
        count += body->data[i] == '[' || body->data[i] == '{';
    if (count <= BRACKETS_MAX)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "the body has more than %d brackets",
                       BRACKETS_MAX);
    return FALSE;
}

static gboolean parse_body(struct request *request, GError **error)
{
    const char *words = request->route->body;
    if (request->body_bytes > BODY_BYTES_MAX)
        return too_large(error);
    if (!check_brackets(request->body, error))
        return FALSE;
    if (request->body->len)
        request->json = json_parse_object((const char *)request->body->data, request->body->len,
                                          "the body", LANDFALL_ERROR_CONFIG, error);
    else
        request->json = json_object_new();
    if (!request->json)
        return FALSE;
    g_autoptr(GList) members = json_object_get_members(request->json);
    for (const GList *member = members; member; member = member->next) {
        if (g_strcmp0(words, "*") == 0 || route_words_have(words, member->data))
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "unknown member '%s'",
                           (const char *)member->data);
        return FALSE;
    }
    return TRUE;
}

static void run_handler(struct request *request)
{
    connection_set_deadline(request->connection, 0);
    if (!request->error && parse_body(request, &request->error)) {
        JsonObject *answer = request->route->handle(request, &request->error);
        if (request->state == REQUEST_DEFERRED)
            return;
        if (answer)
            request->answer = answer;
    }
    request->state = REQUEST_ANSWERED;
}

/* --- the answer --- */

static void add_headers(struct request *request, struct MHD_Response *response)
{
    g_auto(GStrv) headers = g_strv_builder_end(request->headers);
    for (guint i = 0; headers[i]; i += 2)
        MHD_add_response_header(response, headers[i], headers[i + 1]);
    for (guint i = 0; i < G_N_ELEMENTS(security_headers); i++)
        MHD_add_response_header(response, security_headers[i][0], security_headers[i][1]);
    if (request->error && api_error_status(request->error) == API_ERROR_UNAUTHENTICATED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                "Bearer realm=\"landfall\"");
}

static struct MHD_Response *response_of(JsonObject *answer)
{
    g_autofree char *text = answer ? json_object_to_text(answer, FALSE) : g_strdup("");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    if (answer)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    return response;
}

static enum MHD_Result send_answer(struct request *request)
{
    unsigned status = request->status;
    if (request->error) {
        g_clear_pointer(&request->answer, json_object_unref);
        request->answer = api_error_to_json(request->error);
        status = api_error_status(request->error);
    } else if (!status) {
        status = request->answer || request->response ? MHD_HTTP_OK : MHD_HTTP_NO_CONTENT;
    }
    struct MHD_Response *response =
        request->response ? g_steal_pointer(&request->response) : response_of(request->answer);
    add_headers(request, response);
    connection_set_deadline(request->connection, request->is_stream ? 0 : CONNECTION_ANSWER_S);
    if (request->api)
        metrics_count_request(request->api->metrics, request->method, status);
    enum MHD_Result result = MHD_queue_response(request->http, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result gather(struct request *request, const char *upload, size_t *upload_bytes)
{
    request->body_bytes += *upload_bytes;
    if (!request->error && request->body_bytes <= BODY_BYTES_MAX)
        g_byte_array_append(request->body, (const guint8 *)upload, (guint)*upload_bytes);
    *upload_bytes = 0;
    return request->body_bytes <= BODY_BYTES_SWALLOWED ? MHD_YES : MHD_NO;
}

enum MHD_Result exchange_handle(void *data, struct MHD_Connection *http, const char *path,
                                const char *method, G_GNUC_UNUSED const char *version,
                                const char *upload, size_t *upload_bytes, void **context)
{
    struct request *request = *context;
    if (!request) {
        *context = request = request_new(data, http, method, path);
        gboolean fine = check_head(request, &request->error);
        return fine || body_length(request) <= BODY_BYTES_SWALLOWED ? MHD_YES
                                                                    : send_answer(request);
    }
    if (*upload_bytes)
        return gather(request, upload, upload_bytes);
    if (request->state == REQUEST_GATHERING)
        run_handler(request);
    if (request->state == REQUEST_DEFERRED) {
        request->suspended = TRUE;
        MHD_suspend_connection(http);
        return MHD_YES;
    }
    return send_answer(request);
}

void exchange_completed(G_GNUC_UNUSED void *data, struct MHD_Connection *http, void **context,
                        G_GNUC_UNUSED enum MHD_RequestTerminationCode code)
{
    struct request *request = *context;
    if (!request)
        return;
    connection_set_deadline(connection_of(http), CONNECTION_REQUEST_S);
    request->http = NULL;
    *context = NULL;
    request_unref(request);
}
