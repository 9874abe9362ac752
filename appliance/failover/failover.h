/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tests of recovery points, and moves of machines to another host: what operators ask for, and what
 * happens by itself. An operation is a sequence of steps, each a child process or a cycle of the
 * scheduler, and each written down before it begins and when it has ended: however this daemon
 * ends, the next one goes on, or goes back. It lives in the main thread and nothing in it waits.
 *
 * Each operation is a job, too, whose events tell the steps. Verbs change the state and its audit
 * in somebody's name (who). Their errors: missing (no such machine, target, operation; not
 * replicated), config (an option that cannot be), conflict (it does not fit what is going on: the
 * message names the operation, its job and who asked for it), unsupported. */

#include "appliance/events/event-hub.h"
#include "appliance/inventory/inventory.h"
#include "appliance/jobs/scheduler.h"
#include "appliance/state/failovers.h"
#include "appliance/state/rehearsals.h"

struct failovers;

/* Goes on with what an earlier daemon left open. folder is for evidence, such as screenshots; all
 * of it is borrowed and outlives the failovers. */
struct failovers *failovers_new(struct state *state, struct event_hub *hub,
                                struct scheduler *scheduler, struct inventory *inventory,
                                const char *folder, GError **error);

/* Steps that run are ended; the next daemon does them again. NULL is fine. */
void failovers_free(struct failovers *failovers);

/* No step begins any more. */
void failovers_drain(struct failovers *failovers);

/* Which operation it has become, and as which job. */
struct failover_ids {
    gint64 operation;
    gint64 job;
};

/* Each verb: options as an object, whose members the API knows; it is borrowed. */
#define FAILOVER_VERB(name)                                                                        \
    gboolean name(struct failovers *failovers, const char *who, gint64 machine,                    \
                  JsonObject *options, struct failover_ids *ret_ids, GError **error)

/* Starts a clone of a recovery point beside the machine, and looks whether it is well: target,
 * recovery_point (0: the latest), network, name_suffix, wait_s, probes, cleanup_after_s. It stands
 * until it is cleaned up; one that fails is cleaned up at once. */
FAILOVER_VERB(failover_test);

/* Takes a test away: test (an operation; none: all of the machine's, of which ret_ids is one). */
FAILOVER_VERB(failover_cleanup);

/* Moves the machine: target, shutdown, shutdown_deadline_s, on_deadline, final_pass_s, max_passes,
 * verify, on_failure, probes, at, commit_after_s, rollback_unless, require_test_days. Asked again
 * for a move that is stuck, it goes on from where that is. */
FAILOVER_VERB(failover_migrate);

/* What a move would do, with the same options: the job's result. Nothing is changed. */
FAILOVER_VERB(failover_plan);

/* The move stays: it is not rolled back by itself any more. ret_ids is the move. */
FAILOVER_VERB(failover_confirm);

/* Undoes a move that stands or is stuck: keep_disks, deadline_s, abandon_target. */
FAILOVER_VERB(failover_rollback);

/* Ends a move for good: disks. The machine belongs to the target, and the replication is over. */
FAILOVER_VERB(failover_complete);

/* Turns a move round: the target is replicated, so that the way back is a delta. */
FAILOVER_VERB(failover_reverse);

/* Cancels the operation whose job that is: what was done of it is undone. Error conflict when it is
 * too late for that. */
gboolean failover_cancel(struct failovers *failovers, const char *who, gint64 job, GError **error);

/* Whether jobs of that kind are operations. */
gboolean failover_is_kind(const char *kind);

/* An operation with its steps, and the command to type next; the caller owns it. */
JsonObject *failover_to_json(struct failovers *failovers, const struct state_failover *failover,
                             GError **error);

/* Where a screenshot of the operation lies, if it has one; the caller owns it. */
char *failover_screenshot(struct failovers *failovers, const struct state_failover *failover,
                          GError **error);

/* Lets tests of the machine begin by themselves: interval_days, or weekday (0 to 6, from Monday
 * on); time ("HH:MM" by the clocks of the schedule); options, those of a test. */
gboolean failover_rehearse(struct failovers *failovers, const char *who, gint64 machine,
                           JsonObject *plan, GError **error);

/* {machine, …plan, next_at, last: {operation, verdict, at}}; the caller owns it. Error missing. */
JsonObject *failover_rehearsal(struct failovers *failovers, gint64 machine, GError **error);

gboolean failover_rehearse_no_more(struct failovers *failovers, const char *who, gint64 machine,
                                   GError **error);
