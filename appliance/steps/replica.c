/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/replica.h"
#include "replicator/store-file.h"

gboolean step_replica_open(const struct step_work *work, struct opened_machine *opened,
                           gboolean *ret_gone, GError **error)
{
    gboolean exists;
    *opened = (struct opened_machine){NULL, NULL};
    struct store *store = store_open(work->store_path, FALSE, error);
    if (!store)
        return FALSE;
    g_autofree char *folder = g_build_filename(store->path, work->machine_uuid, NULL);
    store_free(store);
    if (!store_file_exists(folder, &exists, error))
        return FALSE;
    *ret_gone = !exists;
    return !exists ||
           opened_machine_open(opened, work->store_path, work->machine_uuid, STORE_READ, error);
}
