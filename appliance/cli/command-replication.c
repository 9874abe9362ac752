/* SPDX-License-Identifier: Apache-2.0 */

/* landfall sync, pause, resume, stop, verify and recovery-point list: what is done with a machine
 * that is being replicated. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/text.h"
#include "base/json.h"

#include <stdio.h>

/* Of one of these commands. */
struct verb_options {
    gint64 number;
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
    struct verb_options options = {0};
    const GOptionEntry entries[] = {
        {"follow", 0, 0, G_OPTION_ARG_NONE, &options.follow, "Show its progress until it ends",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .entries = entries,
                                  .parameters = "MACHINE - run a cycle now",
                                  .minimum = 1,
                                  .maximum = 1,
                                  .options = &options,
                                  .work = sync_machine,
                              });
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

/* A command whose one argument is a machine. */
static int run_verb(int argc, char **argv, const char *parameters,
                    gboolean (*work)(struct daemon *daemon, GError **error))
{
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .parameters = parameters,
                                  .minimum = 1,
                                  .maximum = 1,
                                  .work = work,
                              });
}

int command_pause(int argc, char **argv)
{
    return run_verb(argc, argv, "MACHINE - begin no more cycles of it", pause_machine);
}

int command_resume(int argc, char **argv)
{
    return run_verb(argc, argv, "MACHINE - go on after a pause", resume_machine);
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
    struct verb_options options = {0};
    const GOptionEntry entries[] = {
        {"delete-replica", 0, 0, G_OPTION_ARG_NONE, &options.delete_replica,
         "Remove its recovery points from the store, too", NULL},
        {"abandon", 0, 0, G_OPTION_ARG_NONE, &options.abandon,
         "Leave its host as it is: for one that is gone for good", NULL},
        {"follow", 0, 0, G_OPTION_ARG_NONE, &options.follow, "Show its progress until it ends",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_run(
        argc, argv,
        &(struct daemon_command){
            .entries = entries,
            .parameters = "MACHINE - end its replication and clean up its host",
            .minimum = 1,
            .maximum = 1,
            .options = &options,
            .work = stop_machine,
        });
}

static gboolean verify_machine(struct daemon *daemon, GError **error)
{
    const struct verb_options *options = daemon->options;
    g_autoptr(JsonObject) body = json_object_new();
    if (options->number < 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "--recovery-point takes a number from 1");
        return FALSE;
    }
    if (options->number)
        json_object_set_int_member(body, "recovery_point", options->number);
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "POST", "/verify", body, error);
    return answer && follow_started(daemon, answer, options->follow, "the proof", error);
}

int command_verify(int argc, char **argv)
{
    struct verb_options options = {0};
    const GOptionEntry entries[] = {
        {"recovery-point", 0, 0, G_OPTION_ARG_INT64, &options.number,
         "Which one (default: the latest)", "N"},
        {"follow", 0, 0, G_OPTION_ARG_NONE, &options.follow, "Show its progress until it ends",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .entries = entries,
                                  .parameters = "MACHINE - prove a recovery point on the daemon",
                                  .minimum = 1,
                                  .maximum = 1,
                                  .options = &options,
                                  .work = verify_machine,
                              });
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
    g_autofree char *id = daemon_machine(daemon, daemon->arguments[0], NULL, error);
    g_autofree char *path = id ? daemon_path("/machines/", id, "/recovery-points") : NULL;
    return path && daemon_list(daemon, path, point_columns, error);
}

int command_recovery_point_list(int argc, char **argv)
{
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .parameters = "MACHINE - list the recovery points of a machine",
                                  .minimum = 1,
                                  .maximum = 1,
                                  .work = list_points,
                              });
}
