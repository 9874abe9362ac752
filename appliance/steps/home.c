/* SPDX-License-Identifier: Apache-2.0 */

/* The way home of a machine: what it was before is let run again, after its disks were brought up
 * to date (write-back.c), instead of another being defined.
 *
 *   unfence-home   after write-back: its fence is taken down, if its disks are those that were
 *                  written. Result: was_fenced
 *   fence-home     undoes that: it is marked as moved away again, and its disks as what was
 * written, or as something else if it has run. Result: point (0: something else)
 *
 * The work is seen from there: the source is where the machine goes. */

#include "appliance/steps/home.h"
#include "appliance/steps/moved-disks.h"
#include "appliance/steps/steps.h"
#include "base/json.h"

#include <string.h>

static void set_refusal(const struct step_work *work, const struct source_machine *machine,
                        const char *why, GError **error)
{
    const char *name = virDomainGetName(machine->domain), *host = work->source_host;
    g_autofree char *hint = g_strdup_printf(
        "remove what it was with `virsh undefine %s` on host %s (its disks stay where they are); "
        "then landfall migrate %s --target %s moves it there anew, from the replica",
        name, host, work->machine_name, host);
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, hint,
                       "what machine %s was on host %s cannot be brought up to date: %s", name,
                       host, why);
}

static gboolean check_off(const struct step_work *work, virDomainPtr domain, GError **error)
{
    if (virDomainIsActive(domain) == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "switch it off there: what it has written since it was moved away is lost",
                       "machine %s is not off on host %s", work->machine_name, work->source_host);
    return FALSE;
}

/* --- whether it can come home --------------------------------------------------------------------
 */

/* NULL: nothing is wrong with it. */
static const char *complaint(const struct step_work *work, const struct snapshot_fence *fence,
                             const char *state)
{
    if (!fence || !fence->gone)
        return "it is not marked as moved away";
    if (strcmp(fence->target, work->target_host) != 0)
        return "it was moved to another host";
    if (g_strcmp0(fence->disks, MOVED_DISKS_WRITING) == 0)
        return NULL; /* by us, who were interrupted */
    if (!state || !fence->disks)
        return "what its disks hold is not known";
    return strcmp(fence->disks, state) == 0 ? NULL : "somebody has written to its disks since";
}

static gboolean check(const struct step_work *work, const struct source_machine *machine,
                      const struct snapshot_fence *fence, GError **error)
{
    g_autofree char *state = NULL;
    if (!moved_disks_state(work, &state, error))
        return FALSE;
    const char *why = complaint(work, fence, state);
    if (why)
        set_refusal(work, machine, why, error);
    return why == NULL;
}

gboolean home_check(const struct step_work *work, struct snapshot_fence **ret_fence, GError **error)
{
    struct source_machine machine;
    struct snapshot_fence *fence = NULL;
    if (!source_machine_open(work, &machine, error))
        return FALSE;
    gboolean ok = check_off(work, machine.domain, error) &&
                  snapshot_fence_read(machine.domain, &fence, error) &&
                  check(work, &machine, fence, error);
    source_machine_close(&machine);
    if (ok)
        *ret_fence = fence;
    else
        snapshot_fence_free(fence);
    return ok;
}

/* --- unfence-home --------------------------------------------------------------------------------
 */

/* What runs next has all that was written where it comes from. */
static gboolean check_written(const struct step_work *work, const struct source_machine *machine,
                              GError **error)
{
    JsonObject *written = step_work_fact(work, "write-back");
    struct snapshot_fence *fence = NULL;
    if (!home_check(work, &fence, error))
        return FALSE;
    gboolean same = written && fence->point > 0 &&
                    fence->point == json_find_uint(written, "to_point") &&
                    g_strcmp0(fence->disks, json_find_string(written, "state")) == 0;
    snapshot_fence_free(fence);
    if (!same)
        set_refusal(work, machine, "its disks are not those that were written", error);
    return same;
}

JsonObject *step_unfence_home(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    struct source_machine machine;
    struct snapshot_fence *fence = NULL, *dropped = NULL;
    if (!source_machine_open(work, &machine, error))
        return NULL;
    gboolean ok = check_off(work, machine.domain, error) &&
                  snapshot_fence_read(machine.domain, &fence, error) &&
                  (!fence || check_written(work, &machine, error)) &&
                  snapshot_fence_drop(machine.domain, &dropped, error);
    source_machine_close(&machine);
    JsonObject *result = ok ? json_object_new() : NULL;
    if (ok)
        json_object_set_boolean_member(result, "was_fenced", fence != NULL);
    snapshot_fence_free(fence);
    snapshot_fence_free(dropped);
    return result;
}

/* --- fence-home ----------------------------------------------------------------------------------
 */

/* Who has run has written: then all is compared before it comes home again. */
static gboolean note_disks(const struct step_work *work, guint64 *ret_point, GError **error)
{
    JsonObject *written = step_work_fact(work, "write-back");
    g_autofree char *state = NULL;
    if (!moved_disks_state(work, &state, error))
        return FALSE;
    gboolean same = written && state && g_strcmp0(state, json_find_string(written, "state")) == 0;
    *ret_point = same ? json_find_uint(written, "to_point") : 0;
    return moved_disks_note(work, *ret_point, error);
}

/* One that is up, because it had not come down, is of the move that put it up. */
static gboolean put_up(const struct step_work *work, virDomainPtr domain,
                       struct snapshot_fence **ret_fence, GError **error)
{
    struct snapshot_fence *before = NULL;
    g_autofree char *owner = step_work_owner(work);
    if (!snapshot_fence_read(domain, &before, error))
        return FALSE;
    gboolean stays = before && before->gone;
    gboolean ok =
        snapshot_fence_raise(domain, stays ? before->owner : owner,
                             stays ? before->target : work->target_host, TRUE, ret_fence, error);
    snapshot_fence_free(before);
    return ok;
}

JsonObject *step_fence_home(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    struct source_machine machine;
    struct snapshot_fence *fence = NULL;
    if (!source_machine_open(work, &machine, error))
        return NULL;
    gboolean ok =
        check_off(work, machine.domain, error) && put_up(work, machine.domain, &fence, error);
    source_machine_close(&machine);
    guint64 point = ok ? fence->point : 0;
    ok = ok && (fence->disks || note_disks(work, &point, error));
    snapshot_fence_free(fence);
    if (!ok)
        return NULL;
    JsonObject *result = json_object_new();
    json_object_set_int_member(result, "point", (gint64)point);
    return result;
}
