/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The steps of an operation that moves, tests or returns a machine, as they pass. */

#include "appliance/cli/daemon-command.h"

struct steps;

/* The steps of the operation that a job belongs to; NULL when it belongs to none. Borrows daemon.
 */
struct steps *steps_new(struct daemon *daemon, JsonObject *job);
void steps_free(struct steps *steps);

/* Asks for the operation and prints a line for each step that has ended since; on a terminal, one
 * for the step that runs, too. */
gboolean steps_update(struct steps *steps, GError **error);

/* The last steps of the job, which has ended, and, if it is done, what has come of it and what to
 * type next. */
gboolean steps_finish(struct steps *steps, JsonObject *job, GError **error);

/* An operation with all its steps, as they passed, and what has come of it. */
gboolean steps_print_all(JsonObject *operation, GError **error);

/* A table of checks and probes with their verdicts. */
void steps_print_checks(JsonArray *checks);
