/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/api-private.h"
#include "appliance/api/request-private.h"
#include "appliance/state/machines.h"
#include "base/error.h"

#include <string.h>

struct request *request_new(struct api *api, struct MHD_Connection *http, const char *method,
                            const char *path)
{
    struct request *request = g_new0(struct request, 1);
    request->reference_count = 1;
    request->api = api;
    request->http = http;
    request->connection = connection_of(http);
    request->method = g_strdup(method);
    request->path = g_strdup(path);
    request->body = g_byte_array_new();
    request->headers = g_strv_builder_new();
    request->link.data = request;
    return request;
}

struct request *request_ref(struct request *request)
{
    request->reference_count++;
    return request;
}

void request_unref(struct request *request)
{
    if (--request->reference_count)
        return;
    g_free(request->method);
    g_free(request->path);
    g_strfreev(request->parameters);
    identity_clear(&request->identity);
    g_byte_array_unref(request->body);
    g_clear_pointer(&request->json, json_object_unref);
    g_clear_error(&request->error);
    g_clear_pointer(&request->answer, json_object_unref);
    g_clear_pointer(&request->response, MHD_destroy_response);
    g_strv_builder_unref(request->headers);
    g_free(request);
}

struct api *request_api(const struct request *request)
{
    return request->api;
}

const char *request_who(const struct request *request)
{
    return request->identity.who ? request->identity.who : "nobody";
}

const char *request_address(const struct request *request)
{
    return request->connection->address;
}

const char *request_parameter(const struct request *request, guint index)
{
    g_assert(index < g_strv_length(request->parameters));
    return request->parameters[index];
}

gboolean request_id(const struct request *request, guint index, gint64 *ret_id, GError **error)
{
    const char *text = request_parameter(request, index);
    if (g_ascii_string_to_signed(text, 10, 1, G_MAXINT64, ret_id, NULL))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "ids are whole numbers from 1",
                       "there is nothing with the id '%s'", text);
    return FALSE;
}

gboolean request_machine(const struct request *request, gint64 *ret_id, GError **error)
{
    gint64 id;
    if (!request_id(request, 0, &id, error))
        return FALSE;
    struct state_machine *machine = state_machine_get(request->api->state, id, error);
    gboolean there = machine != NULL;
    state_machine_free(machine);
    if (there)
        *ret_id = id;
    return there;
}

const char *request_query(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->http, MHD_GET_ARGUMENT_KIND, name);
}

gboolean request_query_number(const struct request *request, const char *name, gint64 minimum,
                              gint64 maximum, gint64 *ret_value, GError **error)
{
    const char *text = request_query(request, name);
    if (!text || g_ascii_string_to_signed(text, 10, minimum, maximum, ret_value, NULL))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                       "parameter '%s' is no whole number from %" G_GINT64_FORMAT
                       " to %" G_GINT64_FORMAT,
                       name, minimum, maximum);
    return FALSE;
}

gboolean request_query_boolean(const struct request *request, const char *name, gboolean *ret_value,
                               GError **error)
{
    const char *text = request_query(request, name);
    if (!text)
        return TRUE;
    if (g_str_equal(text, "true") || g_str_equal(text, "false")) {
        *ret_value = g_str_equal(text, "true");
        return TRUE;
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                       "parameter '%s' is neither 'true' nor 'false'", name);
    return FALSE;
}

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->http, MHD_HEADER_KIND, name);
}

JsonObject *request_body(const struct request *request)
{
    return request->json;
}

void request_set_status(struct request *request, unsigned status)
{
    request->status = status;
}

void request_add_header(struct request *request, const char *name, const char *value)
{
    g_strv_builder_add_many(request->headers, name, value, NULL);
}

void request_defer(struct request *request)
{
    request->state = REQUEST_DEFERRED;
    g_queue_push_tail_link(&request->api->deferred, &request_ref(request)->link);
}

void request_finish(struct request *request, JsonObject *answer, const GError *error)
{
    g_autoptr(JsonObject) taken = answer;
    if (request->state == REQUEST_DEFERRED) {
        g_queue_unlink(&request->api->deferred, &request->link);
        request->state = REQUEST_ANSWERED;
        request->answer = g_steal_pointer(&taken);
        request->error = error ? g_error_copy(error) : NULL;
        if (request->suspended)
            connection_resume(request->connection, request->http);
        request->suspended = FALSE;
    }
    request_unref(request);
}

gboolean request_is_http_url(const char *text)
{
    g_autoptr(GUri) url = g_uri_parse(text, G_URI_FLAGS_ENCODED, NULL);
    const char *scheme = url ? g_uri_get_scheme(url) : "", *host = url ? g_uri_get_host(url) : NULL;
    return (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) && host && *host;
}

void request_answer_text(struct request *request, const char *content_type, const char *text)
{
    request_answer_bytes(request, content_type, text, strlen(text));
}

void request_answer_bytes(struct request *request, const char *content_type, const void *bytes,
                          gsize length)
{
    request->response =
        MHD_create_response_from_buffer(length, (void *)bytes, MHD_RESPMEM_MUST_COPY);
    request_add_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
}
