/* SPDX-License-Identifier: Apache-2.0 */

/* What a cycle's child is told: the snapshot's disks, and what they are compared with. */

#include "appliance/cycle/machine-cycle-private.h"
#include "base/json.h"

#define LOCAL_RECONNECT_SECONDS 2u

static const char *const consistency_names[] = {
    [SNAPSHOT_CRASH] = "crash",
    [SNAPSHOT_FILESYSTEM] = "filesystem",
    [SNAPSHOT_SHUTDOWN] = "shutdown",
    [SNAPSHOT_OFF] = "crash",
};

/* Who has forced it off knows better than libvirt, which may have seen QEMU end in order. */
const char *machine_cycle_consistency(const struct machine_cycle *cycle)
{
    enum snapshot_consistency consistency = snapshot_consistency(cycle->snapshot);
    gboolean forced = cycle->options->forced_off && consistency == SNAPSHOT_SHUTDOWN;
    return consistency_names[forced ? SNAPSHOT_CRASH : consistency];
}

/* What is needed to define the machine again, kept in machine.json. */
static JsonObject *describe(const struct machine_cycle *cycle)
{
    JsonObject *object = json_object_new();
    json_set_optional_string(object, "host", cycle->options->host_uri);
    if (cycle->machine)
        json_object_set_string_member(object, "domain_xml", snapshot_machine_xml(cycle->machine));
    return object;
}

/* Why there is no bitmap: the snapshot room knows only that no checkpoint was asked for. */
static void take_demotion(const struct machine_cycle *cycle, const struct snapshot_disk *disk,
                          struct work_disk *entry)
{
    const struct manifest *base = machine_cycle_base(cycle);
    if (base && g_strcmp0(disk->demotion_cause, SNAPSHOT_CAUSE_NO_CHECKPOINT) == 0 &&
        !manifest_disk_find(base, disk->name)) {
        entry->demotion_cause = g_strdup("disk-was-away");
        entry->demotion_detail = g_strdup("the latest recovery point does not have this disk");
        return;
    }
    entry->demotion_cause = g_strdup(disk->demotion_cause);
    entry->demotion_detail = g_strdup(disk->demotion_detail);
}

struct work *machine_cycle_work(const struct machine_cycle *cycle)
{
    const struct machine_cycle_options *options = cycle->options;
    const GPtrArray *disks = snapshot_disks(cycle->snapshot);
    const struct manifest *base = machine_cycle_base(cycle);
    struct work *work = work_new();
    work->store = g_strdup(cycle->store->path);
    work->machine = g_strdup(cycle->key);
    work->machine_name =
        g_strdup(cycle->machine ? snapshot_machine_name(cycle->machine) : cycle->key);
    work->describe = describe(cycle);
    g_free(work->consistency);
    work->consistency = g_strdup(machine_cycle_consistency(cycle));
    work->checkpoint = g_strdup(snapshot_checkpoint(cycle->snapshot));
    work->bitmap_since = g_strdup(base ? base->checkpoint : NULL);
    work->bandwidth = options->bandwidth;
    work->retain = options->retain;
    work->audit_blocks = options->audit_blocks;
    work->full_scan = options->full_scan;
    work->verify = options->verify;
    work->confirm = TRUE;
    for (guint i = 0; i < disks->len; i++) {
        const struct snapshot_disk *disk = disks->pdata[i];
        struct work_disk *entry = work_add_disk(work, disk->name);
        entry->source.uri = g_strdup(disk->nbd_uri);
        entry->source.command = g_strdupv(disk->nbd_command);
        /* On this host QEMU itself is the server, and the path to it does not break by itself. */
        if (cycle->machine && !disk->nbd_command)
            work->reconnect_seconds = LOCAL_RECONNECT_SECONDS;
        entry->bitmap = g_strdup(disk->bitmap);
        entry->images = g_strdupv(disk->images);
        take_demotion(cycle, disk, entry);
    }
    return work;
}
