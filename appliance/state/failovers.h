/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Operations: tests of recovery points, moves of machines, and what ends one of these; with the
 * journal of their steps. Whoever runs an operation writes each step down before it begins and as
 * soon as it has ended. */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

/* Kinds; those of the second group act on the test or move that is their subject. */
#define STATE_FAILOVER_TEST "test"
#define STATE_FAILOVER_MIGRATE "migrate"
#define STATE_FAILOVER_PLAN "plan"
#define STATE_FAILOVER_CLEANUP "test-cleanup"
#define STATE_FAILOVER_CHECK "check" /* whether a machine that has moved is well */
#define STATE_FAILOVER_ROLLBACK "rollback"
#define STATE_FAILOVER_COMPLETE "complete"
#define STATE_FAILOVER_REVERSE "reverse"

enum state_failover_state {
    FAILOVER_WAITING,   /* for its time */
    FAILOVER_RUNNING,   /* forward */
    FAILOVER_RETURNING, /* it failed or was cancelled, and goes back */
    FAILOVER_LIVE,      /* the test stands, the machine runs at the target */
    FAILOVER_STUCK,     /* it neither went on nor back: somebody has to say what next */
    FAILOVER_DONE,      /* also of a test that was cleaned up, a move that was completed */
    FAILOVER_UNDONE,    /* a move that was rolled back */
    FAILOVER_FAILED,    /* and gone back: all is as before */
    FAILOVER_CANCELLED, /* likewise */
};

/* When one is due that waits for the end of another, and for no time. */
#define FAILOVER_DUE_AFTER G_MAXINT64

/* "waiting", "running", … */
const char *state_failover_word(enum state_failover_state state);

/* From waiting to stuck: there is something of it, or will be. */
gboolean state_failover_is_open(enum state_failover_state state);

/* Owns its members. Times and numbers are 0 where there is none. */
struct state_failover {
    gint64 id;
    char *kind;
    gint64 machine;
    gint64 subject; /* an operation */
    gint64 job;     /* the latest of its jobs */
    char *target;   /* a host; NULL for a plan without one */
    gint64 recovery_point;
    enum state_failover_state state;
    char *verdict; /* "passed", "failed" or NULL */
    char *who;
    JsonObject *options; /* as asked for, never NULL */
    JsonObject *error;   /* "code", "message", "hint"; or NULL */
    gint64 asked_us, started_us, ended_us;
    gint64 due_us; /* when something happens by itself: it begins, is cleaned up, is rolled back */
};

void state_failover_free(struct state_failover *failover);

/* Adds it, all members but id, which is set. Error missing when there is no such subject. */
gboolean state_failover_add(struct state *state, struct state_failover *failover, GError **error);

/* Saves what may change: job, recovery_point, state, verdict, error, started_us, ended_us, due_us.
 */
gboolean state_failover_save(struct state *state, const struct state_failover *failover,
                             GError **error);

/* Owned by the caller; error missing. */
struct state_failover *state_failover_get(struct state *state, gint64 id, GError **error);

/* Which to list: members that are 0 or NULL do not choose. */
struct state_failover_filter {
    gint64 machine;
    gint64 subject;
    const char *kind;
    gboolean open; /* only those that are */
    gint64 before; /* only ids below */
    guint limit;   /* 0: no limit */
};

/* From the newest on: an array of struct state_failover, owned by the caller. */
GPtrArray *state_failover_list(struct state *state, const struct state_failover_filter *filter,
                               GError **error);

/* When a test of the machine passed last, and of which recovery point; 0: never. */
gboolean state_failover_last_passed(struct state *state, gint64 machine, gint64 *ret_at_us,
                                    gint64 *ret_recovery_point, GError **error);

/* Removes operations that ended before that time, and the oldest of more than keep that have ended,
 * each with its journal and with what ended it. Those stay of which something is open or still
 * needed: the newest of each kind of a machine, its last test that passed, where it came from, a
 * rehearsal's latest. At most 200 with what ended them at a time; the caller owns the array of
 * gint64, their numbers. */
GArray *state_failover_prune(struct state *state, gint64 before_us, guint keep, GError **error);

/* --- the journal ---------------------------------------------------------------------------------
 */

struct state_failover_step {
    gint64 seq; /* from 1 */
    char *step;
    gint64 begun_us;
    gint64 ended_us;    /* 0: it is being done, or was when the daemon ended */
    JsonObject *result; /* NULL: it has not ended, or failed */
    JsonObject *error;
};

void state_failover_step_free(struct state_failover_step *step);

/* In the order in which they began: an array of struct state_failover_step, owned by the caller. */
GPtrArray *state_failover_steps(struct state *state, gint64 failover, GError **error);

/* A step is about to begin; *ret_seq is its number. */
gboolean state_failover_step_begin(struct state *state, gint64 failover, const char *step,
                                   gint64 *ret_seq, GError **error);

/* It has ended: with a result, or with an error. */
gboolean state_failover_step_end(struct state *state, gint64 failover, gint64 seq,
                                 JsonObject *result, JsonObject *reason, GError **error);

/* What became of each step that was done, by its name; a later time replaces an earlier one. Facts
 * of the subject, if there is one, come first. The caller owns the object. */
JsonObject *state_failover_facts(struct state *state, const struct state_failover *failover,
                                 GError **error);

/* --- us ------------------------------------------------------------------------------------------
 */

/* Which daemon this state belongs to, among those that share a store: 16 hexadecimal digits, owned
 * by the caller. */
char *state_appliance_id(struct state *state, GError **error);
