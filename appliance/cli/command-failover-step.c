/* SPDX-License-Identifier: Apache-2.0 */

/* landfall failover-step STEP: for landfalld, one step of a test or a move. The work is one line of
 * JSON on standard input; standard output has JSON lines: events, then a result or an error. Of no
 * use to people, who say `landfall test-migrate` and so on. */

#include "appliance/cli/command.h"
#include "appliance/steps/step.h"
#include "base/error.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define LINE_BYTES_MAX (1024u * 1024u)

static void print_line(JsonObject *line)
{
    g_autofree char *text = json_object_to_text(line, FALSE);
    printf("%s\n", text);
    fflush(stdout);
}

/* Until the line ends, not the input: the daemon keeps that open. */
static struct step_work *read_work(const char *step, GError **error)
{
    g_autoptr(GString) line = g_string_new(NULL);
    int c;
    while ((c = getchar()) != EOF && c != '\n' && line->len < LINE_BYTES_MAX)
        g_string_append_c(line, (char)c);
    struct step_work *work = step_work_parse(line->str, line->len, error);
    if (!work || strcmp(work->step, step) == 0)
        return work;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "the work is for step '%s', not '%s'",
                       work->step, step);
    step_work_free(work);
    return NULL;
}

int command_failover_step(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) result = NULL;
    struct step_run run = {.cancelled = command_cancelled(), .event = print_line};
    struct step_work *work = command_parse(&argc, &argv, entries, NULL, "STEP", 1, 1, &error)
                                 ? read_work(argv[1], &error)
                                 : NULL;
    run.work = work;
    if (work)
        result = step_perform(&run, &error);
    step_work_free(work);
    if (!result)
        return command_failed(error, TRUE);
    json_object_set_string_member(result, "event", "result");
    print_line(result);
    return EXIT_OK;
}
