/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/moved-disks.h"
#include "appliance/steps/source-machine.h"
#include "snapshot/fence.h"
#include "snapshot/snapshot.h"

#include <string.h>

gboolean moved_disks_state(const struct step_work *work, char **ret_state, GError **error)
{
    struct snapshot_host *host = snapshot_host_open(work->source_uri, error);
    struct snapshot_machine *machine =
        host ? snapshot_machine_lookup(host, work->machine_uuid, error) : NULL;
    if (machine)
        *ret_state = snapshot_machine_state(machine);
    gboolean ok = machine != NULL;
    snapshot_machine_free(machine);
    snapshot_host_free(host);
    return ok;
}

gboolean moved_disks_check(const struct step_work *work, const char *then, GError **error)
{
    g_autofree char *now = NULL;
    if (!then)
        return TRUE;
    if (!moved_disks_state(work, &now, error))
        return FALSE;
    if (!now || strcmp(now, then) == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "somebody has started it again, or has written to its disks: that is not in "
                       "the replica; roll back, and begin anew",
                       "the disks of machine %s on host %s have changed since its last cycle",
                       work->machine_name, work->source_host);
    return FALSE;
}

gboolean moved_disks_point(const struct step_work *work, guint64 *ret_point, GError **error)
{
    struct source_machine source;
    struct snapshot_fence *fence = NULL;
    g_autofree char *state = NULL;
    if (!moved_disks_state(work, &state, error) || !source_machine_open(work, &source, error))
        return FALSE;
    gboolean ok = snapshot_fence_read(source.domain, &fence, error);
    source_machine_close(&source);
    if (ok)
        *ret_point =
            fence && fence->gone && state && g_strcmp0(fence->disks, state) == 0 ? fence->point : 0;
    snapshot_fence_free(fence);
    return ok;
}

gboolean moved_disks_note(const struct step_work *work, guint64 point, GError **error)
{
    struct source_machine source;
    g_autofree char *state = NULL;
    if (!moved_disks_state(work, &state, error) || !source_machine_open(work, &source, error))
        return FALSE;
    gboolean ok = snapshot_fence_note_disks(source.domain, point, state, error);
    source_machine_close(&source);
    return ok;
}
