/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/command.h"
#include "appliance/cli/connection.h"
#include "appliance/cli/machine-pages.h"
#include "base/json.h"

#include <stdio.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 1000

static gsize entry_count(const GOptionEntry *entries)
{
    gsize count = 0;
    while (entries && entries[count].long_name)
        count++;
    return count;
}

static gboolean parse(int *argc, char ***argv, const struct daemon_command *command,
                      gboolean *as_json, GError **error)
{
    gsize count = entry_count(command->entries);
    g_autofree GOptionEntry *entries = g_new0(GOptionEntry, count + 2);
    for (gsize i = 0; i < count; i++)
        entries[i] = command->entries[i];
    entries[count] = (GOptionEntry){
        "json", 0, 0, G_OPTION_ARG_NONE, as_json, "Print what the API answers", NULL};
    return command_parse(argc, argv, entries, connection_options(), command->parameters,
                         command->minimum, command->maximum, error);
}

int daemon_command_run(int argc, char **argv, const struct daemon_command *command)
{
    g_autoptr(GError) error = NULL;
    struct daemon daemon = {.options = command->options};
    gboolean parsed = parse(&argc, &argv, command, &daemon.as_json, &error);
    daemon.arguments = argv + 1;
    daemon.client = parsed ? connection_open(&error) : NULL;
    gboolean ok = daemon.client && command->work(&daemon, &error);
    client_free(daemon.client);
    command_clear(command->entries);
    if (!ok && !error)
        return EXIT_FAILED; /* the answer has said all */
    return ok ? EXIT_OK : command_failed(error, daemon.as_json);
}

int daemon_command_on_one(int argc, char **argv, const char *parameters,
                          const GOptionEntry *entries, void *options,
                          gboolean (*work)(struct daemon *daemon, GError **error))
{
    const struct daemon_command command = {
        .entries = entries,
        .parameters = parameters,
        .minimum = 1,
        .maximum = 1,
        .options = options,
        .work = work,
    };
    return daemon_command_run(argc, argv, &command);
}

char *daemon_path(const char *before, const char *name, const char *after)
{
    g_autofree char *escaped = g_uri_escape_string(name, NULL, FALSE);
    return g_strconcat(before, escaped, after, NULL);
}

gboolean daemon_check_number(const char *text, const char *what, GError **error)
{
    if (g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, NULL, NULL))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "'%s' is no number of %s", text, what);
    return FALSE;
}

static int by_host(gconstpointer a, gconstpointer b)
{
    return g_strcmp0(listing_string(json_node_get_object((JsonNode *)a), "host"),
                     listing_string(json_node_get_object((JsonNode *)b), "host"));
}

/* "which one: alpha/web, beta/web?", owned by the caller. A name that is gone from its host and
 * there again is twice on it: then only the UUID tells. */
static char *which_of(JsonArray *items)
{
    g_autoptr(GString) text = g_string_new("which one:");
    g_autoptr(GList) machines = g_list_sort(json_array_get_elements(items), by_host);
    const char *last = NULL;
    gboolean by_uuid = FALSE;
    for (const GList *machine = machines; machine; machine = machine->next) {
        const char *host = listing_string(json_node_get_object(machine->data), "host");
        by_uuid = by_uuid || g_strcmp0(host, last) == 0;
        last = host;
    }
    for (const GList *machine = machines; machine; machine = machine->next) {
        JsonObject *object = json_node_get_object(machine->data);
        g_string_append_printf(text, "%s %s/%s", machine == machines ? "" : ",",
                               listing_string(object, "host"),
                               listing_string(object, by_uuid ? "uuid" : "name"));
    }
    g_string_append_c(text, '?');
    return g_strdup(text->str);
}

/* A machine that was moved, or is tested, has its like on another host, which is not replicated:
 * the one that is, if there is one alone, is meant. */
static JsonObject *only_replicated(JsonArray *items)
{
    JsonObject *found = NULL;
    for (guint i = 0; i < json_array_get_length(items); i++) {
        JsonObject *machine = json_array_get_object_element(items, i);
        if (g_strcmp0(listing_string(machine, "state"), "discovered") == 0)
            continue;
        if (found)
            return NULL;
        found = machine;
    }
    return found;
}

JsonArray *daemon_machines(struct daemon *daemon, const char *name, GError **error)
{
    g_autoptr(JsonArray) items = machine_pages(daemon, "name", name, error);
    if (!items || json_array_get_length(items) > 0)
        return g_steal_pointer(&items);
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall machine list shows them",
                       "there is no machine '%s'", name);
    return NULL;
}

char *daemon_machine(struct daemon *daemon, const char *name, JsonObject **ret_machine,
                     GError **error)
{
    JsonObject *machine = NULL;
    g_autoptr(JsonArray) items = daemon_machines(daemon, name, error);
    if (!items)
        return NULL;
    if (json_array_get_length(items) == 1 &&
        !json_element_object(items, 0, "items", LANDFALL_ERROR_SOURCE, &machine, error))
        return NULL;
    machine = machine ? machine : only_replicated(items);
    if (!machine) {
        g_autofree char *hint = which_of(items);
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint, "'%s' may be any of %u machines",
                           name, json_array_get_length(items));
        return NULL;
    }
    if (ret_machine)
        *ret_machine = json_object_ref(machine);
    return g_strdup_printf("%" G_GINT64_FORMAT, listing_int(machine, "id"));
}

JsonObject *daemon_machine_call(struct daemon *daemon, const char *method, const char *after,
                                JsonObject *body, GError **error)
{
    g_autofree char *id = daemon_machine(daemon, daemon->arguments[0], NULL, error);
    g_autofree char *path = id ? daemon_path("/machines/", id, after) : NULL;
    return path ? client_call(daemon->client, method, path, body, error) : NULL;
}

gboolean daemon_printed(const struct daemon *daemon, JsonObject *answer)
{
    if (!daemon->as_json)
        return FALSE;
    g_autofree char *text = json_object_to_text(answer, TRUE);
    printf("%s\n", text);
    return TRUE;
}

gboolean daemon_list_newest(struct daemon *daemon, const struct daemon_newest *newest,
                            const struct listing_column *columns, GError **error)
{
    if (newest->limit < 0 || newest->limit > LIMIT_MAX) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "--limit takes a number from 1 to %d", LIMIT_MAX);
        return FALSE;
    }
    g_autoptr(GString) path = g_string_new(newest->path);
    g_string_append_printf(path, "?limit=%d", newest->limit ? newest->limit : LIMIT_DEFAULT);
    if (newest->machine) {
        g_autofree char *id = daemon_machine(daemon, newest->machine, NULL, error);
        if (!id)
            return FALSE;
        g_string_append_printf(path, "&machine=%s", id);
    }
    if (newest->value) {
        g_autofree char *value = g_uri_escape_string(newest->value, NULL, FALSE);
        g_string_append_printf(path, "&%s=%s", newest->parameter, value);
    }
    return daemon_list(daemon, path->str, columns, error);
}

gboolean daemon_list(struct daemon *daemon, const char *path, const struct listing_column *columns,
                     GError **error)
{
    JsonArray *items = NULL;
    g_autoptr(JsonObject) answer = client_call(daemon->client, "GET", path, NULL, error);
    if (!answer || !json_member_array(answer, "items", LANDFALL_ERROR_SOURCE, &items, error))
        return FALSE;
    if (!daemon_printed(daemon, answer))
        listing_print(items, columns);
    return TRUE;
}

gboolean daemon_machine_list(struct daemon *daemon, const char *after,
                             const struct listing_column *columns, GError **error)
{
    g_autofree char *id = daemon_machine(daemon, daemon->arguments[0], NULL, error);
    g_autofree char *path = id ? daemon_path("/machines/", id, after) : NULL;
    return path && daemon_list(daemon, path, columns, error);
}

gboolean daemon_show(struct daemon *daemon, const char *path, const struct listing_column *columns,
                     GError **error)
{
    g_autoptr(JsonObject) answer = client_call(daemon->client, "GET", path, NULL, error);
    if (!answer)
        return FALSE;
    if (!daemon_printed(daemon, answer))
        listing_print_one(answer, columns);
    return TRUE;
}
