/* SPDX-License-Identifier: Apache-2.0 */
/* Check of what the machine was before, where it goes home. */
#include "appliance/steps/home.h"
#include "appliance/steps/preflight.h"

void preflight_home(struct preflight *preflight)
{
    const struct step_work home = step_work_at_home(preflight->work);
    struct snapshot_fence *fence = NULL;
    g_autoptr(GError) error = NULL;
    checks_begin(&preflight->checks, "home");
    if (!preflight_shuts_down(preflight))
        checks_add(&preflight->checks, VERDICT_BLOCKED, "migrate it without --no-shutdown",
                   "a copy of a machine that runs on cannot take the place of what it was");
    else if (!home_check(&home, &fence, &error))
        preflight_add_error(preflight, VERDICT_BLOCKED, error);
    snapshot_fence_free(fence);
    checks_end(&preflight->checks, "what it was before is there, and is brought up to date");
}
