/* SPDX-License-Identifier: Apache-2.0 */

/* landfall test-migrate, test-cleanup and test list: a copy of a machine, started beside it from a
 * recovery point, without its network. */

#include "appliance/cli/body.h"
#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/test-options.h"

/* --- test-migrate -------------------------------------------------------------------------------
 */

struct start_options {
    struct test_options test;
    gboolean follow;
};

static gboolean start(struct daemon *daemon, GError **error)
{
    const struct start_options *options = daemon->options;
    g_autoptr(JsonObject) body = test_options_body(&options->test, error);
    g_autoptr(JsonObject) answer =
        body ? daemon_machine_call(daemon, "POST", "/test-migrate", body, error) : NULL;
    return answer && follow_started(daemon, answer, options->follow, "the test", error);
}

int command_test_migrate(int argc, char **argv)
{
    struct start_options options = {.follow = FALSE};
    const GOptionEntry own[] = {
        {"recovery-point", 0, 0, G_OPTION_ARG_STRING, &options.test.recovery_point,
         "Which one (default: the latest)", "N"},
        FOLLOW_ENTRY(&options.follow),
        G_OPTION_ENTRY_NULL,
    };
    g_autofree GOptionEntry *entries = test_options_entries(&options.test, own);
    return daemon_command_on_one(argc, argv,
                                 "MACHINE - start a copy of it, isolated, and see whether it works",
                                 entries, &options, start);
}

/* --- test-cleanup -------------------------------------------------------------------------------
 */

struct cleanup_options {
    char *test;
    gboolean follow;
};

static gboolean clean_up(struct daemon *daemon, GError **error)
{
    const struct cleanup_options *options = daemon->options;
    g_autoptr(JsonObject) body = json_object_new();
    if (!body_set_number(body, "test", "test", options->test, 1, NULL, error))
        return FALSE;
    g_autoptr(JsonObject) answer =
        daemon_machine_call(daemon, "POST", "/test-cleanup", body, error);
    return answer && follow_started(daemon, answer, options->follow, "cleaning up", error);
}

int command_test_cleanup(int argc, char **argv)
{
    struct cleanup_options options = {NULL};
    const GOptionEntry entries[] = {
        {"test", 0, 0, G_OPTION_ARG_STRING, &options.test, "Only this one (default: all of them)",
         "N"},
        FOLLOW_ENTRY(&options.follow),
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - remove its tests and all they made",
                                 entries, &options, clean_up);
}

/* --- test list ----------------------------------------------------------------------------------
 */

static const struct listing_column test_columns[] = {
    {"no.", "id", listing_cell_text, TRUE},
    {"state", "state", listing_cell_text, FALSE},
    {"verdict", "verdict", listing_cell_text, FALSE},
    {"point", "recovery_point", listing_cell_text, TRUE},
    {"target", "target", listing_cell_text, FALSE},
    {"name there", "domain_name", listing_cell_text, FALSE},
    {"started", "started_at", listing_cell_time, FALSE},
    {"cleaned up in", "cleanup_at", listing_cell_until, TRUE},
    {"job", "job", listing_cell_text, TRUE},
    {"problem", "error", listing_cell_problem, FALSE},
    {NULL},
};

static gboolean list(struct daemon *daemon, GError **error)
{
    return daemon_machine_list(daemon, "/tests", test_columns, error);
}

int command_test_list(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - list its tests, the newest first", NULL,
                                 NULL, list);
}
