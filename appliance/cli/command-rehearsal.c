/* SPDX-License-Identifier: Apache-2.0 */

/* landfall rehearsal …: tests of a machine that begin by themselves. */

#include "appliance/cli/body.h"
#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/test-options.h"
#include "base/error.h"

#include <stdio.h>

#define TIME_DEFAULT "03:00"

static const char *const weekdays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* "each 7 days at 03:00", "Sat 03:00" */
static char *cell_when(JsonObject *row, const char *path)
{
    gint64 days = listing_int(row, "interval_days"), weekday = listing_int(row, "weekday");
    g_autofree char *time = listing_cell_text(row, path);
    const char *at = time ? time : "";
    if (days)
        return g_strdup_printf("each %" G_GINT64_FORMAT " days at %s", days, at);
    return g_strdup_printf("%s %s", weekdays[CLAMP(weekday, 0, 6)], at);
}

static const struct listing_column rehearsal_details[] = {
    {"when", "time", cell_when, FALSE},
    {"next", "next_at", listing_cell_time, FALSE},
    {"target", "options.target", listing_cell_text, FALSE},
    {"network", "options.network", listing_cell_text, FALSE},
    {"probes", "options.probes", listing_cell_text, FALSE},
    {"cleaned up after", "options.cleanup_after_s", listing_cell_seconds, FALSE},
    {"last", "last.at", listing_cell_time, FALSE},
    {"operation", "last.operation", listing_cell_text, FALSE},
    {"verdict", "last.verdict", listing_cell_text, FALSE},
    {NULL},
};

/* --- set ----------------------------------------------------------------------------------------
 */

struct rehearsal_options {
    struct test_options test;
    char *every, *weekly, *time;
};

static gboolean set_weekday(JsonObject *body, const char *text, GError **error)
{
    for (guint day = 0; text && day < G_N_ELEMENTS(weekdays); day++) {
        if (g_ascii_strcasecmp(text, weekdays[day]) == 0) {
            json_object_set_int_member(body, "weekday", day);
            return TRUE;
        }
    }
    if (text)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "Mon, Tue, Wed, Thu, Fri, Sat or Sun",
                           "--weekly: '%s' is no day of the week", text);
    return text == NULL;
}

static gboolean set_every(JsonObject *body, const char *text, GError **error)
{
    JsonNode *seconds;
    if (!text)
        return TRUE;
    if (!body_set_duration(body, "every", "interval_days", text, error))
        return FALSE;
    seconds = listing_node(body, "interval_days");
    if (json_node_get_int(seconds) < 86400 || json_node_get_int(seconds) % 86400) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as 1d or 7d",
                           "--every: '%s' are no whole days", text);
        return FALSE;
    }
    json_node_set_int(seconds, json_node_get_int(seconds) / 86400);
    return TRUE;
}

static gboolean set(struct daemon *daemon, GError **error)
{
    const struct rehearsal_options *options = daemon->options;
    g_autoptr(JsonObject) body = json_object_new();
    const struct body_text time = {"time", options->time ? options->time : TIME_DEFAULT};
    if (!options->every == !options->weekly) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as --weekly Sat, or --every 1d",
                           "give one of --every and --weekly");
        return FALSE;
    }
    JsonObject *test = test_options_body(&options->test, error);
    if (!test)
        return FALSE;
    json_object_set_object_member(body, "options", test);
    body_set_texts(body, &time, 1);
    if (!set_every(body, options->every, error) || !set_weekday(body, options->weekly, error))
        return FALSE;
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "PUT", "/rehearsal", body, error);
    if (answer && !daemon_printed(daemon, answer)) {
        g_autofree char *next = listing_cell_time(answer, "next_at");
        printf("%s is tested by itself; the next time is %s\n", daemon->arguments[0],
               next ? next : "not known");
    }
    return answer != NULL;
}

int command_rehearsal_set(int argc, char **argv)
{
    struct rehearsal_options options = {.every = NULL};
    const GOptionEntry own[] = {
        {"every", 0, 0, G_OPTION_ARG_STRING, &options.every, "Days from one to the next: 1d, 7d",
         "DURATION"},
        {"weekly", 0, 0, G_OPTION_ARG_STRING, &options.weekly, "Each week on that day: Sat", "DAY"},
        {"time", 0, 0, G_OPTION_ARG_STRING, &options.time,
         "At that time (default: " TIME_DEFAULT ")", "HH:MM"},
        G_OPTION_ENTRY_NULL,
    };
    g_autofree GOptionEntry *entries = test_options_entries(&options.test, own);
    return daemon_command_on_one(argc, argv, "MACHINE - test it by itself, regularly", entries,
                                 &options, set);
}

/* --- show, remove -------------------------------------------------------------------------------
 */

static gboolean show(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "GET", "/rehearsal", NULL, error);
    if (answer && !daemon_printed(daemon, answer))
        listing_print_one(answer, rehearsal_details);
    return answer != NULL;
}

int command_rehearsal_show(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - show when it is tested by itself", NULL,
                                 NULL, show);
}

static gboolean remove_rehearsal(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) answer = daemon_machine_call(daemon, "DELETE", "/rehearsal", NULL, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("%s is not tested by itself any more\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_rehearsal_remove(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "MACHINE - test it by itself no more", NULL, NULL,
                                 remove_rehearsal);
}
