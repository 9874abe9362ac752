/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A step of a failover: one thing that is done to a host or to the store, in a process of its own.
 * Each step is idempotent: killed at any instant and run again, it ends as if it had run once. What
 * it undoes, or finds undone, may be gone already. */

#include "appliance/steps/step-work.h"

struct step_run {
    const struct step_work *work;
    const gint *cancelled; /* set once by a signal: what has begun is ended, no more is begun */

    /* One JSON line for who started the process: takes no reference. */
    void (*event)(JsonObject *line);
};

/* What a step has found and made goes to later steps as facts.STEP: the caller owns it; NULL with
 * an error. */
typedef JsonObject *(*step_function)(const struct step_run *run, GError **error);

/* Runs the step that the work names, after checking that the work has what it needs. Errors: config
 * (unknown step, missing members), and those of the step. */
JsonObject *step_perform(const struct step_run *run, GError **error);

/* Something for the timeline; something for the operator's attention; how far it has come. */
void step_note(const struct step_run *run, const char *format, ...) G_GNUC_PRINTF(2, 3);
void step_warn(const struct step_run *run, const char *format, ...) G_GNUC_PRINTF(2, 3);
void step_progress(const struct step_run *run, guint64 done, guint64 total);

/* Error cancelled once that was asked for. */
gboolean step_is_cancelled(const struct step_run *run, GError **error);

/* Waits ms, less when the step is cancelled (FALSE with that error): for what can only be asked
 * again and again, such as a guest that boots. */
gboolean step_wait(const struct step_run *run, guint ms, GError **error);
