/* SPDX-License-Identifier: Apache-2.0 */
/* The end of replicating a machine into a store: nothing of it stays on the host. */
#include "snapshot/snapshot-private.h"

static gboolean delete_stale(struct snapshot_machine *machine, GPtrArray *removed, GError **error)
{
    if (!snapshot_machine_refresh(machine, error))
        return FALSE;
    for (guint i = 0; i < machine->stale_checkpoints->len; i++) {
        const char *name = machine->stale_checkpoints->pdata[i];
        if (!snapshot_checkpoint_delete(machine, name, error))
            return FALSE;
        g_ptr_array_add(removed, g_strdup_printf("deleted checkpoint %s", name));
    }
    g_ptr_array_set_size(machine->stale_checkpoints, 0);
    return TRUE;
}

/* Bitmaps can be deleted in a running QEMU alone, and there is no later begin to do it. */
static gboolean wake_and_delete(struct snapshot_machine *machine, const char *store_id,
                                GPtrArray *removed, GError **error)
{
    gboolean left_running = FALSE;
    if (!snapshot_paused_start(machine, store_id, error))
        return FALSE;
    gboolean ok = delete_stale(machine, removed, error);
    return snapshot_paused_stop(machine, store_id, &left_running, ok ? error : NULL) && ok;
}

gboolean snapshot_machine_forget(struct snapshot_machine *machine, const char *store_id,
                                 const char *scratch_dir, const char *socket_dir,
                                 GPtrArray **ret_removed, GError **error)
{
    g_autoptr(GPtrArray) removed = NULL;
    if (!snapshot_machine_clean(machine, store_id, NULL, scratch_dir, socket_dir, TRUE, &removed,
                                error))
        return FALSE;
    if (machine->stale_checkpoints->len > 0 && !wake_and_delete(machine, store_id, removed, error))
        return FALSE;
    *ret_removed = g_steal_pointer(&removed);
    return TRUE;
}
