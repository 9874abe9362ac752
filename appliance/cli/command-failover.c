/* SPDX-License-Identifier: Apache-2.0 */

/* landfall confirm, rollback, complete and reverse: what becomes of a machine that has moved. */

#include "appliance/cli/ask.h"
#include "appliance/cli/body.h"
#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/follow.h"

#include <stdio.h>

struct verb_options {
    char *disks;
    char *deadline;
    char *copy_limit;
    gboolean keep_disks, abandon, abandon_target, yes, follow;
};

/* Asks whether what happens is meant, and then the daemon. */
static gboolean ask_and_do(struct daemon *daemon, const char *after, JsonObject *body,
                           const char *happens, const char *what, GError **error)
{
    const struct verb_options *options = daemon->options;
    g_autofree char *id = daemon_machine(daemon, daemon->arguments[0], NULL, error);
    g_autofree char *text = g_strdup_printf("%s %s", daemon->arguments[0], happens);
    if (!id || !ask_whether(options->yes, text, error))
        return FALSE;
    g_autofree char *path = daemon_path("/machines/", id, after);
    g_autoptr(JsonObject) answer = client_call(daemon->client, "POST", path, body, error);
    return answer && follow_started(daemon, answer, options->follow, what, error);
}

/* --- confirm ------------------------------------------------------------------------------------
 */

static gboolean confirm(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) body = json_object_new();
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "POST", "/confirm", body, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("%s stays where it is: it does not go back by itself any more\n"
               "hint: landfall complete %s ends its replication\n",
               daemon->arguments[0], daemon->arguments[0]);
    return answer != NULL;
}

int command_confirm(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - it works where it has moved to", NULL, NULL,
                                 confirm);
}

/* --- rollback -----------------------------------------------------------------------------------
 */

/* The warning is for those, too, who say --yes. */
static char *what_rollback_does(const struct verb_options *options)
{
    const char *since = options->keep_disks ? "What it wrote since is not in it; the files stay."
                                            : "What it wrote since is lost.";
    const char *there =
        options->abandon_target
            ? "is started where it came from, as it was there, without a word to the host that it "
              "has moved to.\nWARNING: the copy there may still run, and must never be started "
              "again. Cut that host's power first."
            : "is shut down where it has moved to and started where it came from, as it was there.";
    return g_strdup_printf("%s\n%s", there, since);
}

static gboolean roll_back(struct daemon *daemon, GError **error)
{
    const struct verb_options *options = daemon->options;
    g_autoptr(JsonObject) body = json_object_new();
    g_autofree char *happens = what_rollback_does(options);
    if (options->keep_disks)
        json_object_set_boolean_member(body, "keep_disks", TRUE);
    if (options->abandon_target)
        json_object_set_boolean_member(body, "abandon_target", TRUE);
    if (options->abandon_target && options->yes)
        fprintf(stderr, "%s %s\n", daemon->arguments[0], happens);
    return body_set_duration(body, "deadline", "deadline_s", options->deadline, error) &&
           ask_and_do(daemon, "/rollback", body, happens, "the way back", error);
}

int command_rollback(int argc, char **argv)
{
    struct verb_options options = {NULL};
    const GOptionEntry entries[] = {
        {"keep-disks", 0, 0, G_OPTION_ARG_NONE, &options.keep_disks,
         "Keep what it wrote since, as files in the store", NULL},
        {"deadline", 0, 0, G_OPTION_ARG_STRING, &options.deadline,
         "How long it may take to shut down before its power is cut (default: 2m)", "DURATION"},
        {"abandon-target", 0, 0, G_OPTION_ARG_NONE, &options.abandon_target,
         "Leave the host that it has moved to as it is: for one that is lost for good", NULL},
        ASK_ENTRY(&options.yes),
        FOLLOW_ENTRY(&options.follow),
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - take a move back", entries, &options,
                                 roll_back);
}

/* --- complete -----------------------------------------------------------------------------------
 */

static gboolean complete(struct daemon *daemon, GError **error)
{
    const struct verb_options *options = daemon->options;
    g_autoptr(JsonObject) body = json_object_new();
    const struct body_text text = {"disks", options->disks};
    body_set_texts(body, &text, 1);
    if (options->abandon)
        json_object_set_boolean_member(body, "abandon", TRUE);
    return body_set_mebibytes(body, "copy-limit", "copy_mib_s", options->copy_limit, error) &&
           ask_and_do(daemon, "/complete", body,
                      "stays where it has moved to, and its replication ends.\nThere is no way "
                      "back after that but another migration.",
                      "the end of the move", error);
}

int command_complete(int argc, char **argv)
{
    struct verb_options options = {NULL};
    const GOptionEntry entries[] = {
        {"disks", 0, 0, G_OPTION_ARG_STRING, &options.disks,
         "merge: its disks become single files, the default; keep: they stay layers", "WORD"},
        {"copy-limit", 0, 0, G_OPTION_ARG_STRING, &options.copy_limit,
         "Merge at so many bytes a second at most: 50M", "BYTES"},
        {"abandon", 0, 0, G_OPTION_ARG_NONE, &options.abandon,
         "Leave the host that it came from as it is: for one that is gone for good", NULL},
        ASK_ENTRY(&options.yes),
        FOLLOW_ENTRY(&options.follow),
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - end a move for good", entries, &options,
                                 complete);
}

/* --- reverse ------------------------------------------------------------------------------------
 */

static gboolean reverse(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) body = json_object_new();
    return ask_and_do(
        daemon, "/reverse", body,
        "stays where it has moved to, and is replicated from there from now on.\nThe machine "
        "that it left stays where it is, off, with the disks that it had.",
        "turning round", error);
}

int command_reverse(int argc, char **argv)
{
    struct verb_options options = {NULL};
    const GOptionEntry entries[] = {
        ASK_ENTRY(&options.yes),
        FOLLOW_ENTRY(&options.follow),
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - replicate it from where it has moved to",
                                 entries, &options, reverse);
}
