/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/command.h"
#include "base/error.h"
#include "base/json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static gboolean json_asked; /* set by command_parse */
static gint cancelled;      /* atomic; set by the handler */
static gint forward_pid;    /* atomic; read by the handler */

gboolean command_parse(int *argc, char ***argv, const GOptionEntry *entries, GOptionGroup *group,
                       const char *parameters, int minimum, int maximum, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new(parameters);
    g_option_context_add_main_entries(context, entries, NULL);
    if (group)
        g_option_context_add_group(context, group);
    g_set_prgname((*argv)[0]);
    /* An option that is wrong is told as JSON too, and after it GOption has no values to offer. */
    json_asked = g_strv_contains((const char *const *)*argv, "--json");
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (*argc - 1 >= minimum && *argc - 1 <= maximum)
        return TRUE;
    g_autofree char *hint = g_strdup_printf("usage: %s [OPTION…] %s", (*argv)[0], parameters);
    if (*argc - 1 < minimum)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint, "an argument is missing");
    else
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint, "unknown argument '%s'",
                           (*argv)[maximum + 1]);
    return FALSE;
}

void command_clear(const GOptionEntry *entries)
{
    for (const GOptionEntry *entry = entries; entry && entry->long_name; entry++) {
        if (entry->arg == G_OPTION_ARG_STRING || entry->arg == G_OPTION_ARG_FILENAME)
            g_clear_pointer((char **)entry->arg_data, g_free);
        else if (entry->arg == G_OPTION_ARG_STRING_ARRAY)
            g_clear_pointer((char ***)entry->arg_data, g_strfreev);
    }
}

/* What the operator can do about it, owned by the caller; or NULL. */
static char *hint_of(const GError *error)
{
    if (error->domain == G_OPTION_ERROR)
        return g_strdup_printf("%s --help shows the options", g_get_prgname());
    return g_strdup(landfall_error_hint(error));
}

static void print_json(const GError *error, const char *hint)
{
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_string_member(object, "event", "error");
    json_object_set_string_member(object, "code", landfall_error_name(error));
    json_object_set_string_member(object, "message", error->message);
    json_set_optional_string(object, "hint", hint);
    g_autofree char *text = json_object_to_text(object, FALSE);
    printf("%s\n", text);
}

int command_failed(const GError *error, gboolean as_json)
{
    g_autofree char *hint = hint_of(error);
    if (as_json || json_asked) {
        print_json(error, hint);
    } else {
        fflush(stdout); /* what led to it comes first, also in a log of both streams */
        fprintf(stderr, "%s: %s\n", g_get_prgname(), error->message);
        if (hint)
            fprintf(stderr, "hint: %s\n", hint);
    }
    gboolean usage = error->domain == G_OPTION_ERROR ||
                     g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG) ||
                     g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_MISSING);
    return usage ? EXIT_USAGE : EXIT_FAILED;
}

static void on_signal(int number)
{
    int saved_errno = errno;
    int pid = g_atomic_int_get(&forward_pid);
    (void)number;
    g_atomic_int_set(&cancelled, 1);
    if (pid)
        kill(pid, SIGTERM);
    errno = saved_errno;
}

const gint *command_cancelled(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return &cancelled;
}

void command_forward_signals(int pid)
{
    g_atomic_int_set(&forward_pid, pid);
    if (pid && g_atomic_int_get(&cancelled))
        kill(pid, SIGTERM); /* the signal came before there was somebody to pass it on to */
}
