/* SPDX-License-Identifier: Apache-2.0 */

/* landfall store export: write a disk of a recovery point as one image file, by qemu-img. */

#include "appliance/cli/command.h"
#include "appliance/cycle/opened-machine.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/store-name.h"
#include "replicator/store-retention.h"

#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const formats[] = {"raw", "qcow2", "vmdk", "vpc", NULL};

struct export_options {
    gint64 number; /* 0: the latest */
    char *disk;
    char *format;
    gboolean force;
    gboolean as_json;
};

static struct manifest_disk *find_disk(const struct manifest *manifest, const char *name,
                                       GError **error)
{
    struct manifest_disk *disk =
        name ? manifest_disk_find(manifest, name)
             : (manifest->disks->len == 1 ? manifest->disks->pdata[0] : NULL);
    if (disk)
        return disk;
    g_autoptr(GString) names = g_string_new("the disks are:");
    for (guint i = 0; i < manifest->disks->len; i++)
        g_string_append_printf(names, " %s",
                               ((struct manifest_disk *)manifest->disks->pdata[i])->name);
    if (name)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, names->str,
                           "recovery point %" G_GUINT64_FORMAT " has no disk '%s'",
                           manifest->number, name);
    else
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, names->str,
                           "the machine has several disks: name one with --disk");
    return NULL;
}

/* qemu-img writes beside the target; only a complete image gets its name. Left alone, it rounds the
 * size of a vpc image up to whole cylinders, and a GPT wants its second copy at the disk's end. */
static gboolean convert(const char *layer, const char *target, const struct export_options *options,
                        GError **error)
{
    g_autoptr(GError) cause = NULL;
    gboolean raw = strcmp(layer + strlen(layer) - strlen(BASE_NAME), BASE_NAME) == 0;
    gboolean show = !options->as_json && isatty(STDOUT_FILENO) == 1;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_add_many(builder, "qemu-img", "convert", "-W", "-f", raw ? "raw" : "qcow2", "-O",
                            options->format, NULL);
    if (strcmp(options->format, "vpc") == 0)
        g_strv_builder_add_many(builder, "-o", "force_size=on", NULL);
    if (show)
        g_strv_builder_add(builder, "-p");
    g_strv_builder_add_many(builder, layer, target, NULL);
    g_auto(GStrv) arguments = g_strv_builder_end(builder);
    g_autoptr(GSubprocess) process =
        g_subprocess_newv((const char *const *)arguments, G_SUBPROCESS_FLAGS_NONE, &cause);
    if (!process) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "install qemu-utils",
                           "cannot start qemu-img: %s", cause->message);
        return FALSE;
    }
    const char *pid = g_subprocess_get_identifier(process);
    command_forward_signals((int)g_ascii_strtoll(pid ? pid : "0", NULL, 10));
    gboolean ok = g_subprocess_wait_check(process, NULL, &cause);
    command_forward_signals(0);
    if (ok)
        return TRUE;
    if (g_atomic_int_get(command_cancelled()))
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
    else
        landfall_error_set(error, LANDFALL_ERROR_REPLICA, "qemu-img said above what is wrong",
                           "qemu-img convert failed: %s", cause->message);
    return FALSE;
}

static gboolean export_disk(const struct opened_machine *opened, const struct manifest *manifest,
                            const struct manifest_disk *disk, const struct export_options *options,
                            const char *file, GError **error)
{
    if (!options->force && g_file_test(file, G_FILE_TEST_EXISTS)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "name another file, or give --force",
                           "%s is there already", file);
        return FALSE;
    }
    struct store_pin *pin = store_pin_take(opened->machine, manifest->number, error);
    if (!pin)
        return FALSE;
    const struct manifest_disk *held = manifest_disk_find(store_pin_manifest(pin), disk->name);
    g_autofree char *layer = store_machine_disk_file(opened->machine, held->name, held->layer);
    g_autofree char *partial = g_strconcat(file, ".part", NULL);
    gboolean ok = convert(layer, partial, options, error);
    if (ok && rename(partial, file) < 0) {
        landfall_error_set(error, LANDFALL_ERROR_REPLICA, NULL, "cannot rename %s to %s", partial,
                           file);
        ok = FALSE;
    }
    if (!ok)
        unlink(partial);
    store_pin_free(pin);
    return ok;
}

static void print_json(const struct manifest *manifest, const struct manifest_disk *disk,
                       const char *file, const char *format)
{
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_int_member(object, "number", (gint64)manifest->number);
    json_object_set_string_member(object, "disk", disk->name);
    json_object_set_string_member(object, "file", file);
    json_object_set_string_member(object, "format", format);
    g_autofree char *text = json_object_to_text(object, FALSE);
    printf("%s\n", text);
}

static gboolean run(char **arguments, const struct export_options *options, GError **error)
{
    struct opened_machine opened;
    if (!opened_machine_open(&opened, arguments[1], arguments[2], STORE_READ, error))
        return FALSE;
    struct manifest *manifest = opened_machine_point(&opened, (guint64)options->number, error);
    const struct manifest_disk *disk = manifest ? find_disk(manifest, options->disk, error) : NULL;
    gboolean ok = disk && export_disk(&opened, manifest, disk, options, arguments[3], error);
    if (ok && options->as_json)
        print_json(manifest, disk, arguments[3], options->format);
    else if (ok)
        printf("recovery point %" G_GUINT64_FORMAT ", disk %s: written to %s (%s)\n",
               manifest->number, disk->name, arguments[3], options->format);
    opened_machine_close(&opened);
    return ok;
}

static gboolean check_options(struct export_options *options, GError **error)
{
    if (!options->format)
        options->format = g_strdup("raw");
    if (options->number < 0)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "--recovery-point takes a number from 1");
    else if (!g_strv_contains(formats, options->format))
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use raw, qcow2, vmdk or vpc",
                           "'%s' is not a format to export to", options->format);
    else
        return TRUE;
    return FALSE;
}

int command_store_export(int argc, char **argv)
{
    struct export_options options = {0};
    const GOptionEntry entries[] = {
        {"recovery-point", 0, 0, G_OPTION_ARG_INT64, &options.number,
         "Which one (default: the latest)", "N"},
        {"disk", 0, 0, G_OPTION_ARG_STRING, &options.disk,
         "Which disk (may be left out when there is one)", "DISK"},
        {"format", 0, 0, G_OPTION_ARG_STRING, &options.format, "raw (default), qcow2, vmdk or vpc",
         "FORMAT"},
        {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, "Replace an existing file", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.as_json, "Print JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    gboolean ok = command_parse(&argc, &argv, entries, NULL,
                                "STORE MACHINE FILE - write a disk of a recovery point as an image",
                                3, 3, &error) &&
                  check_options(&options, &error) && run(argv, &options, &error);
    command_clear(entries);
    return ok ? EXIT_OK : command_failed(error, options.as_json);
}
