/* SPDX-License-Identifier: Apache-2.0 */

/* Step "shutdown": the source's guest is shut down, and does not start with its host any more.
 *
 *   options   shutdown_deadline_s (120), on_deadline "abort" (default) or "force"
 *   result    how, ms, off_at_us: see power.h; autostart: as it was before
 *
 * A guest that does not shut down runs on, with autostart as before. */

#include "appliance/steps/power.h"
#include "appliance/steps/source-machine.h"
#include "appliance/steps/steps.h"
#include "base/json.h"
#include "snapshot/fence.h"

#include <string.h>

#define DEADLINE_S 120u

static gboolean take_plan(const struct step_work *work, struct power_off_plan *ret_plan,
                          GError **error)
{
    const char *choice = "abort";
    if (!step_work_option_uint(work, "shutdown_deadline_s", DEADLINE_S, &ret_plan->deadline_s,
                               error) ||
        !json_optional_string(work->options, "on_deadline", LANDFALL_ERROR_CONFIG, &choice, error))
        return FALSE;
    ret_plan->force = strcmp(choice, "force") == 0;
    if (ret_plan->force || strcmp(choice, "abort") == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "choose abort or force",
                       "option on_deadline cannot be '%s'", choice);
    return FALSE;
}

/* Autostart first: a host that reboots while the machine is off would start it. */
static gboolean leave(const struct step_run *run, virDomainPtr domain,
                      const struct power_off_plan *plan, struct power_off_result *ret_result,
                      gboolean *ret_autostart, GError **error)
{
    const struct step_work *work = run->work;
    struct snapshot_fence *fence = NULL, *dropped = NULL;
    g_autofree char *owner = step_work_owner(work);
    g_autoptr(GError) problem = NULL;
    if (!snapshot_fence_raise(domain, owner, work->target_host, FALSE, &fence, error))
        return FALSE;
    *ret_autostart = fence->autostart;
    snapshot_fence_free(fence);
    if (power_off(domain, plan, run, ret_result, error))
        return TRUE;
    if (!snapshot_fence_drop(domain, &dropped, &problem))
        step_warn(run, "autostart could not be put back: %s", problem->message);
    snapshot_fence_free(dropped);
    return FALSE;
}

JsonObject *step_shutdown(const struct step_run *run, GError **error)
{
    struct source_machine machine;
    struct power_off_plan plan;
    struct power_off_result result;
    gboolean autostart;
    if (!take_plan(run->work, &plan, error) || !source_machine_open(run->work, &machine, error))
        return NULL;
    gboolean ok = leave(run, machine.domain, &plan, &result, &autostart, error);
    source_machine_close(&machine);
    if (!ok)
        return NULL;
    JsonObject *object = power_off_to_json(&result);
    json_object_set_boolean_member(object, "autostart", autostart);
    return object;
}
