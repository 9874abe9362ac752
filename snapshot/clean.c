/* SPDX-License-Identifier: Apache-2.0 */
/* What earlier runs left behind. The order is that of harm: a frozen guest, a job that fills its
 * scratch space, checkpoints that cost memory, a machine that looks started, files. Things of
 * others come last, because meeting them must not keep ours from being cleaned. */
#include "snapshot/snapshot-private.h"

static gboolean clean_job(struct snapshot_machine *machine, const char *store_id,
                          GPtrArray *removed, GError **error)
{
    enum job_owner owner = JOB_NONE;
    g_autofree char *what = NULL;
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    if (!snapshot_job_find(machine, store_id, &owner, files, &what, error))
        return FALSE;
    if (owner == JOB_FOREIGN) {
        landfall_error_set(
            error, LANDFALL_ERROR_CONFLICT,
            "wait for the other backup tool, or end its job with `virsh domjobabort` "
            "on the host",
            "machine %s: a backup job of another tool is running (%s)", machine->name,
            what && *what ? what : "it names no files");
        return FALSE;
    }
    if (owner == JOB_NONE)
        return snapshot_job_check_others(machine, error);
    if (!snapshot_job_end(machine, error))
        return FALSE;
    g_ptr_array_add(removed, g_strdup("ended a backup job"));
    for (guint i = 0; i < files->len; i++)
        if (!snapshot_file_remove(machine->host, files->pdata[i], NULL, error))
            return FALSE;
    return TRUE;
}

/* Bitmaps can be deleted in a running QEMU alone; until there is one, the list waits. */
static gboolean clean_checkpoints(struct snapshot_machine *machine, const GPtrArray *names,
                                  gboolean active, const char *store_id, const char *keep,
                                  GPtrArray *removed, GError **error)
{
    g_ptr_array_set_size(machine->stale_checkpoints, 0);
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        if (!snapshot_checkpoint_is_ours(name, store_id) || g_strcmp0(name, keep) == 0)
            continue;
        if (!active) {
            g_ptr_array_add(machine->stale_checkpoints, g_strdup(name));
            continue;
        }
        if (!snapshot_checkpoint_delete(machine, name, error))
            return FALSE;
        g_ptr_array_add(removed, g_strdup_printf("deleted checkpoint %s", name));
    }
    return TRUE;
}

static gboolean clean_paused_start(struct snapshot_machine *machine, gboolean was_active,
                                   const char *store_id, GPtrArray *removed, GError **error)
{
    if (!snapshot_marker_present(machine, MARKER_STARTED_PAUSED, store_id))
        return TRUE;
    gboolean left_running = FALSE;
    if (!snapshot_paused_stop(machine, store_id, &left_running, error))
        return FALSE;
    if (was_active)
        g_ptr_array_add(removed,
                        g_strdup(left_running ? "left the machine running, which was started "
                                                "paused to be read and then resumed by somebody"
                                              : "stopped the machine, which was started paused to "
                                                "be read"));
    return TRUE;
}

/* The folders where begin would put files with the same settings, and no others. */
static gboolean clean_files(struct snapshot_machine *machine, const char *store_id,
                            const char *scratch_dir, const char *socket_dir, GPtrArray *removed,
                            GError **error)
{
    if (!machine->host->local)
        return TRUE;
    g_autoptr(GHashTable) folders = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_add(folders, snapshot_socket_dir(machine, socket_dir, 0));
    /* Too long a name for the machine's own folder puts the socket beside that. */
    g_hash_table_add(folders, snapshot_socket_dir(machine, socket_dir, G_MAXINT));
    for (guint i = 0; i < machine->disks->len; i++)
        g_hash_table_add(folders, g_strdup(snapshot_scratch_dir(machine, machine->disks->pdata[i],
                                                                scratch_dir)));
    GHashTableIter iter;
    gpointer folder;
    g_hash_table_iter_init(&iter, folders);
    while (g_hash_table_iter_next(&iter, &folder, NULL))
        if (!snapshot_files_remove_stale(machine, store_id, folder, removed, error))
            return FALSE;
    return TRUE;
}

static gboolean check_foreign_checkpoints(struct snapshot_machine *machine, const GPtrArray *names,
                                          const char *store_id, GError **error)
{
    g_autoptr(GString) foreign = g_string_new(NULL);
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        if (!snapshot_checkpoint_is_ours(name, store_id))
            g_string_append_printf(foreign, "%s%s", foreign->len ? ", " : "", name);
    }
    if (!foreign->len)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "if nobody needs them, remove them with `virsh checkpoint-delete`; "
                       "or replicate with --no-checkpoint, by hash scans",
                       "machine %s has checkpoints of another tool or store: %s", machine->name,
                       foreign->str);
    return FALSE;
}

gboolean snapshot_machine_clean(struct snapshot_machine *machine, const char *store_id,
                                const char *keep_checkpoint, const char *scratch_dir,
                                const char *socket_dir, gboolean allow_foreign_checkpoints,
                                GPtrArray **ret_removed, GError **error)
{
    gboolean active = FALSE;
    if (!snapshot_store_id_check(store_id, error) || !snapshot_machine_revive(machine, error) ||
        !snapshot_machine_ask_active(machine, &active, error))
        return FALSE;
    g_autoptr(GPtrArray) removed = g_ptr_array_new_with_free_func(g_free);
    if (active)
        snapshot_thaw_stale(machine, store_id, removed);
    if (active && !clean_job(machine, store_id, removed, error))
        return FALSE;
    g_autoptr(GPtrArray) names = snapshot_checkpoint_list(machine, error);
    if (!names)
        return FALSE;
    if (!clean_checkpoints(machine, names, active, store_id, keep_checkpoint, removed, error) ||
        !clean_files(machine, store_id, scratch_dir, socket_dir, removed, error) ||
        !clean_paused_start(machine, active, store_id, removed, error))
        return FALSE;
    if (!allow_foreign_checkpoints && !check_foreign_checkpoints(machine, names, store_id, error))
        return FALSE;
    *ret_removed = g_steal_pointer(&removed);
    return TRUE;
}
