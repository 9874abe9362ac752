/* SPDX-License-Identifier: Apache-2.0 */

/* landfall replicate and landfall settings: begin to replicate a machine, and change how. */

#include "appliance/cli/body.h"
#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/follow.h"
#include "appliance/cli/quantity.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

/* As they were written; NULL: not given. */
struct settings {
    char *store;
    char *interval;
    char *bandwidth;
    char *consistency;
    char *retain;
    char *priority;
    char **exclude_disks;
    char **blackout;
    gboolean follow;
    gboolean force;
};

/* --- the options as the API wants them ----------------------------------------------------------
 */

static gboolean set_interval(JsonObject *body, const char *text, GError **error)
{
    guint64 seconds = 0;
    if (!text)
        return TRUE;
    if (strcmp(text, "auto") != 0 && !quantity_parse_duration(text, &seconds, error)) {
        g_prefix_error(error, "--interval: ");
        return FALSE;
    }
    if (strcmp(text, "auto") != 0 && seconds == 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as 15m, or auto",
                           "--interval: there is always time between cycles");
        return FALSE;
    }
    json_object_set_int_member(body, "interval_s", (gint64)seconds);
    return TRUE;
}

static gboolean set_bandwidth(JsonObject *body, const char *text, GError **error)
{
    guint64 bytes = 0;
    if (!text)
        return TRUE;
    if (strcmp(text, "unlimited") != 0 && !quantity_parse_bytes(text, &bytes, error)) {
        g_prefix_error(error, "--bandwidth: ");
        return FALSE;
    }
    json_object_set_int_member(body, "bandwidth", (gint64)bytes);
    return TRUE;
}

/* Owned by the caller; NULL: an option says nothing that can be understood. */
static JsonObject *settings_body(const struct settings *settings, GError **error)
{
    g_autoptr(JsonObject) body = json_object_new();
    json_set_optional_string(body, "store", settings->store);
    if (g_strcmp0(settings->consistency, "auto") == 0)
        json_object_set_null_member(body, "consistency");
    else
        json_set_optional_string(body, "consistency", settings->consistency);
    body_set_strings(body, "exclude_disks", settings->exclude_disks);
    body_set_strings(body, "blackout", settings->blackout);
    if (!set_interval(body, settings->interval, error) ||
        !set_bandwidth(body, settings->bandwidth, error) ||
        !body_set_number(body, "retain", "retain", settings->retain, 1, "all", error) ||
        !body_set_number(body, "priority", "priority", settings->priority, -1000, NULL, error))
        return NULL;
    return g_steal_pointer(&body);
}

/* --- replicate ----------------------------------------------------------------------------------
 */

static gboolean replicate(struct daemon *daemon, GError **error)
{
    const struct settings *settings = daemon->options;
    if (!settings->store) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "landfall store list shows them, landfall store add makes one",
                           "name the store that is to hold the replica, by --store");
        return FALSE;
    }
    g_autoptr(JsonObject) body = settings_body(settings, error);
    if (body && settings->force)
        json_object_set_boolean_member(body, "force", TRUE);
    g_autoptr(JsonObject) answer =
        body ? daemon_machine_call(daemon, "PUT", "/replication", body, error) : NULL;
    return answer && follow_started(daemon, answer, settings->follow, "the first copy", error);
}

/* --- settings -----------------------------------------------------------------------------------
 */

static gboolean change(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) body = settings_body(daemon->options, error);
    if (body && json_object_get_size(body) == 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "landfall machine show tells how it is replicated now",
                           "give at least one setting to change");
        return FALSE;
    }
    g_autoptr(JsonObject) answer =
        body ? daemon_machine_call(daemon, "PATCH", "/replication", body, error) : NULL;
    if (answer && !daemon_printed(daemon, answer))
        printf("the settings of %s are changed\n", daemon->arguments[0]);
    return answer != NULL;
}

/* --- both ---------------------------------------------------------------------------------------
 */

#define ENTRIES_OF_REPLICATE 3 /* the first ones are not for settings */

static int run(int argc, char **argv, gsize skipped, const char *parameters,
               gboolean (*work)(struct daemon *daemon, GError **error))
{
    struct settings settings = {NULL};
    const GOptionEntry entries[] = {
        {"store", 0, 0, G_OPTION_ARG_STRING, &settings.store, "Store of the daemon for the replica",
         "NAME"},
        {"follow", 0, 0, G_OPTION_ARG_NONE, &settings.follow,
         "Show the progress of the first copy until it ends", NULL},
        {"force", 0, 0, G_OPTION_ARG_NONE, &settings.force,
         "Begin although the machine is not ready", NULL},
        {"interval", 0, 0, G_OPTION_ARG_STRING, &settings.interval,
         "From the start of a cycle to that of the next: 15m, 1h; auto: as cycles take",
         "DURATION"},
        {"retain", 0, 0, G_OPTION_ARG_STRING, &settings.retain,
         "Keep the newest N recovery points, or all (at first: the daemon's setting retain)", "N"},
        {"exclude-disk", 0, 0, G_OPTION_ARG_STRING_ARRAY, &settings.exclude_disks,
         "Leave this disk out; may be given many times; none: take all", "DISK"},
        {"bandwidth", 0, 0, G_OPTION_ARG_STRING, &settings.bandwidth,
         "Read at most so many bytes a second: 50M; unlimited", "BYTES"},
        {"blackout", 0, 0, G_OPTION_ARG_STRING_ARRAY, &settings.blackout,
         "Begin no cycle then: \"Mon-Fri 08:00-18:00\"; may be given many times; none", "WINDOW"},
        {"consistency", 0, 0, G_OPTION_ARG_STRING, &settings.consistency,
         "auto: freeze where there is a guest agent; filesystem: or fail; crash: never", "HOW"},
        {"priority", 0, 0, G_OPTION_ARG_STRING, &settings.priority,
         "Machines with a higher one are served first (0)", "N"},
        G_OPTION_ENTRY_NULL,
    };
    const struct daemon_command command = {entries + skipped, parameters, 1, 1, &settings, work};
    return daemon_command_run(argc, argv, &command);
}

int command_replicate(int argc, char **argv)
{
    return run(argc, argv, 0, "MACHINE - replicate a machine from now on", replicate);
}

int command_settings(int argc, char **argv)
{
    return run(argc, argv, ENTRIES_OF_REPLICATE, "MACHINE - change how a machine is replicated",
               change);
}
