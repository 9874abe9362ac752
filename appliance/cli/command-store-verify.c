/* SPDX-License-Identifier: Apache-2.0 */

/* landfall store verify: re-read a recovery point and prove it against its root hashes. */

#include "appliance/cli/command.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/text.h"
#include "appliance/cycle/opened-machine.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/verify.h"

#include <stdio.h>

struct verify_options {
    gint64 number; /* 0: the latest */
    gboolean all;
    gboolean rebuild;
    gboolean as_json;
};

static void on_progress(void *data, const char *disk, guint64 done_bytes, guint64 total_bytes)
{
    progress_update(data, disk, done_bytes, total_bytes);
}

static JsonObject *disk_to_json(const struct verify_disk *disk)
{
    JsonObject *object = json_object_new();
    JsonArray *faults = json_array_new();
    g_autofree char *found = block_hash_to_hex(&disk->found);
    g_autofree char *recorded = block_hash_to_hex(&disk->recorded);
    json_object_set_string_member(object, "name", disk->name);
    json_object_set_boolean_member(object, "proven", disk->proven);
    json_object_set_string_member(object, "root_hash", recorded);
    json_object_set_string_member(object, "root_hash_found", found);
    json_object_set_int_member(object, "read_bytes", (gint64)disk->read_bytes);
    json_object_set_int_member(object, "fault_count", (gint64)disk->fault_count);
    for (guint i = 0; i < disk->faults->len; i++)
        json_array_add_int_element(faults, (gint64)g_array_index(disk->faults, guint64, i));
    json_object_set_array_member(object, "faulty_blocks", faults);
    json_set_optional_string(object, "file_problem", disk->file_problem);
    json_set_optional_string(object, "block_map_problem", disk->map_problem);
    return object;
}

static void print_json(const struct manifest *manifest, const GPtrArray *disks)
{
    g_autoptr(JsonObject) object = json_object_new();
    JsonArray *array = json_array_new();
    json_object_set_int_member(object, "number", (gint64)manifest->number);
    for (guint i = 0; i < disks->len; i++)
        json_array_add_object_element(array, disk_to_json(disks->pdata[i]));
    json_object_set_array_member(object, "disks", array);
    g_autofree char *text = json_object_to_text(object, FALSE);
    printf("%s\n", text);
}

static void print_disk(const struct manifest *manifest, const struct verify_disk *disk)
{
    g_autofree char *read = text_bytes(disk->read_bytes);
    g_autofree char *found = block_hash_to_hex(&disk->found);
    printf("recovery point %" G_GUINT64_FORMAT ", disk %s: %s, root hash %s, %s read\n",
           manifest->number, disk->name, disk->proven ? "proven" : "DAMAGED", found, read);
    if (!disk->proven)
        for (guint i = 0; i < disk->faults->len; i++)
            printf("  block %" G_GUINT64_FORMAT " is not what was committed\n",
                   g_array_index(disk->faults, guint64, i));
    if (!disk->proven && disk->fault_count > disk->faults->len)
        printf("  and %" G_GUINT64_FORMAT " more\n", disk->fault_count - disk->faults->len);
    if (disk->file_problem)
        printf("  %s\n", disk->file_problem);
    if (disk->map_problem)
        printf("  block map: %s\n", disk->map_problem);
}

/* A damaged replica, or a map that the next cycle could not trust, is a failure of the command. */
static gboolean judge(const struct manifest *manifest, const GPtrArray *disks, GError **error)
{
    for (guint i = 0; i < disks->len; i++) {
        const struct verify_disk *disk = disks->pdata[i];
        if (!disk->proven) {
            landfall_error_set(
                error, LANDFALL_ERROR_CORRUPT,
                "verify the other recovery points (--all), and go back to a whole one",
                "recovery point %" G_GUINT64_FORMAT ", disk %s is damaged", manifest->number,
                disk->name);
            return FALSE;
        }
        if (disk->file_problem) {
            landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                               "the data are proven: export the disk, or move the recovery points "
                               "that need the file out of the store and run a cycle",
                               "recovery point %" G_GUINT64_FORMAT ", disk %s: %s",
                               manifest->number, disk->name, disk->file_problem);
            return FALSE;
        }
        if (disk->map_problem) {
            landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                               "make a new one: landfall store verify STORE MACHINE "
                               "--rebuild-block-map",
                               "disk %s: the replica is proven, its block map is of no use: %s",
                               disk->name, disk->map_problem);
            return FALSE;
        }
    }
    return TRUE;
}

/* checked: files that this run has found whole, by path. */
static gboolean verify_one(const struct opened_machine *opened, const struct manifest *manifest,
                           const struct verify_options *options, GHashTable *checked,
                           GError **error)
{
    struct progress *progress = progress_new(options->as_json);
    struct verify_observer observer = {progress, on_progress};
    g_autoptr(GPtrArray) disks = verify_recovery_point(opened->machine, manifest, &observer,
                                                       checked, command_cancelled(), error);
    progress_free(progress);
    if (!disks) {
        g_prefix_error(error, "recovery point %" G_GUINT64_FORMAT ": ", manifest->number);
        return FALSE;
    }
    if (options->as_json)
        print_json(manifest, disks);
    for (guint i = 0; !options->as_json && i < disks->len; i++)
        print_disk(manifest, disks->pdata[i]);
    return judge(manifest, disks, error);
}

/* All of them are looked at, also after a damaged one; the first error is the command's. */
static gboolean verify_all(const struct opened_machine *opened,
                           const struct verify_options *options, GError **error)
{
    GError *first = NULL;
    g_autoptr(GHashTable) checked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < opened->machine->manifests->len; i++) {
        GError *fault = NULL;
        if (verify_one(opened, opened->machine->manifests->pdata[i], options, checked, &fault))
            continue;
        if (first)
            g_error_free(fault);
        else
            first = fault;
    }
    if (first)
        g_propagate_error(error, first);
    return !first;
}

/* The recovery points, and the files that none of them needs. */
static gboolean verify(const struct opened_machine *opened, const struct manifest *manifest,
                       const struct verify_options *options, GError **error)
{
    g_autoptr(GError) fault = NULL;
    gboolean proven = options->all ? verify_all(opened, options, &fault)
                                   : verify_one(opened, manifest, options, NULL, &fault);
    gboolean whole = store_machine_check_files(opened->machine, proven ? &fault : NULL);
    if (proven && whole)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&fault));
    return FALSE;
}

static gboolean rebuild(const struct opened_machine *opened, const struct manifest *latest,
                        const struct verify_options *options, GError **error)
{
    struct progress *progress = progress_new(options->as_json);
    struct verify_observer observer = {progress, on_progress};
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < latest->disks->len; i++)
        ok = verify_rebuild_block_map(opened->machine, latest->disks->pdata[i], &observer,
                                      command_cancelled(), error);
    progress_free(progress);
    return ok;
}

static gboolean run(const char *folder, const char *name, const struct verify_options *options,
                    GError **error)
{
    struct opened_machine opened;
    enum store_mode mode = options->rebuild ? STORE_WRITE : STORE_READ;
    if (!opened_machine_open(&opened, folder, name, mode, error))
        return FALSE;
    struct manifest *manifest = opened_machine_point(&opened, (guint64)options->number, error);
    gboolean ok = manifest != NULL;
    if (ok && options->rebuild)
        ok = rebuild(&opened, store_machine_latest(opened.machine), options, error);
    ok = ok && verify(&opened, manifest, options, error);
    opened_machine_close(&opened);
    return ok;
}

int command_store_verify(int argc, char **argv)
{
    struct verify_options options = {0};
    const GOptionEntry entries[] = {
        {"recovery-point", 0, 0, G_OPTION_ARG_INT64, &options.number,
         "Which one (default: the latest)", "N"},
        {"all", 0, 0, G_OPTION_ARG_NONE, &options.all, "Every recovery point", NULL},
        {"rebuild-block-map", 0, 0, G_OPTION_ARG_NONE, &options.rebuild,
         "First make new block maps from the latest recovery point, if it is proven", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.as_json, "Print JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    if (!command_parse(&argc, &argv, entries, NULL,
                       "STORE MACHINE - prove a recovery point against its root hashes", 2, 2,
                       &error))
        return command_failed(error, options.as_json);
    if (options.number < 0)
        landfall_error_set(&error, LANDFALL_ERROR_CONFIG, NULL,
                           "--recovery-point takes a number from 1");
    else if (options.number && options.all)
        landfall_error_set(&error, LANDFALL_ERROR_CONFIG, NULL,
                           "give --recovery-point or --all, not both");
    if (!error && run(argv[1], argv[2], &options, &error))
        return EXIT_OK;
    return command_failed(error, options.as_json);
}
