/* SPDX-License-Identifier: Apache-2.0 */

/* landfall operation … and report: what was moved and tested, how it went, and the page to file. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/steps.h"
#include "base/json.h"

#include <stdio.h>

static const struct listing_column operation_columns[] = {
    {"no.", "id", listing_cell_text, TRUE},
    {"kind", "kind", listing_cell_text, FALSE},
    {"machine", "machine_name", listing_cell_text, FALSE},
    {"target", "target", listing_cell_text, FALSE},
    {"state", "state", listing_cell_text, FALSE},
    {"verdict", "verdict", listing_cell_text, FALSE},
    {"point", "recovery_point", listing_cell_text, TRUE},
    {"downtime", "downtime_ms", listing_cell_ms, TRUE},
    {"begins", "at", listing_cell_time, FALSE},
    {"started", "started_at", listing_cell_time, FALSE},
    {"by", "who", listing_cell_text, FALSE},
    {"problem", "error", listing_cell_problem, FALSE},
    {NULL},
};

struct operation_options {
    char *machine, *kind, *html, *screenshot, *operation;
    int limit;
};

/* --- list, show ---------------------------------------------------------------------------------
 */

static gboolean list(struct daemon *daemon, GError **error)
{
    const struct operation_options *options = daemon->options;
    const struct daemon_newest newest = {
        .path = "/operations",
        .machine = options->machine,
        .parameter = "kind",
        .value = options->kind,
        .limit = options->limit,
    };
    return daemon_list_newest(daemon, &newest, operation_columns, error);
}

int command_operation_list(int argc, char **argv)
{
    struct operation_options options = {NULL};
    const GOptionEntry entries[] = {
        {"machine", 0, 0, G_OPTION_ARG_STRING, &options.machine, "Only those of this machine",
         "MACHINE"},
        {"kind", 0, 0, G_OPTION_ARG_STRING, &options.kind,
         "Only those of a kind: test, migrate, rollback …", "KIND"},
        {"limit", 0, 0, G_OPTION_ARG_INT, &options.limit, "The newest N (default 50)", "N"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .entries = entries,
                                  .parameters = "- list tests and moves, the newest first",
                                  .options = &options,
                                  .work = list,
                              });
}

static gboolean show_operation(struct daemon *daemon, const char *id, GError **error)
{
    g_autofree char *path = daemon_path("/operations/", id, "");
    g_autoptr(JsonObject) operation = client_call(daemon->client, "GET", path, NULL, error);
    if (!operation || daemon_printed(daemon, operation))
        return operation != NULL;
    return steps_print_all(operation, error);
}

static gboolean show(struct daemon *daemon, GError **error)
{
    return daemon_check_number(daemon->arguments[0], "an operation", error) &&
           show_operation(daemon, daemon->arguments[0], error);
}

int command_operation_show(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "OPERATION - show a test or a move, step by step",
                                 NULL, NULL, show);
}

/* --- report -------------------------------------------------------------------------------------
 */

/* TRUE, with *latest as it was or a later operation, of those of the kind that the machine has. */
static gboolean look_for_later(struct daemon *daemon, gint64 machine, const char *kind,
                               gint64 *latest, GError **error)
{
    JsonArray *items = NULL;
    JsonObject *operation;
    g_autofree char *path =
        g_strdup_printf("/operations?machine=%" G_GINT64_FORMAT "&kind=%s&limit=1", machine, kind);
    g_autoptr(JsonObject) answer = client_call(daemon->client, "GET", path, NULL, error);
    if (!answer || !json_member_array(answer, "items", LANDFALL_ERROR_SOURCE, &items, error))
        return FALSE;
    if (json_array_get_length(items) == 0)
        return TRUE;
    if (!json_element_object(items, 0, "items", LANDFALL_ERROR_SOURCE, &operation, error))
        return FALSE;
    *latest = MAX(*latest, listing_int(operation, "id"));
    return TRUE;
}

/* Of the latest move, or else the latest test; owned by the caller. A machine that has moved for
 * good is on both hosts, and the report is of the one that it was. */
static char *latest_operation(struct daemon *daemon, JsonArray *machines, GError **error)
{
    static const char *const kinds[] = {"migrate", "test"};
    gint64 latest = 0;
    for (gsize i = 0; latest == 0 && i < G_N_ELEMENTS(kinds); i++)
        for (guint k = 0; k < json_array_get_length(machines); k++) {
            gint64 id = listing_int(json_array_get_object_element(machines, k), "id");
            if (!look_for_later(daemon, id, kinds[i], &latest, error))
                return NULL;
        }
    if (latest > 0)
        return g_strdup_printf("%" G_GINT64_FORMAT, latest);
    landfall_error_set(error, LANDFALL_ERROR_MISSING,
                       "landfall test-migrate and landfall migrate do that",
                       "machine %s has neither been tested nor moved", daemon->arguments[0]);
    return NULL;
}

/* The one that was named, which has to be the machine's; owned by the caller. */
static char *named_operation(struct daemon *daemon, JsonArray *machines, const char *number,
                             GError **error)
{
    if (!daemon_check_number(number, "an operation", error))
        return NULL;
    g_autofree char *path = daemon_path("/operations/", number, "");
    g_autoptr(JsonObject) operation = client_call(daemon->client, "GET", path, NULL, error);
    if (!operation)
        return NULL;
    const char *name = listing_string(operation, "machine_name");
    for (guint i = 0; i < json_array_get_length(machines); i++)
        if (g_strcmp0(listing_string(json_array_get_object_element(machines, i), "name"), name) ==
            0)
            return g_strdup(number);
    landfall_error_set(
        error, LANDFALL_ERROR_MISSING, "landfall operation list --machine shows those of a machine",
        "operation %s is one of machine %s, not of %s", number, name, daemon->arguments[0]);
    return NULL;
}

/* Writes what is at /operations/ID followed by after into a file, which gets its name when it is
 * whole. */
static gboolean save(struct daemon *daemon, const char *id, const char *after, const char *file,
                     GError **error)
{
    g_autofree char *path = daemon_path("/operations/", id, after);
    g_autoptr(GBytes) bytes = client_fetch(daemon->client, path, error);
    g_autoptr(GError) failed = NULL;
    if (!bytes)
        return FALSE;
    if (!g_file_set_contents(file, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes),
                             &failed)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "%s", failed->message);
        return FALSE;
    }
    if (!daemon->as_json)
        printf("%s is written\n", file);
    return TRUE;
}

/* On a target that was abandoned. */
static void print_left_behind(JsonObject *report)
{
    static const struct listing_column columns[] = {
        {"left behind", "what", listing_cell_text, FALSE},
        {"what takes it away, there", "command", listing_cell_text, FALSE},
        {NULL},
    };
    JsonObject *behind = json_find_object(report, "left_behind");
    JsonArray *left = behind ? json_find_array(behind, "left") : NULL;
    if (!left || json_array_get_length(left) == 0)
        return;
    g_autofree char *host = listing_cell_text(behind, "host");
    g_autofree char *why = listing_cell_text(behind, "why");
    printf("\nHost %s was abandoned (%s). What is left there must never be started again:\n", host,
           why);
    listing_print(left, columns);
}

static gboolean report(struct daemon *daemon, GError **error)
{
    const struct operation_options *options = daemon->options;
    g_autoptr(JsonArray) machines = daemon_machines(daemon, daemon->arguments[0], error);
    g_autofree char *id = !machines ? NULL
                          : options->operation
                              ? named_operation(daemon, machines, options->operation, error)
                              : latest_operation(daemon, machines, error);
    if (!id || (options->html && !save(daemon, id, "/report?format=html", options->html, error)) ||
        (options->screenshot && !save(daemon, id, "/screenshot", options->screenshot, error)))
        return FALSE;
    if (!daemon->as_json && (options->html || options->screenshot))
        return TRUE;
    g_autofree char *path = daemon_path("/operations/", id, "/report");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "GET", path, NULL, error);
    if (!answer || daemon_printed(daemon, answer))
        return answer != NULL;
    if (!show_operation(daemon, id, error))
        return FALSE;
    print_left_behind(answer);
    return TRUE;
}

int command_report(int argc, char **argv)
{
    struct operation_options options = {NULL};
    const GOptionEntry entries[] = {
        {"operation", 0, 0, G_OPTION_ARG_STRING, &options.operation,
         "Of this one (default: the latest move, or else the latest test)", "N"},
        {"html", 0, 0, G_OPTION_ARG_FILENAME, &options.html, "Write it as a page to file", "FILE"},
        {"screenshot", 0, 0, G_OPTION_ARG_FILENAME, &options.screenshot,
         "Write the machine's screen as PNG", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - tell how a move or a test went", entries,
                                 &options, report);
}
