/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot room on the command line, for its tests: JSON lines out, one word in. Exits 0 when
 * the room did what was asked, 1 when it refused, 2 on wrong usage.
 *
 *   snapshot-hold show  --host URI --machine M
 *   snapshot-hold clean --host URI --machine M --store-id ID [--keep CHECKPOINT] …
 *   snapshot-hold hold  --host URI --machine M --store-id ID --number N --disk SPEC… …
 *   snapshot-hold nbd   --disk NAME=URI…
 *
 * SPEC is NAME[,SIZE[,CHECKPOINT]]. hold prints the snapshot, then obeys words on standard input:
 * end, commit, abort, sizes (as the NBD server says them), free. End of input is free, which
 * aborts. */
#include "snapshot/snapshot.h"

#include "base/error.h"
#include "tests/snapshot/libvirt-faults.h"

#include <json-glib/json-glib.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *store_id = "test";
static char *host_uri, *machine_name, *keep, *scratch_dir, *socket_dir;
static gint64 number = 1, deadline_ms = 5000;
static gboolean no_checkpoint, no_freeze, allow_foreign, with_guard;
static char **disk_specs;

static const GOptionEntry options[] = {
    {"host", 0, 0, G_OPTION_ARG_STRING, &host_uri, "libvirt URI", "URI"},
    {"machine", 0, 0, G_OPTION_ARG_STRING, &machine_name, "name or UUID", "M"},
    {"store-id", 0, 0, G_OPTION_ARG_STRING, &store_id, "the store's identity", "ID"},
    {"keep", 0, 0, G_OPTION_ARG_STRING, &keep, "the checkpoint clean spares", "NAME"},
    {"scratch-dir", 0, 0, G_OPTION_ARG_STRING, &scratch_dir, "folder of scratch images", "DIR"},
    {"socket-dir", 0, 0, G_OPTION_ARG_STRING, &socket_dir, "folder of the socket", "DIR"},
    {"number", 0, 0, G_OPTION_ARG_INT64, &number, "of the recovery point", "N"},
    {"deadline-ms", 0, 0, G_OPTION_ARG_INT64, &deadline_ms, "of the freeze", "MS"},
    {"no-checkpoint", 0, 0, G_OPTION_ARG_NONE, &no_checkpoint, "leave no checkpoint", NULL},
    {"no-freeze", 0, 0, G_OPTION_ARG_NONE, &no_freeze, "do not ask the agent", NULL},
    {"allow-foreign", 0, 0, G_OPTION_ARG_NONE, &allow_foreign, "pass foreign checkpoints", NULL},
    {"guard", 0, 0, G_OPTION_ARG_NONE, &with_guard, "have a process thaw if this one cannot", NULL},
    {"disk", 0, 0, G_OPTION_ARG_STRING_ARRAY, &disk_specs, "a disk", "SPEC"},
    {NULL},
};

static void print_line(JsonBuilder *builder)
{
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, FALSE);
    puts(text);
    fflush(stdout);
}

static void add(JsonBuilder *builder, const char *name, const char *value)
{
    if (!value)
        return;
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, value);
}

static void add_strings(JsonBuilder *builder, const char *name, const GPtrArray *strings)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_array(builder);
    for (guint i = 0; strings && i < strings->len; i++)
        json_builder_add_string_value(builder, strings->pdata[i]);
    json_builder_end_array(builder);
}

static int refused(const GError *error)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    add(builder, "error", landfall_error_name(error));
    add(builder, "message", error->message);
    add(builder, "hint", landfall_error_hint(error));
    json_builder_end_object(builder);
    print_line(builder);
    return 1;
}

static int show(struct snapshot_machine *machine)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    add(builder, "name", snapshot_machine_name(machine));
    add(builder, "uuid", snapshot_machine_uuid(machine));
    add(builder, "xml", snapshot_machine_xml(machine));
    json_builder_set_member_name(builder, "disks");
    json_builder_begin_object(builder);
    const GPtrArray *disks = snapshot_machine_disks(machine);
    for (guint i = 0; i < disks->len; i++) {
        const struct snapshot_machine_disk *disk = disks->pdata[i];
        json_builder_set_member_name(builder, disk->name);
        json_builder_begin_object(builder);
        add(builder, "format", disk->format);
        add(builder, "source", disk->source);
        add(builder, "unsupported", disk->unsupported_reason);
        add(builder, "no_bitmap", disk->no_bitmap_cause);
        json_builder_set_member_name(builder, "size");
        json_builder_add_int_value(builder, (gint64)disk->size_bytes);
        json_builder_end_object(builder);
    }
    json_builder_end_object(builder);
    json_builder_end_object(builder);
    print_line(builder);
    return 0;
}

static int clean(struct snapshot_machine *machine)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) removed = NULL;
    if (!snapshot_machine_clean(machine, store_id, keep, scratch_dir, socket_dir, allow_foreign,
                                &removed, &error))
        return refused(error);
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    add_strings(builder, "removed", removed);
    json_builder_end_object(builder);
    print_line(builder);
    return 0;
}

static void print_snapshot(const struct snapshot *snapshot)
{
    static const char *const consistency_names[] = {"crash", "filesystem", "shutdown", "off"};
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    add(builder, "checkpoint", snapshot_checkpoint(snapshot));
    add(builder, "consistency", consistency_names[snapshot_consistency(snapshot)]);
    add_strings(builder, "warnings", snapshot_warnings(snapshot));
    json_builder_set_member_name(builder, "disks");
    json_builder_begin_object(builder);
    const GPtrArray *disks = snapshot_disks(snapshot);
    for (guint i = 0; i < disks->len; i++) {
        const struct snapshot_disk *disk = disks->pdata[i];
        json_builder_set_member_name(builder, disk->name);
        json_builder_begin_object(builder);
        add(builder, "uri", disk->nbd_uri);
        add(builder, "bitmap", disk->bitmap);
        add(builder, "cause", disk->demotion_cause);
        add(builder, "detail", disk->demotion_detail);
        json_builder_set_member_name(builder, "size");
        json_builder_add_int_value(builder, (gint64)disk->size_bytes);
        if (disk->nbd_command) {
            json_builder_set_member_name(builder, "command");
            json_builder_begin_array(builder);
            for (char **word = disk->nbd_command; *word; word++)
                json_builder_add_string_value(builder, *word);
            json_builder_end_array(builder);
        }
        json_builder_end_object(builder);
    }
    json_builder_end_object(builder);
    json_builder_end_object(builder);
    print_line(builder);
}

/* Connects as the replicator does. */
static gint64 size_over_nbd(const struct snapshot_disk *disk)
{
    struct nbd_handle *nbd = nbd_create();
    gint64 size = -1;
    gboolean connected = FALSE;
    if (disk->nbd_command)
        connected = nbd_set_export_name(nbd, disk->name) == 0 &&
                    nbd_connect_command(nbd, disk->nbd_command) == 0;
    else
        connected = nbd_connect_uri(nbd, disk->nbd_uri) == 0;
    if (connected)
        size = nbd_get_size(nbd);
    else
        fprintf(stderr, "%s\n", nbd_get_error());
    nbd_close(nbd);
    return size;
}

static void print_sizes(const struct snapshot *snapshot)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    const GPtrArray *disks = snapshot_disks(snapshot);
    for (guint i = 0; i < disks->len; i++) {
        const struct snapshot_disk *disk = disks->pdata[i];
        json_builder_set_member_name(builder, disk->name);
        json_builder_add_int_value(builder, size_over_nbd(disk));
    }
    json_builder_end_object(builder);
    print_line(builder);
}

static int obey(struct snapshot *snapshot)
{
    g_autoptr(GError) error = NULL;
    char word[16] = "";
    int status = 0;
    while (status == 0 && scanf("%15s", word) == 1 && strcmp(word, "free") != 0) {
        gboolean done = FALSE;
        if (strcmp(word, "sizes") == 0) {
            print_sizes(snapshot);
            continue;
        }
        if (strcmp(word, "end") == 0)
            done = snapshot_end(snapshot, &error);
        else if (strcmp(word, "commit") == 0)
            done = snapshot_commit(snapshot, &error);
        else if (strcmp(word, "abort") == 0)
            done = snapshot_abort(snapshot, &error);
        else
            return 2;
        status = done ? 0 : refused(error);
        if (done)
            print_snapshot(snapshot);
    }
    snapshot_free(snapshot);
    return status;
}

static const char *const guard_command[] = {"/proc/self/exe", "guard", NULL};

static int hold(struct snapshot_machine *machine)
{
    g_autoptr(GError) error = NULL;
    guint disk_count = disk_specs ? g_strv_length(disk_specs) : 0;
    g_autofree struct snapshot_plan_disk *disks = g_new0(struct snapshot_plan_disk, disk_count + 1);
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    for (guint i = 0; i < disk_count; i++) {
        char **part = g_strsplit(disk_specs[i], ",", 3);
        g_ptr_array_add(parts, part);
        disks[i].name = part[0];
        if (part[1]) {
            disks[i].replica_size_bytes = g_ascii_strtoull(part[1], NULL, 10);
            disks[i].base_checkpoint = part[2];
        }
    }
    struct snapshot_plan plan = {
        .disks = disks,
        .disk_count = disk_count,
        .store_id = store_id,
        .number = (guint64)number,
        .scratch_dir = scratch_dir,
        .socket_dir = socket_dir,
        .checkpoint = !no_checkpoint,
        .freeze = !no_freeze,
        .freeze_deadline_ms = (unsigned)deadline_ms,
        .thaw_guard = with_guard ? guard_command : NULL,
    };
    struct snapshot *snapshot = snapshot_begin(machine, &plan, &error);
    if (!snapshot)
        return refused(error);
    print_snapshot(snapshot);
    return obey(snapshot);
}

static int nbd(void)
{
    g_autoptr(GError) error = NULL;
    guint disk_count = disk_specs ? g_strv_length(disk_specs) : 0;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) uris = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < disk_count; i++) {
        g_auto(GStrv) part = g_strsplit(disk_specs[i], "=", 2);
        g_ptr_array_add(names, g_strdup(part[0]));
        g_ptr_array_add(uris, g_strdup(part[1] ? part[1] : ""));
    }
    struct snapshot *snapshot = snapshot_begin_nbd(
        (const char *const *)names->pdata, (const char *const *)uris->pdata, disk_count, &error);
    if (!snapshot)
        return refused(error);
    print_snapshot(snapshot);
    return obey(snapshot);
}

/* What hold --guard starts; the fault is that of the other process. */
static int guard(char **arguments)
{
    unsigned milliseconds = (unsigned)g_ascii_strtoull(arguments[3], NULL, 10);
    g_unsetenv("SNAPSHOT_FAULT");
    return !snapshot_thaw_guard_run(arguments[0], arguments[1], arguments[2], milliseconds, NULL);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    if (argc == 6 && strcmp(argv[1], "guard") == 0)
        return guard(argv + 2);
    g_autoptr(GOptionContext) context = g_option_context_new("show|clean|hold|nbd");
    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc != 2) {
        fprintf(stderr, "snapshot-hold: %s\n", error ? error->message : "one command, please");
        return 2;
    }
    const char *command = argv[1];
    if (strcmp(command, "nbd") == 0)
        return nbd();
    if (!machine_name)
        return 2;
    struct snapshot_host *host = snapshot_host_open(host_uri, &error);
    struct snapshot_machine *machine =
        host ? snapshot_machine_lookup(host, machine_name, &error) : NULL;
    int status = 2;
    if (!machine)
        status = refused(error);
    else if (strcmp(command, "show") == 0)
        status = show(machine);
    else if (strcmp(command, "clean") == 0)
        status = clean(machine);
    else if (strcmp(command, "hold") == 0)
        status = hold(machine);
    snapshot_machine_free(machine);
    snapshot_host_free(host);
    return status;
}
