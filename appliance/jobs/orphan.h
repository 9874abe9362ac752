/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Children that have outlived the daemon that started them: they were told to end when it died, and
 * nothing of theirs is done again before they have. */

#include "appliance/state/jobs.h"

struct orphan;

/* Calls back from the main loop when the job's child has ended; NULL: there is none any more. The
 * process is known by number and start, so that it is no other. */
struct orphan *orphan_watch(const struct state_job *job, void (*ended)(void *data), void *data);

/* Nobody is called any more. NULL is fine. */
void orphan_free(struct orphan *orphan);
