/* SPDX-License-Identifier: Apache-2.0 */

/* Steps "fence" and "unfence": the source is marked as moved away, and that is taken back exactly.
 *
 *   fence     result: autostart, title (as they were before), to, fenced_at. Refused if the machine
 *             runs, or has run since step "final"
 *   unfence   result: was_fenced; autostart, title as they are again
 *
 * Step "start-source": the source runs again. Result: already; started_at_us, by this host's clock,
 * 0 if it ran before. Refused while the fence is up. */

#include "snapshot/fence.h"
#include "appliance/steps/moved-disks.h"
#include "appliance/steps/source-machine.h"
#include "appliance/steps/steps.h"
#include "base/json.h"
#include "replicator/store.h"

static void set_before(JsonObject *object, const struct snapshot_fence *fence)
{
    json_object_set_boolean_member(object, "autostart", fence->autostart);
    json_set_optional_string(object, "title", fence->title);
}

/* A machine that somebody has let run since the last cycle is not gone either: what it has written
 * would be lost. */
static gboolean check_untouched(const struct step_work *work, GError **error)
{
    JsonObject *final = step_work_fact(work, "final");
    return moved_disks_check(work, final ? json_find_string(final, "disks_state") : NULL, error);
}

/* What the disks hold, for a step write-back: nobody writes to them from here on. A note that is
 * there stays, for somebody may have. */
static gboolean note_disks(const struct step_work *work, const struct snapshot_fence *fence,
                           GError **error)
{
    if (fence->point || fence->disks)
        return TRUE;
    struct store *store = store_open(work->store_path, FALSE, error);
    struct store_machine *replicas =
        store ? store_machine_open(store, work->machine_uuid, STORE_READ, NULL, error) : NULL;
    const struct manifest *latest = replicas ? store_machine_latest(replicas) : NULL;
    gboolean ok = replicas && (!latest || moved_disks_note(work, latest->number, error));
    store_machine_free(replicas);
    store_free(store);
    return ok;
}

JsonObject *step_fence(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    struct source_machine machine;
    struct snapshot_fence *fence = NULL;
    g_autofree char *owner = step_work_owner(work);
    if (!source_machine_open(work, &machine, error))
        return NULL;
    gboolean ok =
        source_machine_check_off(&machine, work, error) && check_untouched(work, error) &&
        snapshot_fence_raise(machine.domain, owner, work->target_host, TRUE, &fence, error) &&
        note_disks(work, fence, error);
    source_machine_close(&machine);
    if (!ok) {
        snapshot_fence_free(fence);
        return NULL;
    }
    JsonObject *object = json_object_new();
    set_before(object, fence);
    json_object_set_string_member(object, "to", fence->target);
    json_object_set_string_member(object, "fenced_at", fence->since);
    snapshot_fence_free(fence);
    return object;
}

/* Only what this operation has put up. */
static gboolean drop(const struct source_machine *machine, const struct step_work *work,
                     struct snapshot_fence **ret_fence, GError **error)
{
    struct snapshot_fence *fence = NULL;
    g_autofree char *owner = step_work_owner(work);
    if (!snapshot_fence_read(machine->domain, &fence, error))
        return FALSE;
    gboolean ours = !fence || g_strcmp0(fence->owner, owner) == 0;
    if (!ours)
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "roll that operation back where it was begun",
                           "machine %s was moved to host %s by another operation (%s)",
                           work->machine_name, fence->target, fence->owner);
    snapshot_fence_free(fence);
    return ours && snapshot_fence_drop(machine->domain, ret_fence, error);
}

JsonObject *step_unfence(const struct step_run *run, GError **error)
{
    struct source_machine machine;
    struct snapshot_fence *fence = NULL;
    if (!source_machine_open(run->work, &machine, error))
        return NULL;
    gboolean ok = drop(&machine, run->work, &fence, error);
    source_machine_close(&machine);
    if (!ok)
        return NULL;
    JsonObject *object = json_object_new();
    json_object_set_boolean_member(object, "was_fenced", fence != NULL);
    if (fence)
        set_before(object, fence);
    snapshot_fence_free(fence);
    return object;
}

static gboolean start(const struct source_machine *machine, const struct step_work *work,
                      gboolean *ret_already, GError **error)
{
    gboolean stopped;
    if (!snapshot_fence_check(machine->domain, work->machine_name, error) ||
        !snapshot_paused_stop_stale(machine->domain, &stopped, error))
        return FALSE;
    *ret_already = virDomainIsActive(machine->domain) == 1;
    if (*ret_already || virDomainCreate(machine->domain) == 0)
        return TRUE;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE,
                               "mend that on its host, then start it there with virsh start, or "
                               "run the same command again",
                               "machine %s cannot be started on host %s", work->machine_name,
                               work->source_host);
    return FALSE;
}

JsonObject *step_start_source(const struct step_run *run, GError **error)
{
    struct source_machine machine;
    gboolean already = FALSE;
    if (!source_machine_open(run->work, &machine, error))
        return NULL;
    gboolean ok = start(&machine, run->work, &already, error);
    source_machine_close(&machine);
    if (!ok)
        return NULL;
    JsonObject *object = json_object_new();
    json_object_set_boolean_member(object, "already", already);
    json_object_set_int_member(object, "started_at_us", already ? 0 : g_get_real_time());
    return object;
}
