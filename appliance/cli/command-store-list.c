/* SPDX-License-Identifier: Apache-2.0 */

/* landfall store list: the daemon's stores; machines of a store, or the recovery points of one. */

#include "appliance/cli/command.h"
#include "appliance/cli/connection.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/text.h"
#include "appliance/cycle/opened-machine.h"
#include "base/json.h"
#include "replicator/store-hold.h"

#include <stdio.h>

static void add_machine_row(struct text_table *table, const struct store_machine *machine)
{
    const struct manifest *latest = store_machine_latest(machine);
    g_autofree char *count = g_strdup_printf("%u", machine->manifests->len);
    g_autofree char *created = text_time(latest ? latest->created : "-");
    const char *cells[] = {latest ? latest->machine_name : "-", machine->key, count, created, NULL};
    text_table_row(table, cells);
}

static void add_machine_json(JsonArray *array, const struct store_machine *machine)
{
    const struct manifest *latest = store_machine_latest(machine);
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "machine", machine->key);
    json_set_optional_string(object, "name", latest ? latest->machine_name : NULL);
    json_object_set_int_member(object, "recovery_points", machine->manifests->len);
    json_set_optional_string(object, "latest", latest ? latest->created : NULL);
    json_array_add_object_element(array, object);
}

static void print_json(const char *name, JsonArray *array)
{
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_array_member(object, name, array);
    g_autofree char *text = json_object_to_text(object, TRUE);
    printf("%s\n", text);
}

static gboolean list_machines(const char *folder, gboolean as_json, GError **error)
{
    static const char *const titles[] = {"name", "machine", "recovery points", "latest", NULL};
    static const gboolean right[] = {FALSE, FALSE, TRUE, FALSE};
    struct store *store = store_open(folder, FALSE, error);
    g_autoptr(GPtrArray) keys = store ? store_list_machines(store, error) : NULL;
    struct text_table *table = keys && !as_json ? text_table_new(titles, right) : NULL;
    JsonArray *array = keys && as_json ? json_array_new() : NULL;
    gboolean ok = keys != NULL;
    for (guint i = 0; ok && i < keys->len; i++) {
        struct store_machine *machine =
            store_machine_open(store, keys->pdata[i], STORE_READ, NULL, error);
        ok = machine != NULL;
        if (ok && as_json)
            add_machine_json(array, machine);
        else if (ok)
            add_machine_row(table, machine);
        store_machine_free(machine);
    }
    if (table)
        text_table_print(table);
    if (array)
        print_json("machines", array);
    store_free(store);
    return ok;
}

/* The operations that hold the recovery point, "12, 14"; the caller owns the text. */
static char *owners_of(const GPtrArray *holds, const struct manifest *manifest)
{
    g_autoptr(GString) owners = g_string_new(NULL);
    for (guint i = 0; i < holds->len; i++) {
        const struct store_hold *hold = holds->pdata[i];
        if (hold->number == manifest->number)
            g_string_append_printf(owners, "%s%s", owners->len ? ", " : "", hold->owner);
    }
    return g_string_free(g_steal_pointer(&owners), FALSE);
}

static JsonObject *point_to_json(const struct manifest *manifest, const GPtrArray *holds)
{
    JsonObject *object = manifest_to_json(manifest);
    g_autofree char *owners = owners_of(holds, manifest);
    json_set_optional_string(object, "held_by", *owners ? owners : NULL);
    return object;
}

static void add_point_rows(struct text_table *table, const struct manifest *manifest,
                           const GPtrArray *holds)
{
    g_autofree char *owners = owners_of(holds, manifest);
    for (guint i = 0; i < manifest->disks->len; i++) {
        const struct manifest_disk *disk = manifest->disks->pdata[i];
        g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, manifest->number);
        g_autofree char *created = text_time(manifest->created);
        g_autofree char *size = text_bytes(disk->size_bytes);
        g_autofree char *sent = text_bytes(disk->figures.sent_bytes);
        g_autofree char *root = block_hash_to_hex(&disk->root_hash);
        const char *cells[] = {i ? "" : number,
                               i ? "" : created,
                               i ? "" : manifest->consistency,
                               disk->name,
                               size,
                               scan_mode_name(disk->mode),
                               sent,
                               disk->demotion_cause ? disk->demotion_cause : "",
                               root,
                               holds->len == 0 ? NULL
                               : i             ? ""
                                               : owners,
                               NULL};
        text_table_row(table, cells);
    }
}

/* Whose machines stand on them is told where there are any. */
static void print_points(const GPtrArray *manifests, const GPtrArray *holds)
{
    const char *const titles[] = {
        "no.",  "created", "consistency", "disk",      "size",
        "mode", "sent",    "demotion",    "root hash", holds->len ? "held by" : NULL,
        NULL};
    static const gboolean right[] = {TRUE,  FALSE, FALSE, FALSE, TRUE,
                                     FALSE, TRUE,  FALSE, FALSE, FALSE};
    struct text_table *table = text_table_new(titles, right);
    for (guint i = 0; i < manifests->len; i++)
        add_point_rows(table, manifests->pdata[i], holds);
    text_table_print(table);
}

static gboolean list_points(const char *folder, const char *name, gboolean as_json, GError **error)
{
    struct opened_machine opened;
    if (!opened_machine_open(&opened, folder, name, STORE_READ, error))
        return FALSE;
    const GPtrArray *manifests = opened.machine->manifests;
    g_autoptr(GPtrArray) holds = store_holds_list(opened.machine, error);
    if (holds && as_json) {
        JsonArray *array = json_array_new();
        for (guint i = 0; i < manifests->len; i++)
            json_array_add_object_element(array, point_to_json(manifests->pdata[i], holds));
        print_json("recovery_points", array);
    } else if (holds) {
        print_points(manifests, holds);
    }
    opened_machine_close(&opened);
    return holds != NULL;
}

int command_store_list(int argc, char **argv)
{
    gboolean as_json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &as_json, "Print JSON", NULL},
                                    G_OPTION_ENTRY_NULL};
    g_autoptr(GError) error = NULL;
    if (!command_parse(
            &argc, &argv, entries, connection_options(),
            "[STORE [MACHINE]] - list the daemon's stores, or what the store in a folder holds", 0,
            2, &error))
        return command_failed(error, as_json);
    gboolean ok = argc == 1   ? store_list_of_daemon(as_json, &error)
                  : argc == 2 ? list_machines(argv[1], as_json, &error)
                              : list_points(argv[1], argv[2], as_json, &error);
    return ok ? EXIT_OK : command_failed(error, as_json);
}
