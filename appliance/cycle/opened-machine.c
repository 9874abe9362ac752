/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/opened-machine.h"
#include "base/error.h"

gboolean opened_machine_open(struct opened_machine *opened, const char *folder, const char *name,
                             enum store_mode mode, GError **error)
{
    *opened = (struct opened_machine){NULL, NULL};
    opened->store = store_open(folder, FALSE, error);
    g_autofree char *key = opened->store ? store_machine_resolve(opened->store, name, error) : NULL;
    if (key)
        opened->machine = store_machine_open(opened->store, key, mode, NULL, error);
    if (opened->machine)
        return TRUE;
    opened_machine_close(opened);
    return FALSE;
}

void opened_machine_close(struct opened_machine *opened)
{
    g_clear_pointer(&opened->machine, store_machine_free);
    g_clear_pointer(&opened->store, store_free);
}

struct manifest *opened_machine_point(const struct opened_machine *opened, guint64 number,
                                      GError **error)
{
    const GPtrArray *manifests = opened->machine->manifests;
    struct manifest *manifest = number ? store_machine_find(opened->machine, number)
                                       : store_machine_latest(opened->machine);
    if (manifest)
        return manifest;
    if (manifests->len == 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "run a cycle first: landfall cycle",
                           "machine %s has no recovery point yet", opened->machine->key);
        return NULL;
    }
    const struct manifest *first = manifests->pdata[0],
                          *last = manifests->pdata[manifests->len - 1];
    g_autofree char *hint =
        g_strdup_printf("there are recovery points %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                        first->number, last->number);
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint,
                       "machine %s has no recovery point %" G_GUINT64_FORMAT, last->machine_name,
                       number);
    return NULL;
}
