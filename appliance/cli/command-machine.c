/* SPDX-License-Identifier: Apache-2.0 */

/* landfall machine …: the machines of all hosts, and how their replication stands. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/machine-pages.h"
#include "appliance/cli/text.h"
#include "base/json.h"

#include <stdio.h>

/* "7 min of 15 min": how far behind it is, and how far it may be. */
static char *cell_lag(JsonObject *row, const char *path)
{
    if (!listing_node(row, path))
        return NULL;
    g_autofree char *lag = text_span((guint64)MAX(listing_int(row, path), 0));
    gint64 interval = listing_int(row, "replication.interval_s");
    if (interval <= 0)
        return g_steal_pointer(&lag);
    g_autofree char *allowed = text_span((guint64)interval);
    return g_strdup_printf("%s of %s", lag, allowed);
}

static char *cell_interval(JsonObject *row, const char *path)
{
    if (!listing_node(row, path))
        return NULL;
    gint64 seconds = listing_int(row, path);
    return seconds > 0 ? text_span((guint64)seconds) : g_strdup("auto");
}

static char *cell_count_or_all(JsonObject *row, const char *path)
{
    return listing_node(row, path) && listing_int(row, path) == 0 ? g_strdup("all")
                                                                  : listing_cell_text(row, path);
}

/* Of what is replicated, the member is null where the best there is is taken. */
static char *cell_consistency(JsonObject *row, const char *path)
{
    char *word = listing_cell_text(row, path);
    return word || !listing_node(row, "replication") ? word : g_strdup("auto");
}

static const struct listing_column machine_columns[] = {
    {"name", "name", listing_cell_text, FALSE},
    {"host", "host", listing_cell_text, FALSE},
    {"power", "power", listing_cell_text, FALSE},
    {"state", "state", listing_cell_text, FALSE},
    {"point", "replication.last_point", listing_cell_text, TRUE},
    {"age", "replication.last_point_at", listing_cell_ago, TRUE},
    {"lag", "replication.lag_s", cell_lag, TRUE},
    {"next", "replication.next_due_at", listing_cell_until, TRUE},
    {"problem", "replication.error", listing_cell_problem, FALSE},
    {NULL},
};

static const struct listing_column machine_details[] = {
    {"name", "name", listing_cell_text, FALSE},
    {"uuid", "uuid", listing_cell_text, FALSE},
    {"host", "host", listing_cell_text, FALSE},
    {"power", "power", listing_cell_text, FALSE},
    {"state", "state", listing_cell_text, FALSE},
    {"store", "replication.store", listing_cell_text, FALSE},
    {"interval", "replication.interval_s", cell_interval, FALSE},
    {"retain", "replication.retain", cell_count_or_all, FALSE},
    {"exclude disks", "replication.exclude_disks", listing_cell_text, FALSE},
    {"bandwidth", "replication.bandwidth", listing_cell_rate, FALSE},
    {"blackout", "replication.blackout", listing_cell_text, FALSE},
    {"consistency", "replication.consistency", cell_consistency, FALSE},
    {"priority", "replication.priority", listing_cell_text, FALSE},
    {"last point", "replication.last_point", listing_cell_text, FALSE},
    {"taken", "replication.last_point_at", listing_cell_time, FALSE},
    {"lag", "replication.lag_s", cell_lag, FALSE},
    {"next cycle", "replication.next_due_at", listing_cell_time, FALSE},
    {"last cycle", "replication.last_duration_ms", listing_cell_ms, FALSE},
    {"failures", "replication.failures", listing_cell_text, FALSE},
    {"problem", "replication.error", listing_cell_problem, FALSE},
    {"hint", "replication.error.hint", listing_cell_text, FALSE},
    {"problem there", "facts.problem", listing_cell_text, FALSE},
    {"seen", "seen_at", listing_cell_time, FALSE},
    {"gone", "gone_at", listing_cell_time, FALSE},
    {NULL},
};

static const struct listing_column disk_columns[] = {
    {"disk", "name", listing_cell_text, FALSE},
    {"device", "device", listing_cell_text, FALSE},
    {"format", "format", listing_cell_text, FALSE},
    {"size", "capacity_bytes", listing_cell_bytes, TRUE},
    {"bitmap", "bitmap", listing_cell_text, FALSE},
    {"source", "source", listing_cell_text, FALSE},
    {"problem", "unsupported_reason", listing_cell_text, FALSE},
    {NULL},
};

static const struct listing_column operation_columns[] = {
    {"operation", "id", listing_cell_text, TRUE},
    {"kind", "kind", listing_cell_text, FALSE},
    {"state", "state", listing_cell_text, FALSE},
    {"step", "step", listing_cell_text, FALSE},
    {"target", "target", listing_cell_text, FALSE},
    {"started", "started_at", listing_cell_time, FALSE},
    {"next", "next", listing_cell_text, FALSE},
    {NULL},
};

struct machine_options {
    char *host;
    gboolean all;
};

/* One that is gone, and of which nothing is kept up to date, is of interest to few. */
static gboolean is_past(JsonObject *machine)
{
    return listing_node(machine, "gone_at") && !listing_node(machine, "replication");
}

static void remove_past(JsonArray *machines)
{
    for (guint i = json_array_get_length(machines); i-- > 0;)
        if (is_past(json_array_get_object_element(machines, i)))
            json_array_remove_element(machines, i);
}

static gboolean list(struct daemon *daemon, GError **error)
{
    const struct machine_options *options = daemon->options;
    JsonArray *items = machine_pages(daemon, "host", options->host, error);
    g_autoptr(JsonObject) answer = json_object_new();
    if (!items)
        return FALSE;
    json_object_set_array_member(answer, "items", items);
    if (daemon_printed(daemon, answer))
        return TRUE;
    if (!options->all)
        remove_past(items);
    listing_print(items, machine_columns);
    return TRUE;
}

int command_machine_list(int argc, char **argv)
{
    struct machine_options options = {NULL};
    const GOptionEntry entries[] = {
        {"all", 0, 0, G_OPTION_ARG_NONE, &options.all, "Also those that are gone from their hosts",
         NULL},
        {"host", 0, 0, G_OPTION_ARG_STRING, &options.host, "Only those of this host", "NAME"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .entries = entries,
                                  .parameters = "- list the machines of all hosts",
                                  .options = &options,
                                  .work = list,
                              });
}

/* Tests that stand and moves that are not over, if there are any. */
static gboolean print_operations(struct daemon *daemon, const char *id, GError **error)
{
    JsonArray *items = NULL;
    g_autofree char *path = daemon_path("/operations?open=true&machine=", id, "");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "GET", path, NULL, error);
    if (!answer || !json_member_array(answer, "items", LANDFALL_ERROR_SOURCE, &items, error))
        return FALSE;
    if (json_array_get_length(items) > 0) {
        printf("\n");
        listing_print(items, operation_columns);
    }
    return TRUE;
}

static gboolean show(struct daemon *daemon, GError **error)
{
    g_autofree char *id = daemon_machine(daemon, daemon->arguments[0], NULL, error);
    g_autofree char *path = id ? daemon_path("/machines/", id, "") : NULL;
    g_autoptr(JsonObject) machine =
        path ? client_call(daemon->client, "GET", path, NULL, error) : NULL;
    if (!machine || daemon_printed(daemon, machine))
        return machine != NULL;
    listing_print_one(machine, machine_details);
    JsonNode *disks = listing_node(machine, "facts.disks");
    if (disks && JSON_NODE_HOLDS_ARRAY(disks)) {
        printf("\n");
        listing_print(json_node_get_array(disks), disk_columns);
    }
    return print_operations(daemon, id, error);
}

int command_machine_show(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - show a machine and its replication", NULL,
                                 NULL, show);
}

/* Not ready is an answer, and a failure for scripts that ask before they start something. */
static gboolean readiness(struct daemon *daemon, GError **error)
{
    JsonArray *checks = NULL;
    gboolean ready = FALSE;
    g_autofree char *id = daemon_machine(daemon, daemon->arguments[0], NULL, error);
    g_autofree char *path = id ? daemon_path("/machines/", id, "/readiness") : NULL;
    g_autoptr(JsonObject) answer =
        path ? client_call(daemon->client, "GET", path, NULL, error) : NULL;
    if (!answer || !json_member_array(answer, "checks", LANDFALL_ERROR_SOURCE, &checks, error) ||
        !json_optional_boolean(answer, "ready", LANDFALL_ERROR_SOURCE, &ready, error))
        return FALSE;
    if (daemon_printed(daemon, answer))
        return ready;
    listing_print(checks, listing_check_columns);
    if (!ready)
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED, "settle what is marked above",
                           "machine %s is not ready to be replicated", daemon->arguments[0]);
    return ready;
}

int command_machine_readiness(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - tell whether it can be replicated", NULL,
                                 NULL, readiness);
}
