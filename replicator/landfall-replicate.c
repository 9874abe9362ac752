/* SPDX-License-Identifier: Apache-2.0 */

/* landfall-replicate: one cycle of one machine, from NBD sources to a recovery point in a store.
 * Started by landfall with its work as JSON on standard input, or by hand with options. Documented
 * in landfall-replicate(1). */

#include "base/error.h"
#include "base/json.h"
#include "replicator/cycle.h"
#include "replicator/events.h"
#include "replicator/tls-cipher.h"

#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define MIB (1024u * 1024u)

static gint cancelled; /* atomic; set by the signal handler */

struct options {
    char *store;
    char *machine;
    char *machine_name;
    char **disks;
    char **bitmaps;
    char **commands;
    char *consistency;
    char *checkpoint;
    int bandwidth_mib;
    int retain;
    int audit_blocks;
    int reconnect_seconds;
    gboolean full_scan;
    gboolean from_stdin;
    gboolean version;
    int parent;
};

static void options_clear(struct options *options)
{
    g_free(options->store);
    g_free(options->machine);
    g_free(options->machine_name);
    g_strfreev(options->disks);
    g_strfreev(options->bitmaps);
    g_strfreev(options->commands);
    g_free(options->consistency);
    g_free(options->checkpoint);
}

static void on_signal(int number)
{
    (void)number;
    g_atomic_int_set(&cancelled, 1);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Ends with the process that started it: SIGTERM, so that a half-written layer is removed. */
static gboolean follow_parent(int parent, GError **error)
{
    if (parent == 0)
        return TRUE;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL,
                       "the process that started this one has ended");
    return FALSE;
}

/* --- work from options ---------------------------------------------------------------------------
 */

/* Splits "vda=REST" at the first '='. The caller owns the name; *ret_rest is borrowed. */
static char *split_assignment(const char *option, const char *text, const char **ret_rest,
                              GError **error)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "--%s takes NAME=VALUE, not '%s'",
                           option, text);
        return NULL;
    }
    *ret_rest = equals + 1;
    return g_strndup(text, (gsize)(equals - text));
}

static struct work_disk *assigned_disk(struct work *work, const char *option, const char *text,
                                       const char **ret_rest, GError **error)
{
    g_autofree char *name = split_assignment(option, text, ret_rest, error);
    struct work_disk *disk = name ? work_find_disk(work, name) : NULL;
    if (name && !disk)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "name its source first: --disk NAME=URI",
                           "--%s: no disk '%s'", option, name);
    return disk;
}

static gboolean take_disks(struct work *work, const struct options *options, GError **error)
{
    const char *rest;
    for (char **text = options->disks; text && *text; text++) {
        g_autofree char *name = split_assignment("disk", *text, &rest, error);
        if (!name)
            return FALSE;
        work_add_disk(work, name)->source.uri = g_strdup(rest);
    }
    for (char **text = options->bitmaps; text && *text; text++) {
        struct work_disk *disk = assigned_disk(work, "bitmap", *text, &rest, error);
        if (!disk)
            return FALSE;
        g_free(disk->bitmap);
        disk->bitmap =
            strchr(rest, ':') ? g_strdup(rest) : g_strconcat("qemu:dirty-bitmap:", rest, NULL);
    }
    for (char **text = options->commands; text && *text; text++) {
        struct work_disk *disk = assigned_disk(work, "command", *text, &rest, error);
        g_autoptr(GError) cause = NULL;
        if (!disk)
            return FALSE;
        g_clear_pointer(&disk->source.command, g_strfreev);
        if (!g_shell_parse_argv(rest, NULL, &disk->source.command, &cause)) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "--command: %s", cause->message);
            return FALSE;
        }
    }
    return TRUE;
}

static struct work *work_from_options(const struct options *options, GError **error)
{
    struct work *work = work_new();
    work->store = g_strdup(options->store);
    work->machine = g_strdup(options->machine);
    work->machine_name = g_strdup(options->machine_name);
    work->checkpoint = g_strdup(options->checkpoint);
    work->full_scan = options->full_scan;
    if (options->consistency) {
        g_free(work->consistency);
        work->consistency = g_strdup(options->consistency);
    }
    if (options->bandwidth_mib < 0 || options->retain < 0 || options->audit_blocks < -1 ||
        options->reconnect_seconds < -1) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "--bandwidth, --retain, --audit-blocks and --reconnect-seconds take "
                           "numbers from 0");
        work_free(work);
        return NULL;
    }
    work->bandwidth = (guint64)options->bandwidth_mib * MIB;
    work->retain = (guint)options->retain;
    if (options->audit_blocks >= 0)
        work->audit_blocks = (guint)options->audit_blocks;
    if (options->reconnect_seconds >= 0)
        work->reconnect_seconds = (guint)options->reconnect_seconds;
    if (take_disks(work, options, error))
        return work;
    work_free(work);
    return NULL;
}

/* --- work from standard input --------------------------------------------------------------------
 */

/* How long to wait before looking at the signal handler's flag again. */
#define CONFIRM_POLL_US (100 * G_TIME_SPAN_MILLISECOND)

enum confirmation { CONFIRM_PENDING, CONFIRM_COMMIT, CONFIRM_NEVER };

struct control {
    GDataInputStream *input;
    struct rate_limit *limit;

    GMutex lock;
    GCond changed;
    enum confirmation confirmation; /* under lock */
};

static void confirm(struct control *control, enum confirmation confirmation)
{
    g_mutex_lock(&control->lock);
    if (control->confirmation == CONFIRM_PENDING)
        control->confirmation = confirmation;
    g_cond_signal(&control->changed);
    g_mutex_unlock(&control->lock);
}

/* Lines after the first change the running cycle: {"bandwidth": BYTES_PER_SECOND}, or let it
 * commit:
 * {"commit": true}. */
static gpointer control_main(gpointer data)
{
    struct control *control = data;
    for (;;) {
        gsize length;
        guint64 bandwidth;
        gboolean commit = FALSE;
        g_autofree char *line = g_data_input_stream_read_line(control->input, &length, NULL, NULL);
        if (!line) {
            confirm(control, CONFIRM_NEVER);
            return NULL;
        }
        g_autoptr(JsonObject) object =
            json_parse_object(line, length, "control line", LANDFALL_ERROR_CONFIG, NULL);
        if (object &&
            json_member_uint(object, "bandwidth", LANDFALL_ERROR_CONFIG, &bandwidth, NULL))
            rate_limit_set(control->limit, bandwidth);
        if (object &&
            json_optional_boolean(object, "commit", LANDFALL_ERROR_CONFIG, &commit, NULL) && commit)
            confirm(control, CONFIRM_COMMIT);
    }
}

/* Only who holds the snapshot knows whether it was one until the last block was read. */
static gboolean wait_for_confirmation(void *data, GError **error)
{
    struct control *control = data;
    if (!events_observer().source_done(NULL, error))
        return FALSE;
    g_mutex_lock(&control->lock);
    while (control->confirmation == CONFIRM_PENDING && !g_atomic_int_get(&cancelled))
        g_cond_wait_until(&control->changed, &control->lock,
                          g_get_monotonic_time() + CONFIRM_POLL_US);
    gboolean commit = control->confirmation == CONFIRM_COMMIT;
    g_mutex_unlock(&control->lock);
    if (!commit)
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL,
                           "cancelled before the commit was confirmed");
    return commit;
}

static struct work *work_from_stdin(GDataInputStream *input, GError **error)
{
    gsize length;
    g_autoptr(GError) cause = NULL;
    g_autofree char *line = g_data_input_stream_read_line(input, &length, NULL, &cause);
    if (line)
        return work_parse(line, length, error);
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "write the work as JSON on one line",
                       "no work on standard input%s%s", cause ? ": " : "",
                       cause ? cause->message : "");
    return NULL;
}

/* --- the program ---------------------------------------------------------------------------------
 */

static gboolean parse_options(struct options *options, int *argc, char ***argv, GError **error)
{
    const GOptionEntry entries[] = {
        {"store", 0, 0, G_OPTION_ARG_FILENAME, &options->store, "Folder of the store", "FOLDER"},
        {"machine", 0, 0, G_OPTION_ARG_STRING, &options->machine, "Machine's folder in the store",
         "KEY"},
        {"machine-name", 0, 0, G_OPTION_ARG_STRING, &options->machine_name, "Its name for people",
         "NAME"},
        {"disk", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->disks,
         "A disk and its NBD source; may be given many times", "NAME=URI"},
        {"bitmap", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->bitmaps,
         "The dirty bitmap of what changed since the latest recovery point", "NAME=CONTEXT"},
        {"command", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->commands,
         "Reach a disk's NBD server through a command", "NAME=COMMAND"},
        {"consistency", 0, 0, G_OPTION_ARG_STRING, &options->consistency,
         "Of the snapshot: crash, filesystem or shutdown", "WORD"},
        {"checkpoint", 0, 0, G_OPTION_ARG_STRING, &options->checkpoint,
         "The source's checkpoint, to be noted", "NAME"},
        {"bandwidth", 0, 0, G_OPTION_ARG_INT, &options->bandwidth_mib,
         "Read at most this much of the source", "MIB_PER_SECOND"},
        {"retain", 0, 0, G_OPTION_ARG_INT, &options->retain, "Keep the newest N recovery points",
         "N"},
        {"audit-blocks", 0, 0, G_OPTION_ARG_INT, &options->audit_blocks,
         "Clean blocks to re-read (default 16)", "N"},
        {"reconnect-seconds", 0, 0, G_OPTION_ARG_INT, &options->reconnect_seconds,
         "Try this long to get a lost connection back (default 20)", "N"},
        {"full-scan", 0, 0, G_OPTION_ARG_NONE, &options->full_scan, "Pay no attention to bitmaps",
         NULL},
        {"stdin", 0, 0, G_OPTION_ARG_NONE, &options->from_stdin,
         "Take the work as JSON from standard input", NULL},
        {"parent", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT, &options->parent, NULL, NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Show the version", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context =
        g_option_context_new("- replicate the disks of a machine from NBD sources to a store");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (*argc > 1) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "see landfall-replicate --help",
                           "unknown argument '%s'", (*argv)[1]);
        return FALSE;
    }
    return TRUE;
}

static int exit_code(const GError *error)
{
    gboolean usage = error->domain == G_OPTION_ERROR ||
                     g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    return usage ? EXIT_USAGE : EXIT_FAILED;
}

static int run(const struct options *options, GError **error)
{
    g_autoptr(GInputStream) raw = g_unix_input_stream_new(STDIN_FILENO, FALSE);
    g_autoptr(GDataInputStream) input = g_data_input_stream_new(raw);
    struct cycle_observer observer = events_observer();
    if (!follow_parent(options->parent, error))
        return EXIT_FAILED;
    struct work *work =
        options->from_stdin ? work_from_stdin(input, error) : work_from_options(options, error);
    if (!work)
        return EXIT_USAGE;
    struct rate_limit *limit = rate_limit_new(work->bandwidth);
    static struct control control; /* outlives this call: its thread ends with the process */
    control = (struct control){.input = input, .limit = limit};
    if (options->from_stdin && work->confirm) {
        observer.data = &control;
        observer.source_done = wait_for_confirmation;
    }
    if (options->from_stdin)
        g_thread_unref(g_thread_new("control", control_main, &control));
    struct manifest *manifest = cycle_run(work, limit, &observer, &cancelled, error);
    if (manifest)
        events_result(manifest);
    manifest_free(manifest);
    work_free(work);
    /* The control thread may still wait for a line: it, its stream and the limit end with exit. */
    if (options->from_stdin)
        g_object_ref(input);
    else
        rate_limit_free(limit);
    return manifest ? 0 : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct options options = {.audit_blocks = -1, .reconnect_seconds = -1};
    g_autoptr(GError) error = NULL;
    int status = 0;
    tls_cipher_prefer_aes(argv);
    catch_signals();
    if (parse_options(&options, &argc, &argv, &error) && options.version) {
        printf("landfall-replicate %s\n", LANDFALL_VERSION);
    } else if (!error) {
        status = run(&options, &error);
    }
    if (error) {
        events_error(error);
        status = exit_code(error);
    }
    options_clear(&options);
    return status;
}
