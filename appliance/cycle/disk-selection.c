/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/disk-selection.h"
#include "appliance/cycle/churn.h"
#include "base/error.h"

#include <string.h>

static gboolean is_excluded(const char *const *excluded, const char *disk)
{
    return excluded && g_strv_contains(excluded, disk);
}

gboolean disk_selection_check(const struct snapshot_machine *machine, const char *const *excluded,
                              GError **error)
{
    const GPtrArray *disks = snapshot_machine_disks(machine);
    for (const char *const *name = excluded; name && *name; name++) {
        gboolean found = FALSE;
        g_autoptr(GString) names = g_string_new("the machine's disks are:");
        for (guint i = 0; i < disks->len; i++) {
            const struct snapshot_machine_disk *disk = disks->pdata[i];
            found = found || strcmp(disk->name, *name) == 0;
            g_string_append_printf(names, " %s", disk->name);
        }
        if (!found) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG, names->str,
                               "--exclude-disk: the machine has no disk '%s'", *name);
            return FALSE;
        }
    }
    return TRUE;
}

/* Whether the disk is to be replicated. A disk with data that cannot be is an error until the
 * operator excludes it: a machine without one of its disks is no replica. */
static gboolean wants_disk(const char *const *excluded, const struct snapshot_machine_disk *disk,
                           gboolean *ret_wanted, GError **error)
{
    *ret_wanted = FALSE;
    if (is_excluded(excluded, disk->name))
        return TRUE;
    if (disk->unsupported_reason && !disk->removable) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "leave it out with --exclude-disk, and copy it by other means",
                           "disk %s cannot be replicated: %s", disk->name,
                           disk->unsupported_reason);
        return FALSE;
    }
    *ret_wanted = !disk->unsupported_reason;
    return TRUE;
}

static void plan_disk(const struct store_machine *replicas, const char *name,
                      struct snapshot_plan_disk *ret_plan)
{
    const struct manifest *manifest = store_machine_latest_with_disk(replicas, name);
    const struct manifest_disk *disk = manifest ? manifest_disk_find(manifest, name) : NULL;
    *ret_plan = (struct snapshot_plan_disk){
        .name = g_strdup(name),
        .replica_size_bytes = disk ? disk->size_bytes : 0,
        .base_checkpoint =
            manifest && manifest == store_machine_latest(replicas) ? manifest->checkpoint : NULL,
        .churn_bytes = churn_expect(replicas, name),
        .base_images = disk ? (const char *const *)disk->images : NULL,
    };
}

static void plan_disk_clear(gpointer plan)
{
    g_free((char *)((struct snapshot_plan_disk *)plan)->name);
}

GArray *disk_selection_plan(const struct snapshot_machine *machine, const char *const *excluded,
                            const struct store_machine *replicas, GError **error)
{
    const GPtrArray *disks = snapshot_machine_disks(machine);
    GArray *plans = g_array_new(FALSE, FALSE, sizeof(struct snapshot_plan_disk));
    g_array_set_clear_func(plans, plan_disk_clear);
    for (guint i = 0; i < disks->len; i++) {
        const struct snapshot_machine_disk *disk = disks->pdata[i];
        struct snapshot_plan_disk plan;
        gboolean wanted;
        if (!wants_disk(excluded, disk, &wanted, error)) {
            g_array_unref(plans);
            return NULL;
        }
        if (!wanted)
            continue;
        plan_disk(replicas, disk->name, &plan);
        g_array_append_val(plans, plan);
    }
    if (plans->len > 0)
        return plans;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "exclude fewer disks; optical and floppy drives are left out anyway",
                       "the machine has no disk to replicate");
    g_array_unref(plans);
    return NULL;
}
