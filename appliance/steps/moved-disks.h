/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the disks of a machine that was moved away hold: a recovery point, for as long as nobody
 * writes to them. The fence's note has it. */

#include "appliance/steps/step-work.h"

/* In the place of a state, while we write to them. */
#define MOVED_DISKS_WRITING "writing"

/* A word for their state as it is now, owned by the caller: *ret_state NULL where it cannot be told
 * (devices, another host). Error source. */
gboolean moved_disks_state(const struct step_work *work, char **ret_state, GError **error);

/* Error conflict when they are not any more what they were when their state was that; NULL: it is
 * not known. */
gboolean moved_disks_check(const struct step_work *work, const char *then, GError **error);

/* The recovery point that they hold by the note, if they are as it says; else 0. */
gboolean moved_disks_point(const struct step_work *work, guint64 *ret_point, GError **error);

/* Notes that they hold the recovery point as they are now. */
gboolean moved_disks_note(const struct step_work *work, guint64 point, GError **error);
