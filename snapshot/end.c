/* SPDX-License-Identifier: Apache-2.0 */
/* The way out of a snapshot. Letting go of the guest comes first and can be repeated; the fate of
 * the checkpoints is decided after it; a machine started paused is stopped last, because bitmaps
 * can be deleted in a running QEMU alone. */
#include "snapshot/snapshot-private.h"

gboolean snapshot_let_go(struct snapshot *snapshot, GError **error)
{
    struct snapshot_machine *machine = snapshot->machine;
    if (!snapshot_machine_revive(machine, error))
        return FALSE;
    gboolean active = FALSE;
    if (!snapshot_machine_ask_active(machine, &active, error))
        return FALSE;
    enum job_owner owner = JOB_NONE;
    if (active && !snapshot_job_find(machine, snapshot->store_id, &owner, NULL, NULL, error))
        return FALSE;
    /* A foreign job in our place: somebody ended ours and began his own. */
    if (owner == JOB_OURS && !snapshot_job_end(machine, error))
        return FALSE;
    for (guint i = 0; i < snapshot->scratch->len; i++)
        if (!snapshot_file_remove(machine->host, snapshot->scratch->pdata[i], NULL, error))
            return FALSE;
    return !snapshot->socket_path ||
           snapshot_file_remove(machine->host, snapshot->socket_path, NULL, error);
}

static void stop_watching(struct snapshot *snapshot)
{
    snapshot_scratch_watch_stop(g_steal_pointer(&snapshot->scratch_watch), snapshot->warnings);
}

gboolean snapshot_end(struct snapshot *snapshot, GError **error)
{
    if (snapshot->ended || !snapshot->machine)
        return TRUE;
    snapshot_offline_end(snapshot);
    if (!snapshot_let_go(snapshot, error))
        return FALSE;
    stop_watching(snapshot);
    snapshot->ended = TRUE;
    return TRUE;
}

/* Stops a machine that we started, unless somebody has let it run. */
static gboolean put_back_to_sleep(struct snapshot *snapshot, GError **error)
{
    if (!snapshot->started_paused)
        return TRUE;
    gboolean left_running = FALSE;
    if (!snapshot_paused_stop(snapshot->machine, snapshot->store_id, &left_running, error))
        return FALSE;
    snapshot->started_paused = FALSE;
    if (left_running)
        g_ptr_array_add(snapshot->warnings,
                        g_strdup("the machine was started paused to be read, and somebody has "
                                 "resumed it since: it was left running"));
    return TRUE;
}

static gboolean delete_older(struct snapshot *snapshot, GError **error)
{
    struct snapshot_machine *machine = snapshot->machine;
    g_autoptr(GPtrArray) names = snapshot_checkpoint_list(machine, error);
    if (!names)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        if (snapshot_checkpoint_is_ours(name, snapshot->store_id) &&
            g_strcmp0(name, snapshot->checkpoint) != 0 &&
            !snapshot_checkpoint_delete(machine, name, error))
            return FALSE;
    }
    /* These would go on counting in the images for ever: they came back with an older copy of an
     * image, or stayed when the machine was defined anew. */
    for (char **name = snapshot->lost; name && *name; name++)
        if (!snapshot_checkpoint_delete_lost(machine, *name, error))
            return FALSE;
    return TRUE;
}

/* The machine stopped while we read it: its checkpoints cannot be deleted now, and wait for clean
 * and the next begin. */
static gboolean can_delete(struct snapshot *snapshot)
{
    gboolean active = FALSE;
    return snapshot_machine_ask_active(snapshot->machine, &active, NULL) && active;
}

static void give_up_thawing(struct snapshot *snapshot)
{
    snapshot_thaw_finish(g_steal_pointer(&snapshot->unthawed), snapshot->warnings);
}

gboolean snapshot_commit(struct snapshot *snapshot, GError **error)
{
    if (snapshot->finished)
        return TRUE;
    give_up_thawing(snapshot);
    /* Whatever goes wrong from here on, the new checkpoint is the one that counts. */
    snapshot->finished = TRUE;
    if (!snapshot->machine)
        return TRUE;
    if (!snapshot_end(snapshot, error) || !snapshot_machine_revive(snapshot->machine, error))
        return FALSE;
    GError *problem = NULL;
    if (can_delete(snapshot))
        delete_older(snapshot, &problem);
    /* A checkpoint that stays must not keep the machine from being stopped. */
    gboolean asleep = put_back_to_sleep(snapshot, problem ? NULL : &problem);
    if (problem)
        g_propagate_error(error, problem);
    return asleep && !problem;
}

gboolean snapshot_abort(struct snapshot *snapshot, GError **error)
{
    if (snapshot->finished)
        return TRUE;
    give_up_thawing(snapshot);
    if (!snapshot->machine) {
        snapshot->finished = TRUE;
        return TRUE;
    }
    gboolean has_made = snapshot->checkpoint && !snapshot->is_offline;
    GError *problem = NULL;
    if (snapshot_end(snapshot, &problem) && has_made && can_delete(snapshot))
        snapshot_checkpoint_delete(snapshot->machine, snapshot->checkpoint, &problem);
    gboolean asleep = put_back_to_sleep(snapshot, problem ? NULL : &problem);
    snapshot->finished = asleep && !problem;
    if (problem)
        g_propagate_error(error, problem);
    return snapshot->finished;
}

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    snapshot_abort(snapshot, NULL);
    stop_watching(snapshot);
    g_ptr_array_unref(snapshot->disks);
    g_ptr_array_unref(snapshot->scratch);
    g_ptr_array_unref(snapshot->warnings);
    g_free(snapshot->store_id);
    g_free(snapshot->checkpoint);
    g_strfreev(snapshot->lost);
    g_free(snapshot->socket_path);
    g_free(snapshot);
}

const GPtrArray *snapshot_disks(const struct snapshot *snapshot)
{
    return snapshot->disks;
}

const GPtrArray *snapshot_warnings(const struct snapshot *snapshot)
{
    return snapshot->warnings;
}

const char *snapshot_checkpoint(const struct snapshot *snapshot)
{
    return snapshot->checkpoint;
}

guint snapshot_paused_start_ms(const struct snapshot *snapshot)
{
    return snapshot->paused_start_ms;
}

enum snapshot_consistency snapshot_consistency(const struct snapshot *snapshot)
{
    return snapshot->consistency;
}
