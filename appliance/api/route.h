/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the API offers: one table a resource, each row a method and a path with who may use it, what
 * it takes and the function that does it. The tables are all there is: what they do not name cannot
 * be reached, and the OpenAPI file is held against them. */

#include <json-glib/json-glib.h>

struct request;

enum role {
    ROLE_NONE,     /* nobody in particular: no authentication */
    ROLE_VIEWER,   /* reads */
    ROLE_OPERATOR, /* reads and changes */
};

struct route {
    const char *method;
    const char *path;  /* "/api/v1/hosts/{name}": a segment in braces takes any one segment */
    enum role role;    /* the least that may use it */
    const char *query; /* query parameters it knows, a space between; NULL: none */
    const char *body;  /* members its body may have, a space between; "*": the handler looks at
                          them; NULL: takes no body */

    /* Runs on the main thread, for less than 10 ms. Returns the answer, taken by the caller; or
     * NULL with *error set; or NULL without: an answer with no content, or one that comes later by
     * request_defer, or a stream. */
    JsonObject *(*handle)(struct request *request, GError **error);
};

/* Each ends with a row without a method. */
extern const struct route routes_accounts[], routes_events[], routes_failovers[], routes_health[],
    routes_hosts[], routes_jobs[], routes_machines[], routes_metrics[], routes_openapi[],
    routes_recovery_points[], routes_rehearsals[], routes_replications[], routes_session[],
    routes_settings[], routes_stores[], routes_targets[], routes_tokens[];

/* All of the tables; ends with NULL. */
extern const struct route *const route_tables[];

/* The row that takes method and path, or NULL. *ret_parameters gets what stands in the place of the
 * braces, in their order; the caller owns it. *ret_methods (when NULL is returned) gets the methods
 * that the path takes, for Allow, or NULL when no row has such a path. HEAD is served as GET. */
const struct route *route_find(const char *method, const char *path, GStrv *ret_parameters,
                               char **ret_methods);

/* Whether name is one of the words. words may be NULL. */
gboolean route_words_have(const char *words, const char *name);

/* Stable names: "none", "viewer", "operator". */
const char *role_name(enum role role);

/* TRUE for the name of a role that somebody can have. */
gboolean role_from_name(const char *name, enum role *ret_role);

/* Error config for the name of a role that nobody can have; NULL is fine. */
gboolean role_check(const char *name, GError **error);
