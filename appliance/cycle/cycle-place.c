/* SPDX-License-Identifier: Apache-2.0 */

/* The machine's place in the store, before its cycle begins. */

#include "appliance/cycle/machine-cycle-private.h"
#include "base/error.h"
#include "replicator/store-file.h"
#include "replicator/store-lease.h"
#include "replicator/store-name.h"

#define ORPHAN_WAIT_US (10 * G_USEC_PER_SEC)

/* While the machine's place is ours, only the child of a cycle that was killed can have the store's
 * lock; it ends by itself, as soon as the disk lets it. */
static struct store_machine *open_replicas(const struct machine_cycle *cycle, GPtrArray *notes,
                                           GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + ORPHAN_WAIT_US;
    for (;;) {
        g_autoptr(GError) cause = NULL;
        struct store_machine *replicas =
            store_machine_open(cycle->store, cycle->key, STORE_WRITE, notes, &cause);
        if (replicas)
            return replicas;
        if (!g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT) ||
            g_get_monotonic_time() > deadline_us) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        if (!machine_cycle_go_on(cycle, error))
            return NULL;
    }
}

/* What an earlier cycle left half done is settled before the guest is bothered. Its child may have
 * outlived it, and may still commit: with the child's lock in hand, the store's last recovery point
 * is the last one. */
static gboolean settle_place(struct machine_cycle *cycle, GError **error)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    cycle->replicas = open_replicas(cycle, notes, error);
    if (!cycle->replicas)
        return FALSE;
    g_clear_pointer(&cycle->replicas->lock, store_lock_free); /* our own child needs it next */
    for (guint i = 0; i < notes->len; i++)
        machine_cycle_warn(cycle, "recovered", notes->pdata[i]);
    return TRUE;
}

gboolean machine_cycle_open_place(struct machine_cycle *cycle, GError **error)
{
    if (!store_name_is_safe(cycle->key)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "use letters, digits, '.', '_' and '-', not starting with a dot",
                           "'%s' cannot be the name of a machine's folder", cycle->key);
        return FALSE;
    }
    g_autofree char *folder = g_build_filename(cycle->store->path, cycle->key, NULL);
    g_autofree char *lock = g_build_filename(folder, CYCLE_LOCK_NAME, NULL);
    if (!store_folder_create(folder, error))
        return FALSE;
    cycle->lock = store_lock_take(lock, 0, error);
    return cycle->lock &&
           store_lease_check(cycle->store, cycle->key, cycle->options->lease, error) &&
           settle_place(cycle, error);
}
