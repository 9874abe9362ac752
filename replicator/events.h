/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The JSON lines that landfall-replicate writes: one object a line, with "event" first. Described
 * in landfall-replicate(1). */

#include "replicator/cycle.h"

/* An observer that writes to standard output, and what it shares with the program. */
struct cycle_observer events_observer(void);

/* The last line of a cycle that succeeded, or failed. */
void events_result(const struct manifest *manifest);
void events_error(const GError *error);
