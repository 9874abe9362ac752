/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Replications: which machine goes to which store, what the operator set, and how far it has come.
 */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

struct state_replication {
    gint64 machine; /* its number */
    char *store;
    char *state; /* the scheduler's word: initial-replication, replicating, error, … */
    gboolean paused;

    /* What the operator set. */
    gint64 priority;          /* larger goes first */
    gint64 interval_s;        /* 0: automatic */
    gint64 retain;            /* recovery points, 0: all */
    JsonArray *exclude_disks; /* names, or NULL */
    gint64 bandwidth;         /* bytes a second, 0: no limit */
    char *consistency;        /* or NULL: the best there is */
    JsonArray *blackout;      /* windows, or NULL */

    /* What became of it; 0: not yet. */
    gint64 created_us;
    gint64 next_due_us;
    gint64 last_started_us;
    gint64 last_point;    /* the number of the latest recovery point */
    gint64 last_point_us; /* the time of its snapshot */
    gint64 last_duration_ms;
    gint64 failures;   /* since the last success */
    JsonObject *error; /* or NULL */
    gboolean ever_committed;
};

struct state_replication *state_replication_new(void);
void state_replication_free(struct state_replication *replication);

/* All, by machine. The caller owns the array, which owns the struct state_replication. */
GPtrArray *state_replication_list(struct state *state, GError **error);

/* The caller owns it; error missing when the machine is not replicated. */
struct state_replication *state_replication_get(struct state *state, gint64 machine,
                                                GError **error);

/* Adds it; created_us is set to now when it is 0. Error missing when there is no such machine or
 * store, conflict when the machine is replicated already. detail, for the audit, may be NULL. */
gboolean state_replication_add(struct state *state, const char *who,
                               struct state_replication *replication, JsonObject *detail,
                               GError **error);

/* Saves store, paused and what the operator set, as asked for by somebody. action, such as
 * replication.pause, and detail go to the audit. */
gboolean state_replication_change(struct state *state, const char *who, const char *action,
                                  const struct state_replication *replication, JsonObject *detail,
                                  GError **error);

/* Saves state, paused and what became of it: what the scheduler does by itself, without audit. */
gboolean state_replication_progress(struct state *state,
                                    const struct state_replication *replication, GError **error);

/* It is about another machine from now on: the one that machine has become elsewhere. Error
 * conflict when that is replicated already. */
gboolean state_replication_turn(struct state *state, gint64 machine, gint64 to, GError **error);

/* who NULL: the end of what somebody asked for before, without another line in the audit. */
gboolean state_replication_remove(struct state *state, const char *who, gint64 machine,
                                  JsonObject *detail, GError **error);

/* Error conflict when a machine of that host is replicated, or one to that store; either is NULL.
 */
gboolean state_replication_check_none(struct state *state, const char *host, const char *store,
                                      GError **error);
