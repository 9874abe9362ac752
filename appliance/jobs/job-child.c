/* SPDX-License-Identifier: Apache-2.0 */

/* Three things happen to a child in any order: its output ends, its process ends, it is cancelled.
 * The first two together are the end. Something that it left behind (a guard that thaws a guest, a
 * command of the operator's) may hold the output open: then the process's end is enough, after a
 * moment. Each pending operation holds a reference. */

#include "appliance/jobs/job-child.h"
#include "base/error.h"
#include "base/json.h"
#include "base/process.h"

#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM "landfall"
#define LINE_BYTES_MAX (1024u * 1024u)
#define STDERR_BYTES_MAX 4096u
#define INPUT_BYTES_MAX (4u * 1024u * 1024u)
#define LINGER_MS 2000u

struct job_child {
    struct job_child_listener listener; /* without callbacks: nobody listens any more */
    GSubprocess *process;
    GBufferedInputStream *output;
    GCancellable *cancellable; /* of all reading */
    GString *complaints;       /* the end of standard error */
    GString *input;            /* what is still to be told */
    JsonObject *result;        /* owned, once it has come */
    GError *error;             /* the child's own, or of reading it */
    int pid;
    guint64 start_time;
    guint kill_timer;
    guint linger_timer;
    gboolean writing;
    gboolean output_ended;
    gboolean exited;
    gboolean ended; /* told */
};

static void child_clear(gpointer data)
{
    struct job_child *child = data;
    g_clear_object(&child->output);
    g_clear_object(&child->process);
    g_clear_object(&child->cancellable);
    g_clear_pointer(&child->result, json_object_unref);
    g_clear_error(&child->error);
    g_string_free(child->complaints, TRUE);
    g_string_free(child->input, TRUE);
}

static struct job_child *child_ref(struct job_child *child)
{
    return g_rc_box_acquire(child);
}

static void child_unref(struct job_child *child)
{
    g_rc_box_release_full(child, child_clear);
}

void job_child_free(struct job_child *child)
{
    if (!child)
        return;
    child->listener = (struct job_child_listener){0};
    g_clear_handle_id(&child->kill_timer, g_source_remove);
    g_clear_handle_id(&child->linger_timer, g_source_remove);
    g_cancellable_cancel(child->cancellable);
    child_unref(child);
}

int job_child_pid(const struct job_child *child)
{
    return child->pid;
}

guint64 job_child_start_time(const struct job_child *child)
{
    return child->start_time;
}

/* --- the end -------------------------------------------------------------------------------------
 */

static void judge(struct job_child *child)
{
    if (child->result || child->error)
        return;
    g_autofree char *complaints = g_strdup(g_strstrip(child->complaints->str));
    const char *colon = *complaints ? ": " : "";
    if (g_subprocess_get_if_signaled(child->process))
        landfall_error_set(
            &child->error, LANDFALL_ERROR_SOURCE,
            "what it left half done is settled by the next one",
            PROGRAM " was killed by signal %d (%s)%s%s", g_subprocess_get_term_sig(child->process),
            g_strsignal(g_subprocess_get_term_sig(child->process)), colon, complaints);
    else
        landfall_error_set(&child->error, LANDFALL_ERROR_SOURCE, NULL,
                           PROGRAM " ended with code %d and no result%s%s",
                           g_subprocess_get_exit_status(child->process), colon, complaints);
}

static void tell_end(struct job_child *child)
{
    if (child->ended || !child->listener.ended)
        return;
    child->ended = TRUE;
    judge(child);
    /* An error after a result (one of many recovery points is damaged) is what counts. */
    child->listener.ended(child->listener.data, child->error ? NULL : child->result, child->error);
}

static gboolean on_linger(gpointer data)
{
    struct job_child *child = data;
    child->linger_timer = 0;
    tell_end(child);
    return G_SOURCE_REMOVE;
}

static void check_end(struct job_child *child)
{
    if (child->exited && child->output_ended)
        tell_end(child);
    else if (child->exited && !child->linger_timer && child->listener.ended)
        child->linger_timer = g_timeout_add(LINGER_MS, on_linger, child);
}

static void on_end(GObject *source, GAsyncResult *result, gpointer data)
{
    struct job_child *child = data;
    g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL);
    child->exited = TRUE;
    g_clear_handle_id(&child->kill_timer, g_source_remove);
    check_end(child);
    child_unref(child);
}

/* --- its output ----------------------------------------------------------------------------------
 */

static void take_error(struct job_child *child, JsonObject *line)
{
    g_clear_error(&child->error);
    child->error = json_to_error(line);
}

/* The recovery point of a cycle; commands that have no events print nothing but results. */
static void take_result(struct job_child *child, JsonObject *line)
{
    JsonNode *node = json_object_get_member(line, "recovery_point");
    JsonObject *result = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : line;
    g_clear_pointer(&child->result, json_object_unref);
    child->result = json_object_ref(result);
}

static gboolean take_line(struct job_child *child, const char *text, gsize length, GError **error)
{
    const char *event = NULL;
    g_autoptr(JsonObject) line =
        json_parse_object(text, length, "a line of " PROGRAM, LANDFALL_ERROR_SOURCE, error);
    if (!line || !json_optional_string(line, "event", LANDFALL_ERROR_SOURCE, &event, error))
        return FALSE;
    if (g_strcmp0(event, "error") == 0)
        take_error(child, line);
    else if (!event || strcmp(event, "result") == 0)
        take_result(child, line);
    else if (child->listener.event)
        child->listener.event(child->listener.data, event, line);
    return TRUE;
}

/* All whole lines that have come. */
static gboolean take_lines(struct job_child *child, GError **error)
{
    for (;;) {
        gsize available, length;
        const char *text = g_buffered_input_stream_peek_buffer(child->output, &available);
        const char *end = available ? memchr(text, '\n', available) : NULL;
        if (!end && available >= LINE_BYTES_MAX) {
            landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "a line of %s is too long",
                               PROGRAM);
            return FALSE;
        }
        if (!end)
            return TRUE;
        length = (gsize)(end - text);
        /* A copy: listeners may make the buffer move. */
        g_autofree char *line = g_strndup(text, length);
        if (g_input_stream_skip(G_INPUT_STREAM(child->output), length + 1, NULL, error) < 0 ||
            !take_line(child, line, length, error))
            return FALSE;
    }
}

static void read_output(struct job_child *child);

static void on_output(GObject *source, GAsyncResult *result, gpointer data)
{
    struct job_child *child = data;
    g_autoptr(GError) error = NULL;
    gssize n = g_buffered_input_stream_fill_finish(G_BUFFERED_INPUT_STREAM(source), result, &error);
    if (n > 0 && take_lines(child, &error)) {
        read_output(child);
    } else {
        /* What it says cannot be understood: it is not left to work unheard. */
        if (error && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
            if (!child->error)
                landfall_error_set(&child->error, LANDFALL_ERROR_SOURCE, landfall_error_hint(error),
                                   "cannot read from %s: %s", PROGRAM, error->message);
            g_subprocess_send_signal(child->process, SIGTERM);
        }
        child->output_ended = TRUE;
        check_end(child);
    }
    child_unref(child);
}

static void read_output(struct job_child *child)
{
    g_buffered_input_stream_fill_async(child->output, -1, G_PRIORITY_DEFAULT, child->cancellable,
                                       on_output, child_ref(child));
}

static void on_complaint(GObject *source, GAsyncResult *result, gpointer data)
{
    struct job_child *child = data;
    g_autoptr(GBytes) bytes =
        g_input_stream_read_bytes_finish(G_INPUT_STREAM(source), result, NULL);
    if (bytes && g_bytes_get_size(bytes) > 0) {
        g_autofree char *text =
            g_utf8_make_valid(g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes));
        g_string_append(child->complaints, text);
        if (child->complaints->len > STDERR_BYTES_MAX)
            g_string_erase(child->complaints, 0,
                           (gssize)(child->complaints->len - STDERR_BYTES_MAX));
        g_input_stream_read_bytes_async(G_INPUT_STREAM(source), STDERR_BYTES_MAX,
                                        G_PRIORITY_DEFAULT, child->cancellable, on_complaint,
                                        child_ref(child));
    }
    child_unref(child);
}

/* --- its start -----------------------------------------------------------------------------------
 */

/* In the child, between fork and exec: only what is safe there. A parent that died before prctl was
 * called would never be missed. */
static void prepare(gpointer data)
{
    pid_t parent = *(const pid_t *)data;
    setpgid(0, 0);
    umask(022); /* files of a store are the same whoever writes them; the daemon's own are closed */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        kill(getpid(), SIGKILL);
}

static GSubprocess *spawn(const char *const *arguments, GError **error)
{
    g_autofree char *program = process_find_program(PROGRAM, error);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_autoptr(GError) cause = NULL;
    pid_t self = getpid();
    if (!program)
        return NULL;
    g_ptr_array_add(words, program);
    for (; *arguments; arguments++)
        g_ptr_array_add(words, (char *)*arguments);
    g_ptr_array_add(words, NULL);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                  G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_subprocess_launcher_set_child_setup(launcher, prepare, &self, NULL);
    GSubprocess *process =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)words->pdata, &cause);
    if (!process)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "cannot start %s: %s", program,
                           cause->message);
    return process;
}

struct job_child *job_child_start(const char *const *arguments,
                                  const struct job_child_listener *listener, GError **error)
{
    GSubprocess *process = spawn(arguments, error);
    if (!process)
        return NULL;
    const char *identifier = g_subprocess_get_identifier(process);
    struct job_child *child = g_rc_box_new0(struct job_child);
    child->listener = *listener;
    child->process = process;
    child->cancellable = g_cancellable_new();
    child->complaints = g_string_new(NULL);
    child->input = g_string_new(NULL);
    child->pid = identifier ? (int)g_ascii_strtoll(identifier, NULL, 10) : 0;
    child->start_time = process_start_time(child->pid);
    child->output = G_BUFFERED_INPUT_STREAM(
        g_buffered_input_stream_new_sized(g_subprocess_get_stdout_pipe(process), LINE_BYTES_MAX));
    read_output(child);
    g_input_stream_read_bytes_async(g_subprocess_get_stderr_pipe(process), STDERR_BYTES_MAX,
                                    G_PRIORITY_DEFAULT, child->cancellable, on_complaint,
                                    child_ref(child));
    g_subprocess_wait_async(process, NULL, on_end, child_ref(child));
    return child;
}

/* --- while it runs -------------------------------------------------------------------------------
 */

/* The leader alone: what works for it ends by itself, and a guard that thaws a guest must not end.
 */
static gboolean on_deadline(gpointer data)
{
    struct job_child *child = data;
    child->kill_timer = 0;
    g_subprocess_send_signal(child->process, SIGKILL);
    return G_SOURCE_REMOVE;
}

void job_child_cancel(struct job_child *child, guint deadline_s)
{
    if (child->exited || child->kill_timer)
        return;
    g_subprocess_send_signal(child->process, SIGTERM);
    child->kill_timer = g_timeout_add_seconds(deadline_s, on_deadline, child);
}

static void write_input(struct job_child *child);

static void on_written(GObject *source, GAsyncResult *result, gpointer data)
{
    struct job_child *child = data;
    gssize n = g_output_stream_write_bytes_finish(G_OUTPUT_STREAM(source), result, NULL);
    child->writing = FALSE;
    if (n > 0)
        g_string_erase(child->input, 0, n);
    else
        g_string_truncate(child->input, 0); /* it does not listen any more */
    write_input(child);
    child_unref(child);
}

/* A work line may be larger than a pipe. */
static void write_input(struct job_child *child)
{
    if (child->writing || child->input->len == 0)
        return;
    child->writing = TRUE;
    /* A copy, since more may be appended meanwhile. */
    g_autoptr(GBytes) bytes = g_bytes_new(child->input->str, child->input->len);
    g_output_stream_write_bytes_async(g_subprocess_get_stdin_pipe(child->process), bytes,
                                      G_PRIORITY_DEFAULT, child->cancellable, on_written,
                                      child_ref(child));
}

void job_child_tell(struct job_child *child, const char *line)
{
    /* One that takes nothing hangs, and is not told for ever. */
    if (child->exited || child->input->len + strlen(line) >= INPUT_BYTES_MAX)
        return;
    g_string_append(child->input, line);
    g_string_append_c(child->input, '\n');
    write_input(child);
}
