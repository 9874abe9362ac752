/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/machine-forget.h"
#include "base/error.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"
#include "replicator/store-retention.h"
#include "replicator/store.h"
#include "snapshot/snapshot.h"

#define LOCK_WAIT_MS 10000u

static gboolean forget_on_host(const struct machine_forget_options *options, const char *store_id,
                               GPtrArray *removed, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) cleaned = NULL;
    struct snapshot_host *host = snapshot_host_open(options->host_uri, error);
    if (!host)
        return FALSE;
    struct snapshot_machine *machine = snapshot_machine_lookup(host, options->machine, &cause);
    gboolean gone = g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    gboolean ok = machine && snapshot_machine_forget(machine, store_id, options->scratch_dir,
                                                     options->socket_dir, &cleaned, &cause);
    snapshot_machine_free(machine);
    snapshot_host_free(host);
    for (guint i = 0; cleaned && i < cleaned->len; i++)
        g_ptr_array_add(removed, g_strdup_printf("host: %s", (char *)cleaned->pdata[i]));
    if (!ok && !gone)
        g_propagate_error(error, g_steal_pointer(&cause));
    return ok || gone;
}

/* Where cycles cannot run, none has left anything, unless the host was another one then. */
static gboolean is_nothing_there(const struct store *store, const char *key, const GError *cause)
{
    if (!g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_UNSUPPORTED))
        return FALSE;
    struct store_machine *machine = store_machine_open(store, key, STORE_READ, NULL, NULL);
    gboolean committed = machine && store_machine_latest(machine);
    store_machine_free(machine);
    return !committed;
}

static gboolean clean_host(const struct machine_forget_options *options, const struct store *store,
                           GPtrArray *removed, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (options->abandon) {
        g_ptr_array_add(removed,
                        g_strdup_printf("host: left as it is; what cycles left there bears names "
                                        "that begin with landfall-%s-",
                                        store->id));
        return TRUE;
    }
    if (forget_on_host(options, store->id, removed, &cause) ||
        is_nothing_there(store, options->machine, cause))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean remove_replica(const struct store *store, const char *key, GPtrArray *removed,
                               GError **error)
{
    struct store_machine *machine = store_machine_open(store, key, STORE_WRITE, NULL, error);
    if (!machine)
        return FALSE;
    gboolean ok = store_machine_remove(machine, error);
    store_machine_free(machine);
    if (ok)
        g_ptr_array_add(removed, g_strdup("store: removed the replica"));
    return ok;
}

/* With the machine's place in the store in hand nobody else's checkpoint can be taken for stale. */
static gboolean forget(const struct machine_forget_options *options, const struct store *store,
                       GPtrArray *removed, GError **error)
{
    g_autofree char *folder = g_build_filename(store->path, options->machine, NULL);
    g_autofree char *path = g_build_filename(folder, CYCLE_LOCK_NAME, NULL);
    if (!store_folder_create(folder, error))
        return FALSE;
    struct store_lock *lock = store_lock_take(path, LOCK_WAIT_MS, error);
    gboolean ok =
        lock && clean_host(options, store, removed, error) &&
        (!options->remove_replica || remove_replica(store, options->machine, removed, error));
    store_lock_free(lock);
    return ok;
}

gboolean machine_forget_run(const struct machine_forget_options *options, GPtrArray **ret_removed,
                            GError **error)
{
    g_autoptr(GPtrArray) removed = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) cause = NULL;
    struct store *store = store_open(options->store, FALSE, &cause);
    gboolean none = g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    gboolean ok = none || (store && forget(options, store, removed, error));
    if (!store && !none)
        g_propagate_error(error, g_steal_pointer(&cause));
    store_free(store);
    if (ok)
        *ret_removed = g_steal_pointer(&removed);
    return ok;
}
