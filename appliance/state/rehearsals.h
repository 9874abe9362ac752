/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Rehearsals: tests of a machine that begin by themselves. */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

struct state_rehearsal {
    gint64 machine;
    char *who;
    JsonObject *plan; /* interval_days or weekday, time, options of the test */
    gint64 next_us;
    gint64 failover; /* the latest test, 0: none yet */
};

void state_rehearsal_free(struct state_rehearsal *rehearsal);

/* All, by machine. The caller owns the array, which owns the struct state_rehearsal. */
GPtrArray *state_rehearsal_list(struct state *state, GError **error);

/* The caller owns it; error missing when there is none. */
struct state_rehearsal *state_rehearsal_get(struct state *state, gint64 machine, GError **error);

/* Sets or replaces what somebody wants of the machine. Error missing: no such machine. */
gboolean state_rehearsal_set(struct state *state, const struct state_rehearsal *rehearsal,
                             GError **error);

/* Saves next_us and failover: what happens by itself, without audit. */
gboolean state_rehearsal_progress(struct state *state, const struct state_rehearsal *rehearsal,
                                  GError **error);

gboolean state_rehearsal_remove(struct state *state, const char *who, gint64 machine,
                                GError **error);
