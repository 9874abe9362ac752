/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a snapshot: check the plan, wake a machine that is off, decide about each disk, then
 * freeze → virDomainBackupBegin → thaw. Whatever fails on the way, nothing stays on the host. */
#include "snapshot/fence.h"
#include "snapshot/snapshot-private.h"

#include <string.h>

static void snapshot_disk_free(struct snapshot_disk *disk)
{
    g_free(disk->name);
    g_free(disk->nbd_uri);
    g_strfreev(disk->nbd_command);
    g_free(disk->bitmap);
    g_free(disk->demotion_cause);
    g_free(disk->demotion_detail);
    g_strfreev(disk->images);
    g_free(disk);
}

struct snapshot *snapshot_new(struct snapshot_machine *machine, const char *store_id)
{
    struct snapshot *snapshot = g_new0(struct snapshot, 1);
    snapshot->machine = machine;
    snapshot->store_id = g_strdup(store_id);
    snapshot->disks = g_ptr_array_new_with_free_func((GDestroyNotify)snapshot_disk_free);
    snapshot->scratch = g_ptr_array_new_with_free_func(g_free);
    snapshot->warnings = g_ptr_array_new_with_free_func(g_free);
    return snapshot;
}

static gboolean check_plan(const struct snapshot_machine *machine, const struct snapshot_plan *plan,
                           GError **error)
{
    if (!snapshot_store_id_check(plan->store_id, error))
        return FALSE;
    if (plan->disk_count == 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "choose at least one disk",
                           "machine %s: no disk is left to snapshot", machine->name);
        return FALSE;
    }
    for (gsize i = 0; i < plan->disk_count; i++) {
        const struct machine_disk *disk = snapshot_machine_find_disk(machine, plan->disks[i].name);
        if (disk && !disk->public.unsupported_reason)
            continue;
        landfall_error_set(
            error, LANDFALL_ERROR_CONFIG, "leave the disk out, or choose another one",
            "machine %s: disk %s cannot be snapshotted: %s", machine->name, plan->disks[i].name,
            disk ? disk->public.unsupported_reason : "the machine has no such disk");
        return FALSE;
    }
    return TRUE;
}

static gboolean start_paused(struct snapshot *snapshot, GError **error)
{
    gint64 begun_us = g_get_monotonic_time();
    snapshot->started_paused = snapshot_paused_start(snapshot->machine, snapshot->store_id, error);
    snapshot->paused_start_ms = (guint)((g_get_monotonic_time() - begun_us) / 1000);
    return snapshot->started_paused;
}

/* libvirt forgets how a machine went off when it is restarted itself, and we destroy what we have
 * started to read. It may have taken a SIGTERM from somebody else for a shutdown of the guest's. */
static enum snapshot_consistency consistency_off(const struct snapshot_machine *machine)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    gboolean shut_down = virDomainGetState(machine->domain, &state, &reason, 0) == 0 &&
                         state == VIR_DOMAIN_SHUTOFF && reason == VIR_DOMAIN_SHUTOFF_SHUTDOWN;
    return shut_down ? SNAPSHOT_SHUTDOWN : SNAPSHOT_OFF;
}

static gboolean ask_active(struct snapshot *snapshot, const struct snapshot_plan *plan,
                           gboolean *ret_active, GError **error)
{
    struct snapshot_machine *machine = snapshot->machine;
    if (!snapshot_machine_revive(machine, error) ||
        !snapshot_machine_ask_active(machine, ret_active, error))
        return FALSE;
    if (!*ret_active)
        snapshot->consistency = consistency_off(machine);
    if (!*ret_active || !plan->off)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "shut it down first: what it writes after the last cycle would be lost",
                       "machine %s is running", machine->name);
    return FALSE;
}

/* The machine is active when this returns, and its disks are known as they run. */
static gboolean wake(struct snapshot *snapshot, gboolean active, GError **error)
{
    struct snapshot_machine *machine = snapshot->machine;
    if (!active && !start_paused(snapshot, error))
        return FALSE;
    if (!snapshot_machine_refresh(machine, error) || !snapshot_job_check_others(machine, error))
        return FALSE;
    for (guint i = 0; i < machine->stale_checkpoints->len; i++)
        if (!snapshot_checkpoint_delete(machine, machine->stale_checkpoints->pdata[i], error))
            return FALSE;
    g_ptr_array_set_size(machine->stale_checkpoints, 0);
    return TRUE;
}

/* One try. ret_code is libvirt's error code on failure. */
static gboolean try_begin(struct snapshot *snapshot, const struct snapshot_plan *plan,
                          const GPtrArray *decisions, const char *stem, int *ret_code,
                          GError **error)
{
    struct snapshot_machine *machine = snapshot->machine;
    g_autofree char *backup = snapshot_backup_xml(machine, decisions, snapshot->socket_path);
    g_autofree char *checkpoint = snapshot_checkpoint_xml(machine, decisions, stem);
    g_free(snapshot->checkpoint);
    snapshot->checkpoint = checkpoint ? g_strdup(stem) : NULL;

    struct freeze *freeze = plan->freeze && !snapshot->started_paused
                                ? snapshot_freeze(machine, plan, snapshot->warnings)
                                : NULL;
    gboolean begun = virDomainBackupBegin(machine->domain, backup, checkpoint, 0) == 0;
    if (!begun) {
        g_autofree char *socket_dir = g_path_get_dirname(snapshot->socket_path);
        g_autofree char *scratch_dir = g_path_get_dirname(snapshot->scratch->pdata[0]);
        g_autofree char *hint = g_strdup_printf(
            "QEMU on the host, which AppArmor or SELinux may confine, must be able to make a "
            "socket in %s and scratch images in %s; both folders can be set",
            socket_dir, scratch_dir);
        *ret_code = virGetLastErrorCode();
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, hint,
                                   "machine %s: the snapshot was refused", machine->name);
    }
    gboolean stood_still = snapshot_thaw(&freeze, snapshot->warnings);
    snapshot->unthawed = freeze;
    if (!snapshot->started_paused)
        snapshot->consistency = stood_still ? SNAPSHOT_FILESYSTEM : SNAPSHOT_CRASH;
    return begun;
}

/* After a refusal: takes back what a disk's image may be at fault for. A bitmap may have broken
 * since it was judged; an image may be unable to store one (qcow2 of version 2, no room for a
 * further bitmap). TRUE when another try makes sense. */
static gboolean reconsider(struct snapshot *snapshot, GPtrArray *decisions, const char *stem,
                           int code, const char *reason)
{
    gboolean changed = FALSE;
    gboolean blame_bitmaps =
        code == VIR_ERR_CHECKPOINT_INCONSISTENT || code == VIR_ERR_NO_DOMAIN_CHECKPOINT;
    for (guint i = 0; i < decisions->len; i++) {
        struct disk_decision *decision = decisions->pdata[i];
        if (blame_bitmaps && decision->incremental) {
            g_clear_pointer(&decision->incremental, g_free);
            decision->cause = g_strdup(SNAPSHOT_CAUSE_BITMAP_BROKEN);
            decision->detail = g_strdup(reason);
            changed = TRUE;
        }
        if (blame_bitmaps || !decision->checkpoint)
            continue;
        g_autofree char *refusal =
            snapshot_checkpoint_probe(snapshot->machine, stem, decision->disk->public.name);
        if (!refusal)
            continue;
        decision->checkpoint = FALSE;
        changed = TRUE;
        g_ptr_array_add(snapshot->warnings,
                        g_strdup_printf("disk %s: its image can carry no checkpoint (%s); the next "
                                        "cycle has to read all of it",
                                        decision->disk->public.name, refusal));
    }
    return changed;
}

/* Makes sure that nothing of a failed try is left. libvirt may have made the checkpoint, or have
 * the job running, though it refused. */
static gboolean undo_try(struct snapshot *snapshot, GError **error)
{
    if (!snapshot_let_go(snapshot, error))
        return FALSE;
    if (snapshot->checkpoint &&
        !snapshot_checkpoint_delete(snapshot->machine, snapshot->checkpoint, error))
        return FALSE;
    g_clear_pointer(&snapshot->checkpoint, g_free);
    return TRUE;
}

static gboolean take(struct snapshot *snapshot, const struct snapshot_plan *plan,
                     GPtrArray *decisions, const char *stem, GError **error)
{
    int code = VIR_ERR_OK;
    g_autoptr(GError) refusal = NULL;
    if (try_begin(snapshot, plan, decisions, stem, &code, &refusal))
        return TRUE;
    /* A guest that did not thaw is not frozen a second time. */
    if (snapshot->unthawed) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return FALSE;
    }
    if (code != VIR_ERR_OPERATION_TIMEOUT && code != VIR_ERR_RPC && undo_try(snapshot, NULL) &&
        reconsider(snapshot, decisions, stem, code, refusal->message)) {
        g_clear_error(&refusal);
        if (try_begin(snapshot, plan, decisions, stem, &code, &refusal))
            return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&refusal));
    return FALSE;
}

static void fill_disks(struct snapshot *snapshot, const GPtrArray *decisions)
{
    for (guint i = 0; i < decisions->len; i++) {
        const struct disk_decision *decision = decisions->pdata[i];
        struct snapshot_disk *disk = g_new0(struct snapshot_disk, 1);
        disk->name = g_strdup(decision->disk->public.name);
        disk->size_bytes = decision->size_bytes;
        disk->demotion_cause = g_strdup(decision->cause);
        disk->demotion_detail = g_strdup(decision->detail);
        disk->images = g_strdupv(decision->images);
        if (decision->incremental)
            disk->bitmap = g_strdup("qemu:dirty-bitmap:" SNAPSHOT_EXPORT_BITMAP);
        snapshot_endpoint_fill(snapshot->machine->host, snapshot->socket_path, disk);
        g_ptr_array_add(snapshot->disks, disk);
    }
}

static gboolean begin(struct snapshot *snapshot, const struct snapshot_plan *plan, GError **error)
{
    struct snapshot_machine *machine = snapshot->machine;
    gboolean active = FALSE;
    if (!ask_active(snapshot, plan, &active, error))
        return FALSE;
    if (!active && plan->off && virDomainHasManagedSaveImage(machine->domain, 0) == 0 &&
        snapshot_offline_begin(snapshot, plan))
        return TRUE;
    if (!wake(snapshot, active, error) || !check_plan(machine, plan, error))
        return FALSE;
    g_autofree char *stem = snapshot_stem_new(machine, plan->store_id, plan->number);
    g_autoptr(GPtrArray) decisions = snapshot_decide(machine, plan, stem);
    g_autofree char *socket = snapshot_socket_name(machine, plan->store_id);
    g_autofree char *folder = snapshot_socket_dir(machine, plan->socket_dir, strlen(socket));
    if (!snapshot_endpoint_fits(folder, socket, error))
        return FALSE;
    for (guint i = 0; i < decisions->len; i++) {
        const struct disk_decision *decision = decisions->pdata[i];
        if (!snapshot->lost && decision->cause && decision->checkpoint)
            snapshot->lost = g_strdupv((GStrv)plan->past);
        g_ptr_array_add(snapshot->scratch, g_strdup(decision->scratch_path));
    }
    snapshot->socket_path = g_build_filename(folder, socket, NULL);
    snapshot->scratch_watch =
        snapshot_scratch_watch_start(machine, plan, decisions, snapshot->warnings, error);
    if (!snapshot->scratch_watch || !take(snapshot, plan, decisions, stem, error) ||
        !snapshot_scratch_watch_check(snapshot->scratch_watch, error) ||
        !snapshot_endpoint_check(machine->host, snapshot->socket_path, error))
        return FALSE;
    fill_disks(snapshot, decisions);
    return TRUE;
}

struct snapshot *snapshot_begin(struct snapshot_machine *machine, const struct snapshot_plan *plan,
                                GError **error)
{
    /* Before anything is started for it. */
    if (!snapshot_fence_check(machine->domain, machine->name, error) ||
        !check_plan(machine, plan, error))
        return NULL;
    struct snapshot *snapshot = snapshot_new(machine, plan->store_id);
    if (begin(snapshot, plan, error))
        return snapshot;
    snapshot_free(snapshot);
    return NULL;
}
