/* SPDX-License-Identifier: Apache-2.0 */

/* The tables of routes: what fits which path, and that openapi.json says what they say. */

#include "appliance/api/route.h"

#include <gio/gio.h>

static JsonObject *openapi(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) text =
        g_resources_lookup_data("/landfall/api/openapi.json", G_RESOURCE_LOOKUP_FLAGS_NONE, &error);
    g_assert_no_error(error);
    g_autoptr(JsonParser) parser = json_parser_new();
    json_parser_load_from_data(parser, g_bytes_get_data(text, NULL), (gssize)g_bytes_get_size(text),
                               &error);
    g_assert_no_error(error);
    return json_object_ref(json_node_get_object(json_parser_get_root(parser)));
}

/* The file's words on a row, or NULL. Borrowed from file. */
static JsonObject *operation_of(JsonObject *file, const struct route *route)
{
    JsonObject *paths = json_object_get_object_member(file, "paths");
    g_autofree char *method = g_ascii_strdown(route->method, -1);
    JsonObject *path = json_object_has_member(paths, route->path)
                           ? json_object_get_object_member(paths, route->path)
                           : NULL;
    return path && json_object_has_member(path, method)
               ? json_object_get_object_member(path, method)
               : NULL;
}

static gint compare(gconstpointer one, gconstpointer other)
{
    return g_strcmp0(*(const char *const *)one, *(const char *const *)other);
}

static char *sorted(GPtrArray *words)
{
    g_ptr_array_sort(words, compare);
    g_ptr_array_add(words, NULL);
    return g_strjoinv(" ", (char **)words->pdata);
}

static char *sorted_words(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text ? text : "", " ", -1);
    g_autoptr(GPtrArray) array = g_ptr_array_new();
    for (guint i = 0; words[i]; i++)
        if (*words[i])
            g_ptr_array_add(array, words[i]);
    return sorted(array);
}

/* The names of the operation's parameters that are in the query, or in the path. */
static char *parameters_in(JsonObject *operation, const char *in)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    JsonArray *parameters = json_object_has_member(operation, "parameters")
                                ? json_object_get_array_member(operation, "parameters")
                                : NULL;
    for (guint i = 0; parameters && i < json_array_get_length(parameters); i++) {
        JsonObject *parameter = json_array_get_object_element(parameters, i);
        if (g_str_equal(json_object_get_string_member(parameter, "in"), in))
            g_ptr_array_add(names, (char *)json_object_get_string_member(parameter, "name"));
    }
    return sorted(names);
}

static char *path_words(const char *path)
{
    g_auto(GStrv) segments = g_strsplit(path, "/", -1);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; segments[i]; i++)
        if (segments[i][0] == '{')
            g_ptr_array_add(names, g_strdelimit(segments[i] + 1, "}", '\0'));
    return sorted(names);
}

/* The members of the body's schema; "*" when any is allowed. */
static char *body_words(JsonObject *file, JsonObject *operation)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    if (!json_object_has_member(operation, "requestBody"))
        return g_strdup("");
    JsonObject *content = json_object_get_object_member(
        json_object_get_object_member(operation, "requestBody"), "content");
    JsonObject *json = json_object_get_object_member(content, "application/json");
    const char *reference =
        json_object_get_string_member(json_object_get_object_member(json, "schema"), "$ref");
    const char *name = g_strrstr(reference, "/") + 1;
    JsonObject *schemas =
        json_object_get_object_member(json_object_get_object_member(file, "components"), "schemas");
    JsonObject *schema = json_object_get_object_member(schemas, name);
    if (!json_object_has_member(schema, "properties"))
        return g_strdup("*");
    g_assert_false(json_object_get_boolean_member(schema, "additionalProperties"));
    g_autoptr(GList) members =
        json_object_get_members(json_object_get_object_member(schema, "properties"));
    for (const GList *member = members; member; member = member->next)
        g_ptr_array_add(names, member->data);
    return sorted(names);
}

static void check_row(JsonObject *file, const struct route *route)
{
    JsonObject *operation = operation_of(file, route);
    if (!operation)
        g_error("openapi.json does not have %s %s", route->method, route->path);
    g_test_message("%s %s", route->method, route->path);
    g_autofree char *query = sorted_words(route->query);
    g_autofree char *query_told = parameters_in(operation, "query");
    g_autofree char *body = sorted_words(route->body);
    g_autofree char *body_told = body_words(file, operation);
    g_autofree char *path = path_words(route->path);
    g_autofree char *path_told = parameters_in(operation, "path");
    g_assert_cmpstr(query, ==, query_told);
    g_assert_cmpstr(body, ==, body_told);
    g_assert_cmpstr(path, ==, path_told);
    g_assert_cmpstr(role_name(route->role), ==, json_object_get_string_member(operation, "x-role"));
    g_assert_true(json_object_has_member(operation, "security") == (route->role == ROLE_NONE));
}

static guint operations(JsonObject *file)
{
    guint count = 0;
    g_autoptr(GList) paths = json_object_get_values(json_object_get_object_member(file, "paths"));
    for (const GList *path = paths; path; path = path->next)
        count += json_object_get_size(json_node_get_object(path->data));
    return count;
}

static void test_openapi(void)
{
    g_autoptr(JsonObject) file = openapi();
    guint rows = 0;
    for (guint table = 0; route_tables[table]; table++)
        for (const struct route *route = route_tables[table]; route->method; route++, rows++)
            check_row(file, route);
    g_assert_cmpuint(rows, ==, operations(file));
}

/* Whoever may change something is an operator; what needs nobody is little. */
static void test_roles(void)
{
    guint open = 0;
    for (guint table = 0; route_tables[table]; table++) {
        for (const struct route *route = route_tables[table]; route->method; route++) {
            gboolean reads = g_str_equal(route->method, "GET");
            gboolean own = g_str_equal(route->path, "/api/v1/session");
            open += route->role == ROLE_NONE;
            g_assert_true(reads || own || route->role != ROLE_VIEWER);
        }
    }
    g_assert_cmpuint(open, ==, 3); /* health, set-up, login */
}

static void check_found(const char *method, const char *path, const char *expected,
                        const char *methods_expected)
{
    g_auto(GStrv) parameters = NULL;
    g_autofree char *methods = NULL;
    const struct route *route = route_find(method, path, &parameters, &methods);
    g_assert_cmpstr(route ? route->path : NULL, ==, expected);
    g_assert_cmpstr(methods, ==, methods_expected);
    g_assert_true(!route == !parameters);
}

static void test_find(void)
{
    check_found("GET", "/api/v1/hosts", "/api/v1/hosts", NULL);
    check_found("HEAD", "/api/v1/hosts", "/api/v1/hosts", NULL);
    check_found("GET", "/api/v1/hosts/a", "/api/v1/hosts/{name}", NULL);
    check_found("PUT", "/api/v1/hosts", NULL, "GET, POST");
    check_found("GET", "/api/v1/hosts/", NULL, NULL);
    check_found("GET", "/api/v1/hosts/a/", NULL, NULL);
    check_found("GET", "/api/v1//hosts", NULL, NULL);
    check_found("GET", "api/v1/hosts", NULL, NULL);
    check_found("GET", "", NULL, NULL);
    check_found("GET", "/", NULL, NULL);
    check_found("GET", "/api/v1/hosts/a/b/c/d/e/f/g/h/i/j/k/l/m/n", NULL, NULL);
    check_found("get", "/api/v1/hosts", NULL, "GET, POST");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/route/H1: openapi.json says what the tables say", test_openapi);
    g_test_add_func("/route/H2: little is open, and viewers change nothing", test_roles);
    g_test_add_func("/route/find", test_find);
    return g_test_run();
}
