/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/replicate-child.h"
#include "base/error.h"
#include "base/json.h"

#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "landfall-replicate"

struct child {
    GSubprocess *process;
    GDataInputStream *output;
    JsonObject *result; /* owned, once it has come */
    GError *reported;   /* the child's own error */
};

/* Beside this program where it lies there (a build tree, an installed one), else from PATH. */
static char *find_program(GError **error)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = self ? g_path_get_dirname(self) : NULL;
    g_autofree char *beside = folder ? g_build_filename(folder, PROGRAM, NULL) : NULL;
    if (beside && g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
        return g_steal_pointer(&beside);
    char *found = g_find_program_in_path(PROGRAM);
    if (!found)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "install it beside landfall",
                           "the program " PROGRAM " was not found");
    return found;
}

/* A child that has ended says why on its output, so that a pipe nobody reads is no error. */
static gboolean child_write(const struct child *child, const char *text, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (g_output_stream_write_all(g_subprocess_get_stdin_pipe(child->process), text, strlen(text),
                                  NULL, NULL, &cause) ||
        g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "cannot write to %s: %s", PROGRAM,
                       cause->message);
    return FALSE;
}

static gboolean child_start(struct child *child, JsonObject *work, GError **error)
{
    g_autofree char *program = find_program(error);
    g_autofree char *parent = g_strdup_printf("--parent=%d", (int)getpid());
    g_autofree char *text = json_object_to_text(work, FALSE);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    g_autoptr(GError) cause = NULL;
    if (!program)
        return FALSE;
    const char *arguments[] = {program, "--stdin", parent, NULL};
    child->process = g_subprocess_newv(
        arguments, G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &cause);
    if (child->process) {
        child->output = g_data_input_stream_new(g_subprocess_get_stdout_pipe(child->process));
        return child_write(child, line, error);
    }
    landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "cannot start %s: %s", program,
                       cause->message);
    return FALSE;
}

static void take_error(struct child *child, JsonObject *line)
{
    const char *code = NULL, *message = "no message", *hint = NULL;
    json_optional_string(line, "code", LANDFALL_ERROR_SOURCE, &code, NULL);
    json_optional_string(line, "message", LANDFALL_ERROR_SOURCE, &message, NULL);
    json_optional_string(line, "hint", LANDFALL_ERROR_SOURCE, &hint, NULL);
    g_clear_error(&child->reported);
    landfall_error_set(&child->reported, landfall_error_code_from_name(code), hint, "%s", message);
}

static gboolean take_line(struct child *child, const char *text, gsize length,
                          const struct replicate_listener *listener, GError **error)
{
    const char *event;
    g_autoptr(JsonObject) line =
        json_parse_object(text, length, "a line of " PROGRAM, LANDFALL_ERROR_SOURCE, error);
    if (!line || !json_member_string(line, "event", LANDFALL_ERROR_SOURCE, &event, error))
        return FALSE;
    if (strcmp(event, "error") == 0) {
        take_error(child, line);
        return TRUE;
    }
    if (strcmp(event, "result") == 0) {
        JsonNode *node = json_object_get_member(line, "recovery_point");
        if (node && JSON_NODE_HOLDS_OBJECT(node)) {
            g_clear_pointer(&child->result, json_object_unref);
            child->result = json_object_ref(json_node_get_object(node));
        }
    }
    if (strcmp(event, "source-done") == 0 && (!listener->confirm(listener->data, error) ||
                                              !child_write(child, "{\"commit\":true}\n", error)))
        return FALSE;
    listener->event(listener->data, event, line);
    return TRUE;
}

/* Reads events until the child closes its output. */
static gboolean child_listen(struct child *child, const struct replicate_listener *listener,
                             GError **error)
{
    for (;;) {
        gsize length;
        g_autoptr(GError) cause = NULL;
        g_autofree char *text = g_data_input_stream_read_line(child->output, &length, NULL, &cause);
        if (!text && !cause)
            return TRUE;
        if (!text) {
            landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "cannot read from %s: %s",
                               PROGRAM, cause->message);
            return FALSE;
        }
        if (!take_line(child, text, length, listener, error))
            return FALSE;
    }
}

/* What the end of the child means. */
static gboolean child_judge(const struct child *child, GError **error)
{
    if (child->result)
        return TRUE;
    if (child->reported)
        g_propagate_error(error, g_error_copy(child->reported));
    else if (g_subprocess_get_if_signaled(child->process))
        landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                           "run the cycle again: the store is at its last recovery point",
                           PROGRAM " was killed by signal %d (%s)",
                           g_subprocess_get_term_sig(child->process),
                           g_strsignal(g_subprocess_get_term_sig(child->process)));
    else
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                           PROGRAM " ended with code %d and said nothing",
                           g_subprocess_get_exit_status(child->process));
    return FALSE;
}

JsonObject *replicate_child_run(JsonObject *work, const struct replicate_listener *listener,
                                replicate_running running, GError **error)
{
    struct child child = {0};
    gboolean ok = child_start(&child, work, error);
    if (ok) {
        running((int)g_ascii_strtoll(g_subprocess_get_identifier(child.process), NULL, 10));
        ok = child_listen(&child, listener, error);
        if (!ok)
            g_subprocess_send_signal(child.process, SIGTERM);
    }
    if (child.process) {
        g_subprocess_wait(child.process, NULL, NULL);
        running(0);
    }
    ok = ok && child_judge(&child, error);
    g_clear_error(&child.reported);
    g_clear_object(&child.output);
    g_clear_object(&child.process);
    if (ok)
        return child.result;
    g_clear_pointer(&child.result, json_object_unref);
    return NULL;
}
