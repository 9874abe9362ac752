/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/store-hand-over.h"
#include "base/json.h"
#include "replicator/sealed-json.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"
#include "replicator/store-recover.h"

#include <string.h>

#define MARK_FILE "handed-over.json"

static const struct sealed_kind mark_kind = {
    .noun = "note of a hand-over",
    .format = "landfall-handed-over",
    .version = 1,
    .hint = "a machine may run on the disks beside it: leave them alone, and bring the file back "
            "from a backup",
};

gboolean store_hand_over_check(const char *machine_path, GError **error)
{
    g_autofree char *path = g_build_filename(machine_path, MARK_FILE, NULL);
    const char *name = NULL, *target = NULL, *at = NULL;
    gboolean exists;
    if (!store_file_exists(path, &exists, error))
        return FALSE;
    if (!exists)
        return TRUE;
    g_autoptr(JsonObject) mark = sealed_json_load(path, &mark_kind, error);
    if (!mark || !json_member_string(mark, "machine_name", LANDFALL_ERROR_CORRUPT, &name, error) ||
        !json_member_string(mark, "target", LANDFALL_ERROR_CORRUPT, &target, error) ||
        !json_member_string(mark, "at", LANDFALL_ERROR_CORRUPT, &at, error))
        return FALSE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "replicate it into another store: these disks are the machine's own now",
                       "machine %s was moved to %s, and its replica in %s handed over at %s", name,
                       target, machine_path, at);
    return FALSE;
}

gboolean store_hand_over_mark(const struct store_machine *machine, const char *state,
                              const struct store_hand_over *who, GError **error)
{
    g_autofree char *path = g_build_filename(machine->path, MARK_FILE, NULL);
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *at = g_date_time_format_iso8601(now);
    g_autoptr(JsonObject) mark = json_object_new();
    g_assert(machine->lock);
    json_object_set_string_member(mark, "state", state);
    json_object_set_string_member(mark, "machine_name", who->machine_name);
    json_object_set_string_member(mark, "target", who->target);
    json_object_set_string_member(mark, "operation", who->operation);
    json_object_set_string_member(mark, "at", at);
    return sealed_json_write(path, &mark_kind, mark, error);
}

static gboolean is_replicas(const char *name)
{
    guint64 number;
    return strcmp(name, BLOCK_MAP_NAME) == 0 || strcmp(name, BLOCK_MAP_NAME ".tmp") == 0 ||
           store_name_parse_number(name, ".qcow2", &number) ||
           store_name_parse_number(name, ".journal", &number);
}

static gboolean remove_of_disk(const struct store_machine *machine, const char *disk,
                               guint *ret_count, GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, disk);
    g_autoptr(GPtrArray) names = store_folder_list(folder, error);
    for (guint i = 0; names && i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        if (!is_replicas(names->pdata[i]))
            continue;
        if (!store_file_remove(path, error))
            return FALSE;
        *ret_count += 1;
    }
    return names != NULL;
}

gboolean store_hand_over_remove_layers(const struct store_machine *machine, guint *ret_count,
                                       GError **error)
{
    g_autoptr(GPtrArray) disks = store_disk_folders(machine, error);
    g_assert(machine->lock && machine->manifests->len == 0);
    for (guint i = 0; disks && i < disks->len; i++)
        if (!remove_of_disk(machine, disks->pdata[i], ret_count, error))
            return FALSE;
    return disks != NULL;
}
