/* SPDX-License-Identifier: Apache-2.0 */

/* landfall migrate: a machine moves to another host, or what that would do. */

#include "appliance/cli/ask.h"
#include "appliance/cli/body.h"
#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/plan.h"
#include "base/json.h"

#include <stdio.h>

/* As they were written; NULL: not given. */
struct migrate_options {
    char *target, *shutdown_deadline, *on_deadline, *final_pass, *max_passes, *verify, *on_failure;
    char *at, *commit_after, *rollback_unless, *require_test_days, *copy_limit;
    char **probes;
    gboolean no_shutdown, network_live, plan, yes, follow;
};

/* Owned by the caller; NULL: an option says nothing that can be understood. */
static JsonObject *migrate_body(const struct migrate_options *options, GError **error)
{
    const struct body_text texts[] = {
        {"target", options->target},
        {"on_deadline", options->on_deadline},
        {"verify", options->verify},
        {"on_failure", options->on_failure},
        {"rollback_unless", options->rollback_unless},
    };
    g_autoptr(JsonObject) body = json_object_new();
    body_set_texts(body, texts, G_N_ELEMENTS(texts));
    if (options->no_shutdown)
        json_object_set_boolean_member(body, "shutdown", FALSE);
    if (options->network_live)
        json_object_set_boolean_member(body, "network_live", TRUE);
    if (!body_set_duration(body, "shutdown-deadline", "shutdown_deadline_s",
                           options->shutdown_deadline, error) ||
        !body_set_duration(body, "final-pass", "final_pass_s", options->final_pass, error) ||
        !body_set_number(body, "max-passes", "max_passes", options->max_passes, 0, NULL, error) ||
        !body_set_probes(body, options->probes, error) ||
        !body_set_time(body, "at", "at", options->at, error) ||
        !body_set_duration(body, "commit-after", "commit_after_s", options->commit_after, error) ||
        !body_set_number(body, "require-test", "require_test_days", options->require_test_days, 1,
                         NULL, error) ||
        !body_set_mebibytes(body, "copy-limit", "copy_mib_s", options->copy_limit, error))
        return NULL;
    return g_steal_pointer(&body);
}

/* What stands in the way is an answer, and a failure for scripts that ask before they begin. */
static gboolean plan(struct daemon *daemon, JsonObject *body, GError **error)
{
    g_autoptr(JsonObject) started =
        daemon_machine_call(daemon, "POST", "/migrate/plan", body, error);
    g_autofree char *job = started ? listing_cell_text(started, "job") : NULL;
    g_autoptr(JsonObject) result = job ? follow_result(daemon, job, error) : NULL;
    gboolean clear = result && plan_is_clear(result);
    if (!result || daemon_printed(daemon, result))
        return clear;
    plan_print(result);
    if (clear)
        printf("\nnothing has been changed; landfall migrate %s does it\n", daemon->arguments[0]);
    else
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED, "settle what is marked above",
                           "machine %s cannot be moved as it is", daemon->arguments[0]);
    return clear;
}

/* The one that is meant when none is named; owned by the caller. That there are none, or several,
 * is for the daemon to refuse. */
static char *only_target(struct daemon *daemon)
{
    JsonArray *items = NULL;
    JsonObject *target;
    g_autoptr(JsonObject) answer = client_call(daemon->client, "GET", "/targets", NULL, NULL);
    if (answer && json_member_array(answer, "items", LANDFALL_ERROR_SOURCE, &items, NULL) &&
        json_array_get_length(items) == 1 &&
        json_element_object(items, 0, "items", LANDFALL_ERROR_SOURCE, &target, NULL))
        return g_strdup(listing_string(target, "host"));
    return NULL;
}

static char *what_happens(struct daemon *daemon, const struct migrate_options *options)
{
    const char *machine = daemon->arguments[0];
    g_autofree char *only = options->target ? NULL : only_target(daemon);
    const char *target = options->target ? options->target : only ? only : "the target";
    if (options->no_shutdown)
        return g_strdup_printf("%s goes on running. A copy of it, as of now, is started on %s%s.\n"
                               "What %s writes from now on is not in the copy.",
                               machine, target,
                               options->network_live ? ", on its network beside it"
                                                     : ", away from its network",
                               machine);
    return g_strdup_printf(
        "%s is shut down%s%s, its last changes are sent, and it is started on %s.\n"
        "Where it is now it will not be started any more; landfall rollback %s goes back.",
        machine, options->at ? " at " : "", options->at ? options->at : "", target, machine);
}

static gboolean migrate(struct daemon *daemon, GError **error)
{
    const struct migrate_options *options = daemon->options;
    g_autoptr(JsonObject) body = migrate_body(options, error);
    if (!body)
        return FALSE;
    if (options->plan)
        return plan(daemon, body, error);
    g_autofree char *id = daemon_machine(daemon, daemon->arguments[0], NULL, error);
    g_autofree char *what = id ? what_happens(daemon, options) : NULL;
    if (!id || !ask_whether(options->yes, what, error))
        return FALSE;
    g_autofree char *path = daemon_path("/machines/", id, "/migrate");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "POST", path, body, error);
    return answer && follow_started(daemon, answer, options->follow, "the move", error);
}

int command_migrate(int argc, char **argv)
{
    struct migrate_options options = {NULL};
    const GOptionEntry entries[] = {
        {"plan", 0, 0, G_OPTION_ARG_NONE, &options.plan,
         "Change nothing; show checks, changes, the downtime to expect", NULL},
        ASK_ENTRY(&options.yes),
        FOLLOW_ENTRY(&options.follow),
        {"target", 0, 0, G_OPTION_ARG_STRING, &options.target,
         "The host that it moves to (default: the only target)", "HOST"},
        {"at", 0, 0, G_OPTION_ARG_STRING, &options.at,
         "Begin then: 22:00, \"2026-01-31 22:00\", +2h", "TIME"},
        {"shutdown-deadline", 0, 0, G_OPTION_ARG_STRING, &options.shutdown_deadline,
         "How long the guest may take to shut down (default: 2m)", "DURATION"},
        {"on-deadline", 0, 0, G_OPTION_ARG_STRING, &options.on_deadline,
         "abort: leave it running, the default; force: cut its power", "WORD"},
        {"final-pass", 0, 0, G_OPTION_ARG_STRING, &options.final_pass,
         "Shut down once the next pass takes no longer (default: 10s)", "DURATION"},
        {"max-passes", 0, 0, G_OPTION_ARG_STRING, &options.max_passes,
         "But after so many passes at the latest (default: 5)", "N"},
        {"verify", 0, 0, G_OPTION_ARG_STRING, &options.verify,
         "What is proved of the replica: transferred, the default; full", "WORD"},
        {"probe", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.probes,
         "What tells that it works there: power, agent, console=PATTERN, tcp=PORT, http=URL; may "
         "be "
         "given many times",
         "PROBE"},
        {"on-failure", 0, 0, G_OPTION_ARG_STRING, &options.on_failure,
         "back: start the source again, the default; stay: leave it to the operator", "WORD"},
        {"commit-after", 0, 0, G_OPTION_ARG_STRING, &options.commit_after,
         "Decide after this time whether it stays there", "DURATION"},
        {"rollback-unless", 0, 0, G_OPTION_ARG_STRING, &options.rollback_unless,
         "confirm: go back then unless landfall confirm was said; probes: unless they pass",
         "WORD"},
        {"require-test", 0, 0, G_OPTION_ARG_STRING, &options.require_test_days,
         "Only if a test has passed in the last N days", "N"},
        {"copy-limit", 0, 0, G_OPTION_ARG_STRING, &options.copy_limit,
         "Bring disks to the target at so many bytes a second at most: 50M", "BYTES"},
        {"no-shutdown", 0, 0, G_OPTION_ARG_NONE, &options.no_shutdown,
         "Leave the machine running, and start a copy of its latest data", NULL},
        {"network-live", 0, 0, G_OPTION_ARG_NONE, &options.network_live,
         "With --no-shutdown: the copy gets the network, not one of its own", NULL},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "MACHINE - move it to another host", entries, &options,
                                 migrate);
}
