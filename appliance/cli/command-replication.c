/* SPDX-License-Identifier: Apache-2.0 */

/* landfall sync, pause, resume, stop, verify and recovery-point list: what is done with a machine
 * that is being replicated. */

#include "appliance/cli/body.h"
#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/text.h"

#include <stdio.h>

/* Of one of these commands. */
struct verb_options {
    char *number;
    gboolean follow;
    gboolean delete_replica;
    gboolean abandon;
};

static gboolean sync_machine(struct daemon *daemon, GError **error)
{
    const struct verb_options *options = daemon->options;
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "POST", "/sync", NULL, error);
    return answer && follow_started(daemon, answer, options->follow, "a cycle", error);
}

int command_sync(int argc, char **argv)
{
    struct verb_options options = {NULL};
    const GOptionEntry entries[] = {
        FOLLOW_ENTRY(&options.follow),
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - run a cycle now", entries, &options,
                                 sync_machine);
}

static gboolean pause_machine(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "POST", "/pause", NULL, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("%s is paused: no new cycle begins until landfall resume %s\n", daemon->arguments[0],
               daemon->arguments[0]);
    return answer != NULL;
}

static gboolean resume_machine(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "POST", "/resume", NULL, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("%s is replicated again\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_pause(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - begin no more cycles of it", NULL, NULL,
                                 pause_machine);
}

int command_resume(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - go on after a pause", NULL, NULL,
                                 resume_machine);
}

static gboolean stop_machine(struct daemon *daemon, GError **error)
{
    const struct verb_options *options = daemon->options;
    g_autofree char *path =
        g_strconcat("/replication?keep_replica=", options->delete_replica ? "false" : "true",
                    options->abandon ? "&abandon=true" : "", NULL);
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "DELETE", path, NULL, error);
    return answer && follow_started(daemon, answer, options->follow, "cleaning up", error);
}

int command_stop(int argc, char **argv)
{
    struct verb_options options = {NULL};
    const GOptionEntry entries[] = {
        {"delete-replica", 0, 0, G_OPTION_ARG_NONE, &options.delete_replica,
         "Remove its recovery points from the store, too", NULL},
        {"abandon", 0, 0, G_OPTION_ARG_NONE, &options.abandon,
         "Leave its host as it is: for one that is gone for good", NULL},
        FOLLOW_ENTRY(&options.follow),
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - end its replication and clean up its host",
                                 entries, &options, stop_machine);
}

static gboolean verify_machine(struct daemon *daemon, GError **error)
{
    const struct verb_options *options = daemon->options;
    g_autoptr(JsonObject) body = json_object_new();
    if (!body_set_number(body, "recovery-point", "recovery_point", options->number, 1, NULL, error))
        return FALSE;
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "POST", "/verify", body, error);
    return answer && follow_started(daemon, answer, options->follow, "the proof", error);
}

int command_verify(int argc, char **argv)
{
    struct verb_options options = {NULL};
    const GOptionEntry entries[] = {
        {"recovery-point", 0, 0, G_OPTION_ARG_STRING, &options.number,
         "Which one (default: the latest)", "N"},
        FOLLOW_ENTRY(&options.follow),
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - prove a recovery point on the daemon",
                                 entries, &options, verify_machine);
}

/* --- recovery points ----------------------------------------------------------------------------
 */

static char *cell_disks(JsonObject *row, const char *path)
{
    JsonNode *node = listing_node(row, path);
    g_autoptr(GString) text = g_string_new(NULL);
    if (!node || !JSON_NODE_HOLDS_ARRAY(node))
        return NULL;
    g_autoptr(GList) disks = json_array_get_elements(json_node_get_array(node));
    for (const GList *disk = disks; disk; disk = disk->next) {
        JsonObject *object = JSON_NODE_HOLDS_OBJECT((JsonNode *)disk->data)
                                 ? json_node_get_object(disk->data)
                                 : NULL;
        const char *name = object ? listing_string(object, "name") : NULL;
        const char *mode = object ? listing_string(object, "mode") : NULL;
        g_string_append_printf(text, "%s%s %s", text->len ? ", " : "", name ? name : "?",
                               mode ? mode : "");
    }
    return g_strdup(text->str);
}

static char *cell_sent(JsonObject *row, const char *path)
{
    JsonNode *node = listing_node(row, "disks");
    guint64 sum = 0;
    if (!node || !JSON_NODE_HOLDS_ARRAY(node))
        return NULL;
    g_autoptr(GList) disks = json_array_get_elements(json_node_get_array(node));
    for (const GList *disk = disks; disk; disk = disk->next)
        if (JSON_NODE_HOLDS_OBJECT((JsonNode *)disk->data))
            sum += (guint64)listing_int(json_node_get_object(disk->data), path);
    return text_bytes(sum);
}

static const struct listing_column point_columns[] = {
    {"no.", "number", listing_cell_text, TRUE},
    {"created", "created", listing_cell_time, FALSE},
    {"age", "created", listing_cell_ago, TRUE},
    {"consistency", "consistency", listing_cell_text, FALSE},
    {"disks", "disks", cell_disks, FALSE},
    {"sent", "sent_bytes", cell_sent, TRUE},
    {NULL},
};

static gboolean list_points(struct daemon *daemon, GError **error)
{
    return daemon_machine_list(daemon, "/recovery-points", point_columns, error);
}

int command_recovery_point_list(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - list the recovery points of a machine",
                                 NULL, NULL, list_points);
}
