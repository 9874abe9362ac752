/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a machine was before it was moved away from a host, to which it comes back. */

#include "appliance/steps/source-machine.h"
#include "snapshot/fence.h"

/* Whether it can be brought up to date: it is off, and marked as moved to where the machine comes
 * from now, and its disks are as they were. The work is seen from there (step_work_at_home).
 * *ret_fence belongs to the caller. Errors: conflict, missing, source. */
gboolean home_check(const struct step_work *work, struct snapshot_fence **ret_fence,
                    GError **error);
