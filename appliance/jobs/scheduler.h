/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The scheduler: which machine is worked on when, by child processes, and what became of it. It
 * lives in the main thread and nothing in it waits: it has one timer for whatever is due next, and
 * hears of its children from the main loop.
 *
 * Verbs change the state and its audit in somebody's name (who), then act on it. Their errors:
 * missing (no such machine or job, not replicated), config (a setting that cannot be), conflict (it
 * does not fit what is going on). */

#include "appliance/events/event-hub.h"
#include "appliance/inventory/inventory.h"
#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

struct scheduler;

/* Reads what is replicated and what was going on, and goes on with it once that is reconciled with
 * what children and stores say. What it is given is borrowed and outlives it. */
struct scheduler *scheduler_new(struct state *state, struct event_hub *hub,
                                struct inventory *inventory, GError **error);

/* Children that still run are left to end by themselves. NULL is fine. */
void scheduler_free(struct scheduler *scheduler);

/* Starts nothing more, gives running jobs some time (setting drain_s), cancels those that need
 * longer, and calls back once none is left. */
void scheduler_drain(struct scheduler *scheduler, void (*drained)(void *data), void *data);

/* The settings have changed. */
gboolean scheduler_reload(struct scheduler *scheduler, GError **error);

/* Starts to replicate a machine, with settings by name: store, interval_s, retain, exclude_disks,
 * bandwidth, blackout, consistency, priority. *ret_job is the job of the first copy. */
gboolean scheduler_replicate(struct scheduler *scheduler, const char *who, gint64 machine,
                             JsonObject *settings, gint64 *ret_job, GError **error);

/* Changes some of them; null goes back to the default. */
gboolean scheduler_change(struct scheduler *scheduler, const char *who, gint64 machine,
                          JsonObject *changes, GError **error);

/* A cycle now, also in a blackout or a pause; *ret_job may be one that waits or runs already. */
gboolean scheduler_sync(struct scheduler *scheduler, const char *who, gint64 machine,
                        gint64 *ret_job, GError **error);

/* No cycle begins by itself any more, until resumed. One that runs goes on. */
gboolean scheduler_pause(struct scheduler *scheduler, const char *who, gint64 machine,
                         GError **error);
gboolean scheduler_resume(struct scheduler *scheduler, const char *who, gint64 machine,
                          GError **error);

/* Ends the replication: *ret_job removes what is ours on the host and, unless it is kept, the
 * replica. It is tried until it is done, also over restarts. abandon: the host, which may be gone
 * for good, is left as it is; this may be said later, too, of an end that does not come. */
gboolean scheduler_stop(struct scheduler *scheduler, const char *who, gint64 machine,
                        gboolean keep_replica, gboolean abandon, gint64 *ret_job, GError **error);

/* Proves a recovery point; 0 is the latest. */
gboolean scheduler_verify(struct scheduler *scheduler, const char *who, gint64 machine,
                          gint64 recovery_point, gint64 *ret_job, GError **error);

/* Cancels a job that waits or runs. One that ends a replication cannot be cancelled. */
gboolean scheduler_cancel(struct scheduler *scheduler, const char *who, gint64 job, GError **error);

/* --- for whoever moves machines ------------------------------------------------------------------
 *
 * While the replication's state is migrating, migrated or rolling-back, no cycle begins but those
 * asked for here, and nobody else's wish for the machine is heard. */

/* Who moves it has changed the machine's replication in the state, or removed it. */
void scheduler_moved(struct scheduler *scheduler, gint64 machine);

/* A cycle with parameters: operation (a number), final, verify, lease; they are taken. One that
 * runs goes on first. Its end is told as that of any job. */
gboolean scheduler_pass(struct scheduler *scheduler, const char *who, gint64 machine,
                        JsonObject *parameters, gint64 *ret_job, GError **error);

struct alerting *scheduler_alerting(struct scheduler *scheduler);

/* The clocks that schedules go by. Borrowed. */
GTimeZone *scheduler_zone(struct scheduler *scheduler);

/* What of the past is kept, of operations as of jobs: so many that have ended, returned, of those
 * that did not end before that time. Looked after this long after the start, again at once while
 * there is more to remove, and then and when. */
#define SCHEDULER_FIRST_PRUNE_S 5u
#define SCHEDULER_PRUNE_S 600u
guint scheduler_history(const struct scheduler *scheduler, gint64 *ret_before_us);

/* How it goes. */
struct scheduler_figures {
    guint running;  /* jobs */
    guint waiting;  /* due, and not running */
    guint machines; /* replicated */
    gint64 late_us; /* by how much the latest start of the last hour was later than due */
};

void scheduler_get_figures(const struct scheduler *scheduler,
                           struct scheduler_figures *ret_figures);

/* How old a replication's latest recovery point is; 0: there is none yet. */
struct state_replication;
gint64 scheduler_lag_us(const struct state_replication *replication, gint64 now_us);
