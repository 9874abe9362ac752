/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The machine's replica, for steps that take things away: that it is not there is no error, that
 * the store cannot be had is one. */

#include "appliance/cycle/opened-machine.h"
#include "appliance/steps/step-work.h"

/* Opens it for reading. *ret_gone: the store is there, and has no such machine; opened is empty
 * then. Closed by opened_machine_close either way. */
gboolean step_replica_open(const struct step_work *work, struct opened_machine *opened,
                           gboolean *ret_gone, GError **error);
