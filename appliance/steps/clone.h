/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The overlays of an operation's machine, for steps that do not make them. */

#include "appliance/steps/step-work.h"

/* Error conflict when somebody has one of them open, wherever that is seen; none is fine. */
gboolean clone_check_unused(const struct step_work *work, GError **error);
