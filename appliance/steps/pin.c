/* SPDX-License-Identifier: Apache-2.0 */

/* pin, unpin: the recovery point that the operation's machine stands on stays as it is, from before
 * there is a machine until it has gone.
 *
 *   pin → { "owner": TEXT, "recovery_point": N, "created": ISO time, "consistency": TEXT,
 *           "store_id": TEXT }
 *   unpin → { } */

#include "appliance/cycle/opened-machine.h"
#include "appliance/steps/replica.h"
#include "appliance/steps/steps.h"
#include "replicator/store-hold.h"

static JsonObject *describe(const struct opened_machine *opened, const struct manifest *manifest,
                            const char *owner)
{
    JsonObject *result = json_object_new();
    json_object_set_string_member(result, "owner", owner);
    json_object_set_int_member(result, "recovery_point", (gint64)manifest->number);
    json_object_set_string_member(result, "created", manifest->created);
    json_object_set_string_member(result, "consistency", manifest->consistency);
    json_object_set_string_member(result, "store_id", opened->store->id);
    return result;
}

JsonObject *step_pin(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    g_autofree char *owner = step_work_owner(work);
    struct opened_machine opened;
    JsonObject *result = NULL;
    if (!opened_machine_open(&opened, work->store_path, work->machine_uuid, STORE_READ, error))
        return NULL;
    const struct manifest *manifest = opened_machine_point(&opened, work->recovery_point, error);
    if (manifest && store_hold_set(opened.machine, manifest->number, owner, error))
        result = describe(&opened, manifest, owner);
    opened_machine_close(&opened);
    return result;
}

JsonObject *step_unpin(const struct step_run *run, GError **error)
{
    g_autofree char *owner = step_work_owner(run->work);
    struct opened_machine opened;
    gboolean gone;
    if (!step_replica_open(run->work, &opened, &gone, error))
        return NULL;
    gboolean ok = gone || store_hold_drop(opened.machine, owner, error);
    opened_machine_close(&opened);
    return ok ? json_object_new() : NULL;
}
