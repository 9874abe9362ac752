/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Jobs: whatever takes time, asked for, running or over, with a bounded number of events each. */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

/* Kinds and states, as they stand in the database and in JSON. */
#define STATE_JOB_CYCLE "cycle"
#define STATE_JOB_CLEANUP "cleanup"
#define STATE_JOB_VERIFY "verify"
/* The other kinds are those of operations, in failovers.h. */
#define STATE_JOB_QUEUED "queued"
#define STATE_JOB_RUNNING "running"
#define STATE_JOB_DONE "done"
#define STATE_JOB_FAILED "failed"
#define STATE_JOB_CANCELLED "cancelled"

/* Owns its members. Times are 0 where there is none. */
struct state_job {
    gint64 id;
    char *kind;
    gint64 machine;
    JsonObject *parameters; /* or NULL */
    char *state;
    char *who;
    gint64 attempt; /* from 1 */
    gint64 queued_us, started_us, ended_us;
    char *step; /* what it is doing, or NULL */
    gint64 done_bytes, total_bytes, rate;
    JsonObject *result; /* or NULL */
    JsonObject *error;  /* "code", "message", "hint"; or NULL */
    gint64 child_pid;
    gint64 child_start;
};

void state_job_free(struct state_job *job);

/* Adds a job with its kind, machine, parameters, state, who, attempt, queued_us and, if it runs
 * already, started_us, child_pid and child_start; sets its id. */
gboolean state_job_add(struct state *state, struct state_job *job, GError **error);

/* A queued job runs now: its started_us, child_pid and child_start are saved. */
gboolean state_job_start(struct state *state, const struct state_job *job, GError **error);

/* Another process does it now, or none: its child_pid and child_start are saved. */
gboolean state_job_set_child(struct state *state, const struct state_job *job, GError **error);

/* A job that failed waits again: its attempt and error are saved. */
gboolean state_job_requeue(struct state *state, const struct state_job *job, GError **error);

/* What was asked for has changed; parameters is borrowed. */
gboolean state_job_set_parameters(struct state *state, gint64 id, JsonObject *parameters,
                                  GError **error);

/* How far it is. */
gboolean state_job_set_progress(struct state *state, const struct state_job *job, GError **error);

/* It is over, as job_state says. result and reason ("code", "message", "hint") may be NULL. */
gboolean state_job_end(struct state *state, gint64 id, const char *job_state, JsonObject *result,
                       JsonObject *reason, GError **error);

/* The job, owned by the caller. Error missing. */
struct state_job *state_job_get(struct state *state, gint64 id, GError **error);

/* Which jobs to list: members that are 0 or NULL do not choose. */
struct state_job_filter {
    gint64 machine;
    const char *state;
    gint64 before; /* only ids below */
    guint limit;   /* 0: no limit */
};

/* Jobs from the newest on: an array of struct state_job, owned by the caller. */
GPtrArray *state_job_list(struct state *state, const struct state_job_filter *filter,
                          GError **error);

/* Those that are queued or running, from the oldest on. */
GPtrArray *state_job_list_unfinished(struct state *state, GError **error);

/* Keeps an event of the job; of more than 200 the oldest go. */
gboolean state_job_event_add(struct state *state, gint64 job, gint64 at_us, JsonObject *event,
                             GError **error);

/* The job's events from the oldest on, as objects with "seq" and "at" added: an array owned by the
 * caller. */
JsonArray *state_job_event_list(struct state *state, gint64 job, GError **error);

/* Removes jobs that ended before that time, and the oldest of more than keep that have ended; at
 * most 200 at a time, so that it does not take long. *ret_removed tells how many. */
gboolean state_job_prune(struct state *state, gint64 before_us, guint keep, guint *ret_removed,
                         GError **error);
