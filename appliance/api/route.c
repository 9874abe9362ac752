/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/route.h"
#include "base/error.h"

#define SEGMENTS_MAX 12

static const char *const role_names[] = {
    [ROLE_NONE] = "none",
    [ROLE_VIEWER] = "viewer",
    [ROLE_OPERATOR] = "operator",
};

const struct route *const route_tables[] = {
    routes_accounts,        routes_events,     routes_failovers,
    routes_health,          routes_hosts,      routes_jobs,
    routes_machines,        routes_metrics,    routes_openapi,
    routes_recovery_points, routes_rehearsals, routes_replications,
    routes_session,         routes_settings,   routes_stores,
    routes_targets,         routes_tokens,     NULL,
};

/* What stands in the place of the braces when path fits pattern; NULL when it does not. */
static GStrv match(const char *pattern, char *const *segments)
{
    g_auto(GStrv) wanted = g_strsplit(pattern, "/", SEGMENTS_MAX);
    g_autoptr(GStrvBuilder) parameters = g_strv_builder_new();
    guint i;
    for (i = 0; wanted[i] && segments[i]; i++) {
        if (wanted[i][0] == '{' && segments[i][0])
            g_strv_builder_add(parameters, segments[i]);
        else if (!g_str_equal(wanted[i], segments[i]))
            return NULL;
    }
    return wanted[i] || segments[i] ? NULL : g_strv_builder_end(parameters);
}

const struct route *route_find(const char *method, const char *path, GStrv *ret_parameters,
                               char **ret_methods)
{
    g_auto(GStrv) segments = g_strsplit(path, "/", SEGMENTS_MAX);
    g_autoptr(GString) methods = g_string_new(NULL);
    if (g_str_equal(method, "HEAD"))
        method = "GET";
    for (guint table = 0; route_tables[table]; table++) {
        for (const struct route *route = route_tables[table]; route->method; route++) {
            g_auto(GStrv) parameters = match(route->path, segments);
            if (parameters && g_str_equal(route->method, method)) {
                *ret_parameters = g_steal_pointer(&parameters);
                return route;
            }
            if (parameters)
                g_string_append_printf(methods, "%s%s", methods->len ? ", " : "", route->method);
        }
    }
    *ret_methods = methods->len ? g_strdup(methods->str) : NULL;
    return NULL;
}

gboolean route_words_have(const char *words, const char *name)
{
    g_auto(GStrv) known = g_strsplit(words ? words : "", " ", -1);
    return *name && g_strv_contains((const char *const *)known, name);
}

const char *role_name(enum role role)
{
    return role_names[role];
}

gboolean role_from_name(const char *name, enum role *ret_role)
{
    for (enum role role = ROLE_VIEWER; role <= ROLE_OPERATOR; role++) {
        if (g_str_equal(name, role_names[role])) {
            *ret_role = role;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean role_check(const char *name, GError **error)
{
    enum role role;
    if (!name || role_from_name(name, &role))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use viewer or operator",
                       "there is no role '%.64s'", name);
    return FALSE;
}
