/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Replications as JSON: the same for the API and for events. */

#include "appliance/state/replications.h"

/* Settings, what became of it, and its lag now. The caller owns it. */
JsonObject *replication_to_json(const struct state_replication *replication);

/* The state of a machine as people know it: "replicating", "paused", "error", … */
const char *replication_state_word(const struct state_replication *replication);

/* Its machine moves, has moved or comes back. */
gboolean replication_is_moving(const struct state_replication *replication);

/* It is being ended, and tried again until it is. */
gboolean replication_is_stopping(const struct state_replication *replication);
