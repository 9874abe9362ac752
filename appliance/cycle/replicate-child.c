/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/replicate-child.h"
#include "base/error.h"
#include "base/json.h"
#include "base/process.h"

#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "landfall-replicate"

struct child {
    GSubprocess *process;
    GDataInputStream *output;
    JsonObject *result;          /* owned, once it has come */
    GError *reported;            /* the child's own error */
    struct replicate_rate *rate; /* or NULL */
};

struct replicate_rate {
    GMutex lock;              /* for all below, and for writing to the child */
    guint64 bytes_per_second; /* if set */
    gboolean set;
    struct child *child; /* that runs, or NULL */
};

/* A child that has ended says why on its output, so that a pipe nobody reads is no error. */
static gboolean write_to(const struct child *child, const char *text, GError **error)
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

static gboolean child_write(const struct child *child, const char *text, GError **error)
{
    if (child->rate)
        g_mutex_lock(&child->rate->lock);
    gboolean ok = write_to(child, text, error);
    if (child->rate)
        g_mutex_unlock(&child->rate->lock);
    return ok;
}

/* --- its rate ------------------------------------------------------------------------------------
 */

struct replicate_rate *replicate_rate_new(void)
{
    struct replicate_rate *rate = g_new0(struct replicate_rate, 1);
    g_mutex_init(&rate->lock);
    return rate;
}

/* With the lock. A child that does not hear it is about to end. */
static void pass_on(struct replicate_rate *rate)
{
    g_autofree char *line =
        g_strdup_printf("{\"bandwidth\":%" G_GUINT64_FORMAT "}\n", rate->bytes_per_second);
    if (rate->child && rate->set)
        write_to(rate->child, line, NULL);
}

void replicate_rate_set(struct replicate_rate *rate, guint64 bytes_per_second)
{
    g_mutex_lock(&rate->lock);
    rate->bytes_per_second = bytes_per_second;
    rate->set = TRUE;
    pass_on(rate);
    g_mutex_unlock(&rate->lock);
}

static void rate_attach(struct replicate_rate *rate, struct child *child)
{
    if (!rate)
        return;
    g_mutex_lock(&rate->lock);
    rate->child = child;
    pass_on(rate);
    g_mutex_unlock(&rate->lock);
}

static gboolean child_start(struct child *child, JsonObject *work, GError **error)
{
    g_autofree char *program = process_find_program(PROGRAM, error);
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
    g_clear_error(&child->reported);
    child->reported = json_to_error(line);
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
                                replicate_running running, struct replicate_rate *rate,
                                GError **error)
{
    struct child child = {.rate = rate};
    gboolean ok = child_start(&child, work, error);
    if (ok) {
        running((int)g_ascii_strtoll(g_subprocess_get_identifier(child.process), NULL, 10));
        rate_attach(rate, &child);
        ok = child_listen(&child, listener, error);
        rate_attach(rate, NULL);
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
