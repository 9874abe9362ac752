/* SPDX-License-Identifier: Apache-2.0 */

/* landfall cycle: one whole cycle of one machine, without the daemon. */

#include "appliance/cli/command.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/text.h"
#include "appliance/cycle/machine-cycle.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/work.h"

#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024u * 1024u)
#define FREEZE_DEADLINE_S 10

/* Of one run of the command. */
struct output {
    gboolean as_json;
    gboolean has_snapshot; /* a host took one: plain NBD exports are what they are */
    struct progress *progress;
};

struct cycle_options {
    char *host;
    char *machine;
    char *store;
    char **exclude_disks;
    char **nbd_disks;
    char *scratch_dir;
    char *socket_dir;
    char *on_snapshot;
    int bandwidth_mib;
    int retain;
    int audit_blocks;
    int freeze_deadline_s;
    char *consistency;
    char *verify_text;
    enum verify_mode verify;
    gboolean final;
    char *lease;
    gboolean control;
    gboolean no_checkpoint;
    gboolean no_freeze;
    gboolean full_scan;
    gboolean as_json;
};

static gboolean check_options(struct cycle_options *options, GError **error)
{
    if (!options->machine || !options->store || !options->host == !options->nbd_disks) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "landfall cycle --host qemu:///system --machine NAME --store FOLDER",
                           "give --machine, --store and either --host or --disk");
        return FALSE;
    }
    if (options->retain < 0 || options->bandwidth_mib < 0 || options->audit_blocks < 0 ||
        options->freeze_deadline_s < 1) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "landfall cycle --help shows the options",
                           "--retain, --bandwidth and --audit-blocks take numbers from 0, "
                           "--freeze-deadline from 1");
        return FALSE;
    }
    if (g_strcmp0(options->consistency, "filesystem") == 0 && options->no_freeze) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "leave out one of them",
                           "--no-freeze and --consistency filesystem exclude each other");
        return FALSE;
    }
    options->verify = options->final ? VERIFY_TRANSFERRED : VERIFY_NONE;
    if (options->verify_text && !verify_mode_from_name(options->verify_text, &options->verify)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "--verify takes none, transferred or full, not '%s'",
                           options->verify_text);
        return FALSE;
    }
    if (options->final && !options->host) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "without one, what an export shows is what is replicated",
                           "--final needs a --host, which tells whether the machine is off");
        return FALSE;
    }
    if (!options->consistency || strcmp(options->consistency, "crash") == 0 ||
        strcmp(options->consistency, "filesystem") == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                       "--consistency takes crash or filesystem, not '%s'", options->consistency);
    return FALSE;
}

/* --- events as people read them ------------------------------------------------------------------
 */

static void show_plan(JsonObject *line)
{
    const char *cause = json_find_string(line, "demotion_cause"),
               *detail = json_find_string(line, "demotion_detail");
    const char *why = detail ? detail : cause;
    g_autofree char *candidates = text_bytes(json_find_uint(line, "candidate_bytes"));
    printf("%s: %s, %s to look at%s%s%s\n", json_find_string(line, "disk"),
           json_find_string(line, "mode"), candidates, why ? " (" : "", why ? why : "",
           why ? ")" : "");
}

static void show_event(void *data, const char *event, JsonObject *line)
{
    struct output *output = data;
    if (output->as_json) {
        g_autofree char *text = json_object_to_text(line, FALSE);
        printf("%s\n", text);
        fflush(stdout);
        return;
    }
    if (strcmp(event, "progress") == 0) {
        progress_update(output->progress, json_find_string(line, "disk"),
                        json_find_uint(line, "done_bytes"), json_find_uint(line, "total_bytes"));
        return;
    }
    progress_finish(output->progress);
    if (strcmp(event, "snapshot") == 0 && output->has_snapshot)
        printf("snapshot taken: %s-consistent\n", json_find_string(line, "consistency"));
    else if (strcmp(event, "plan") == 0)
        show_plan(line);
    else if (strcmp(event, "warning") == 0)
        fprintf(stderr, "warning: %s%s%s\n",
                json_find_string(line, "disk") ? json_find_string(line, "disk") : "",
                json_find_string(line, "disk") ? ": " : "", json_find_string(line, "message"));
    fflush(stdout);
}

static void show_result(JsonObject *result, gboolean has_snapshot)
{
    static const char *const titles[] = {"disk", "mode",           "candidates", "read",
                                         "sent", "changed blocks", "root hash",  NULL};
    static const gboolean right[] = {FALSE, FALSE, TRUE, TRUE, TRUE, TRUE, FALSE};
    struct text_table *table = text_table_new(titles, right);
    JsonArray *disks = json_object_get_array_member(result, "disks");
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        g_autofree char *candidates = text_bytes(json_find_uint(disk, "candidate_bytes"));
        g_autofree char *read = text_bytes(json_find_uint(disk, "read_bytes"));
        g_autofree char *sent = text_bytes(json_find_uint(disk, "sent_bytes"));
        g_autofree char *changed =
            g_strdup_printf("%" G_GUINT64_FORMAT, json_find_uint(disk, "changed_blocks"));
        const char *cells[] = {json_find_string(disk, "name"),
                               json_find_string(disk, "mode"),
                               candidates,
                               read,
                               sent,
                               changed,
                               json_find_string(disk, "root_hash"),
                               NULL};
        text_table_row(table, cells);
    }
    text_table_print(table);
    g_autofree char *time = text_duration(json_find_uint(result, "cycle_ms"));
    g_autofree char *held = text_duration(json_find_uint(result, "snapshot_held_ms"));
    printf("recovery point %" G_GUINT64_FORMAT " (%s-consistent) committed in %s",
           json_find_uint(result, "number"), json_find_string(result, "consistency"), time);
    if (has_snapshot)
        printf(", snapshot held %s", held);
    printf("\n");
}

static void show_proof(JsonObject *result)
{
    JsonArray *disks = json_object_get_array_member(result, "disks");
    guint64 blocks = 0;
    const char *mode = NULL;
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        if (!json_object_has_member(disk, "verified"))
            continue;
        JsonObject *verified = json_object_get_object_member(disk, "verified");
        mode = json_find_string(verified, "mode");
        blocks += json_find_uint(verified, "blocks");
    }
    if (mode)
        printf("source and replica agree: %" G_GUINT64_FORMAT " blocks read again (%s)\n", blocks,
               mode);
}

static void print_result(const struct output *output, JsonObject *result)
{
    if (!output->as_json) {
        show_result(result, output->has_snapshot);
        show_proof(result);
        return;
    }
    g_autoptr(JsonObject) line = json_object_new();
    json_object_set_string_member(line, "event", "result");
    json_object_set_object_member(line, "recovery_point", json_object_ref(result));
    g_autofree char *text = json_object_to_text(line, FALSE);
    printf("%s\n", text);
}

/* What whoever started this command with --control says of how fast it may read: {"bandwidth":
 * BYTES} a line, the first before anything is read. Thread, stream and rate end with the process.
 */
struct control {
    GDataInputStream *input;
    struct replicate_rate *rate;
    guint64 bandwidth; /* bytes a second, 0: no limit; as it was said last */
};

/* FALSE: nothing more will be said. */
static gboolean control_read(struct control *control)
{
    gsize length;
    g_autofree char *line = g_data_input_stream_read_line(control->input, &length, NULL, NULL);
    g_autoptr(JsonObject) object =
        line ? json_parse_object(line, length, "control line", LANDFALL_ERROR_CONFIG, NULL) : NULL;
    guint64 bandwidth;
    if (object && json_member_uint(object, "bandwidth", LANDFALL_ERROR_CONFIG, &bandwidth, NULL)) {
        control->bandwidth = bandwidth;
        replicate_rate_set(control->rate, bandwidth);
    }
    return line != NULL;
}

static gpointer control_main(gpointer control)
{
    while (control_read(control))
        continue;
    return NULL;
}

static struct replicate_rate *control_start(guint64 *ret_bandwidth)
{
    static struct control control; /* of the process, so that leak checkers see it */
    g_autoptr(GInputStream) raw = g_unix_input_stream_new(STDIN_FILENO, FALSE);
    control.input = g_data_input_stream_new(raw);
    control.rate = replicate_rate_new();
    control_read(&control);
    *ret_bandwidth = control.bandwidth;
    g_thread_unref(g_thread_new("control", control_main, &control));
    return control.rate;
}

static gboolean run(const struct cycle_options *options, GError **error)
{
    struct output output = {options->as_json, options->host != NULL,
                            progress_new(options->as_json)};
    static const char *const thaw_guard[] = {"/proc/self/exe", COMMAND_THAW_GUARD, NULL};
    struct machine_cycle_options cycle = {
        .host_uri = options->host,
        .machine = options->machine,
        .store = options->store,
        .exclude_disks = (const char *const *)options->exclude_disks,
        .nbd_disks = (const char *const *)options->nbd_disks,
        .scratch_dir = options->scratch_dir,
        .socket_dir = options->socket_dir,
        .on_snapshot = options->on_snapshot,
        .no_checkpoint = options->no_checkpoint,
        .no_freeze = options->no_freeze,
        .freeze_deadline_ms = (guint)options->freeze_deadline_s * 1000,
        .thaw_guard = thaw_guard,
        .full_scan = options->full_scan,
        .final = options->final,
        .forced_off = options->final && g_strcmp0(options->consistency, "crash") == 0,
        .verify = options->verify,
        .want_filesystem = g_strcmp0(options->consistency, "filesystem") == 0,
        .bandwidth = (guint64)options->bandwidth_mib * MIB,
        .retain = (guint)options->retain,
        .lease = options->lease,
        .audit_blocks = (guint)options->audit_blocks,
    };
    struct machine_cycle_observer observer = {&output, show_event, command_forward_signals};
    if (options->control)
        cycle.rate = control_start(&cycle.bandwidth);
    g_autoptr(JsonObject) result = machine_cycle_run(&cycle, &observer, command_cancelled(), error);
    progress_free(output.progress);
    if (result)
        print_result(&output, result);
    return result != NULL;
}

int command_cycle(int argc, char **argv)
{
    struct cycle_options options = {.freeze_deadline_s = FREEZE_DEADLINE_S,
                                    .audit_blocks = WORK_AUDIT_BLOCKS};
    const GOptionEntry entries[] = {
        {"host", 0, 0, G_OPTION_ARG_STRING, &options.host, "libvirt URI of the source host", "URI"},
        {"machine", 0, 0, G_OPTION_ARG_STRING, &options.machine, "Name or UUID of the machine",
         "MACHINE"},
        {"store", 0, 0, G_OPTION_ARG_FILENAME, &options.store, "Folder of the store", "FOLDER"},
        {"exclude-disk", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.exclude_disks,
         "Leave this disk out; may be given many times", "DISK"},
        {"disk", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.nbd_disks,
         "Without --host: a disk and its NBD export; may be given many times", "NAME=URI"},
        {"retain", 0, 0, G_OPTION_ARG_INT, &options.retain,
         "Keep the newest N recovery points (default: all)", "N"},
        {"bandwidth", 0, 0, G_OPTION_ARG_INT, &options.bandwidth_mib,
         "Read at most this much of the source", "MIB_PER_SECOND"},
        {"final", 0, 0, G_OPTION_ARG_NONE, &options.final,
         "The last cycle before a move: the machine must be off, and what is sent is proven", NULL},
        {"verify", 0, 0, G_OPTION_ARG_STRING, &options.verify_text,
         "Read again, and back from the replica, before the commit: none (default), transferred "
         "(default with --final) or full",
         "WORD"},
        {"full-scan", 0, 0, G_OPTION_ARG_NONE, &options.full_scan,
         "Look at every block, whatever the dirty bitmaps say", NULL},
        {"audit-blocks", 0, 0, G_OPTION_ARG_INT, &options.audit_blocks,
         "Re-read this many blocks that a bitmap calls clean (default 16)", "N"},
        {"no-checkpoint", 0, 0, G_OPTION_ARG_NONE, &options.no_checkpoint,
         "Leave no checkpoint on the host: every cycle is a hash scan", NULL},
        {"no-freeze", 0, 0, G_OPTION_ARG_NONE, &options.no_freeze,
         "Do not ask the guest agent to freeze file systems", NULL},
        {"freeze-deadline", 0, 0, G_OPTION_ARG_INT, &options.freeze_deadline_s,
         "Thaw no later than this after the freeze (default 10)", "SECONDS"},
        {"consistency", 0, 0, G_OPTION_ARG_STRING, &options.consistency,
         "Fail unless the snapshot is at least that: crash (default) or filesystem", "WORD"},
        {"scratch-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.scratch_dir,
         "Folder on the host for scratch images", "FOLDER"},
        {"socket-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.socket_dir,
         "Folder on the host for the NBD socket", "FOLDER"},
        {"on-snapshot", 0, 0, G_OPTION_ARG_STRING, &options.on_snapshot,
         "Run a command while the snapshot is held; LANDFALL_NBD_VDA and so on name its disks",
         "COMMAND"},
        {"lease", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &options.lease, NULL, NULL},
        {"control", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &options.control, NULL, NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.as_json, "Print events as JSON lines", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    gboolean ok =
        command_parse(&argc, &argv, entries, NULL, "- replicate a machine once", 0, 0, &error) &&
        check_options(&options, &error) && run(&options, &error);
    command_clear(entries);
    return ok ? EXIT_OK : command_failed(error, options.as_json);
}
