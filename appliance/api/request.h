/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request as its handler sees it. Everything here is of the main thread. */

#include "appliance/api/route.h"

struct api;

/* What the handlers work on: state, scheduler and so on. Borrowed. */
struct api *request_api(const struct request *request);

/* Who asks, for the audit log: "admin", "token:ci", "socket:root". Never NULL. Borrowed. */
const char *request_who(const struct request *request);

/* Where from: an address without its port, or "socket". Borrowed. */
const char *request_address(const struct request *request);

/* What stands in the path in the place of the first pair of braces, the second, … Borrowed. */
const char *request_parameter(const struct request *request, guint index);

/* The same as a number; error missing when it is none: there is no such thing. */
gboolean request_id(const struct request *request, guint index, gint64 *ret_id, GError **error);

/* The number of the machine that stands first in the path; error missing when there is none. */
gboolean request_machine(const struct request *request, gint64 *ret_id, GError **error);

/* The value of a query parameter, or NULL. Borrowed. */
const char *request_query(const struct request *request, const char *name);

/* A query parameter as a number from minimum to maximum; untouched when there is none. */
gboolean request_query_number(const struct request *request, const char *name, gint64 minimum,
                              gint64 maximum, gint64 *ret_value, GError **error);

/* A query parameter as "true" or "false"; untouched when there is none. */
gboolean request_query_boolean(const struct request *request, const char *name, gboolean *ret_value,
                               GError **error);

/* A header, or NULL. Borrowed. */
const char *request_header(const struct request *request, const char *name);

/* The body: an object with no members but those of the route. NULL when the route takes none.
 * Borrowed. */
JsonObject *request_body(const struct request *request);

/* The status of an answer that is no error: 200 or, without content, 204 unless set here. */
void request_set_status(struct request *request, unsigned status);

/* What a client gives as an address to call: http:// or https://, and a host. */
gboolean request_is_http_url(const char *text);

/* A header of the answer. */
void request_add_header(struct request *request, const char *name, const char *value);

/* The answer comes later: the handler returns NULL, and some turn of the main loop calls
 * request_finish once, with the answer (taken; may be NULL: no content) or the error (borrowed).
 * The client may be gone by then, and so may the server: that does not matter. */
void request_defer(struct request *request);
void request_finish(struct request *request, JsonObject *answer, const GError *error);

/* An answer that is not JSON, such as the text of /metrics. Copies it. The handler returns NULL. */
void request_answer_text(struct request *request, const char *content_type, const char *text);
void request_answer_bytes(struct request *request, const char *content_type, const void *bytes,
                          gsize length);
