/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of this folder share. All of it belongs to the main thread. */

#include "appliance/failover/failover.h"
#include "appliance/failover/sequence.h"
#include "appliance/jobs/alerting.h"
#include "appliance/jobs/job-child.h"
#include "appliance/jobs/orphan.h"
#include "appliance/state/jobs.h"
#include "appliance/state/machines.h"
#include "appliance/state/targets.h"

/* An operation with steps to do. */
struct operation {
    struct failovers *failovers;
    struct state_failover *failover;
    struct state_failover *subject; /* the operation that it ends, or NULL */
    struct state_failover *first;   /* the move that a move home has come back from, or NULL */
    struct state_job *job;
    char *machine_name;
    gboolean nbd;
    GPtrArray *journal;         /* struct state_failover_step */
    GPtrArray *subject_journal; /* or NULL */
    GPtrArray *first_journal;   /* or NULL */

    /* The step that is being done, or NULL; what came of it until that is written down. */
    const struct sequence_step *step;
    gint64 seq;
    struct job_child *child;
    JsonObject *result;
    GError *error;
    guint tries;

    /* Cycles of the scheduler. */
    gint64 pass_job; /* the one under way, or 0 */
    gint64 pass_count;
    gint64 pass_bytes;

    /* Before a step that judges, the hosts are looked at. */
    guint looks; /* that have not come back */
    gboolean looked;

    gboolean cancelled;
    gint64 resumed_us; /* when this daemon began, if an earlier one has begun it */
    gboolean moved;    /* the replication's state has changed */
    gint64 turned;     /* the machine that is replicated instead from now on, or 0 */
    guint timer;       /* for whatever is next */
    guint save_timer;
    struct orphan *orphan; /* the child of an earlier daemon, until it has ended */
};

struct failovers {
    struct state *state;
    struct event_hub *hub;
    struct scheduler *scheduler;
    struct inventory *inventory;
    char *folder;
    char *appliance;
    GHashTable *operations; /* gint64 → struct operation, owned */
    guint subscription;
    guint timer; /* for what is due next */
    guint history_timer;
    GPtrArray *abandoned; /* of abandoned.c */
    guint abandoned_timer;
    guint serving_timer;
    guint serving_wait_s;
    gboolean draining;
    gboolean looking;
};

/* --- operation.c ---------------------------------------------------------------------------------
 */

/* Takes the row, reads what belongs to it. */
struct operation *operation_new(struct failovers *failovers, struct state_failover *failover,
                                GError **error);
void operation_free(struct operation *operation);

/* Does what is next, in another turn of the main loop, after a while. */
void operation_go(struct operation *operation, guint delay_ms);

/* Ends the step; what follows is the way back. */
void operation_cancel(struct operation *operation);

/* What came of the step; result and reason are borrowed. */
void operation_step_ended(struct operation *operation, JsonObject *result, const GError *reason);

struct sequence_input operation_input(const struct operation *operation);

/* An event of the job: kept with it; the object is taken. */
gboolean operation_note(struct operation *operation, JsonObject *event, GError **error);
void operation_publish(const struct operation *operation);

/* The job's progress has changed: saved and told within a second. */
void operation_touch(struct operation *operation);

/* --- operation-end.c -----------------------------------------------------------------------------
 */

/* Within the transaction in which the step's end is written: what it means for the operation, its
 * subject and the machine. *ret_over: nothing is left to do. */
gboolean operation_decide(struct operation *operation, gboolean *ret_over, GError **error);

/* With a result, or else with a reason. */
gboolean operation_end_job(struct operation *operation, const char *outcome, JsonObject *reason,
                           GError **error);

/* What goes back, or is served again, waits for a host that comes back, for a while. */
#define OPERATION_TRIES_MAX 4u

/* After it: tells everybody. The operation may be gone afterwards. */
void operation_decided(struct operation *operation, gboolean over);

/* Whether the move is one after which the machine runs at the target alone. */
gboolean operation_is_move(const struct operation *operation);

/* --- follow.c ------------------------------------------------------------------------------------
 */

/* What somebody should know of the operation that has no steps left, and what happens next because
 * of it. */
void follow_operation(struct operation *operation);

/* --- serving.c -----------------------------------------------------------------------------------
 */

/* The operation's job is only to have disks served once more: a parameter of the job. */
#define JOB_SERVE_AGAIN "serve_again"
gboolean operation_serves_again(const struct operation *operation);

/* Has the disks served once more that the operation's machine at the target stands on, if there is
 * one, and nothing else is being done about it. */
gboolean serving_begin(struct failovers *failovers, gint64 id, GError **error);

/* What the end of that step means, as operation_decide and follow_operation. */
gboolean serving_decide(struct operation *operation, gboolean *ret_over, GError **error);
void serving_follow(struct operation *operation);

/* --- abandoned.c ---------------------------------------------------------------------------------
 */

/* From now on, what was left on targets that were abandoned is looked for: first what the state
 * knows of, then what rollbacks leave that are done. */
gboolean abandoned_begin(struct failovers *failovers, GError **error);
void abandoned_note(struct failovers *failovers, const struct state_failover *rollback);
void abandoned_end(struct failovers *failovers);

/* --- passes.c ------------------------------------------------------------------------------------
 */

void operation_passes(struct operation *operation);

/* A job of the scheduler has changed. */
void passes_heard(struct failovers *failovers, JsonObject *job);

/* --- work.c --------------------------------------------------------------------------------------
 */

/* The line for a step's process; owned by the caller. */
char *operation_work(const struct operation *operation, const char *step, GError **error);

/* Whether the step is one that judges whether and how the machine can move: it is told what is
 * known, once the hosts have been looked at. */
gboolean operation_step_judges(const char *step);

/* By what cycles of the machine are known to be ours while it moves; owned by the caller. */
char *operation_lease(const struct operation *operation);

/* --- failovers.c ---------------------------------------------------------------------------------
 */

/* The operation that has steps to do, or NULL. */
struct operation *failovers_find(struct failovers *failovers, gint64 id);

/* A new row of operation and job, in one transaction with its line in the audit; sets both ids. */
struct failover_request {
    const char *kind;
    const char *who;
    gint64 machine;
    const struct state_failover *subject; /* or NULL */
    const char *target;
    gint64 recovery_point;
    JsonObject *options;
    gint64 due_us;    /* 0: it begins now */
    const char *word; /* the replication's state from now on, or NULL: it stays */
};
gboolean failovers_begin(struct failovers *failovers, const struct failover_request *request,
                         struct failover_ids *ret_ids, GError **error);

/* A job of the operation that runs from now on; owned by the caller. */
struct state_job *failovers_new_job(const struct state_failover *failover, const char *who);

/* The same of what ends the subject, or looks at it; without options when they are NULL. */
gboolean failovers_begin_on(struct failovers *failovers, const char *kind, const char *who,
                            const struct state_failover *subject, JsonObject *options,
                            struct failover_ids *ret_ids, GError **error);

/* The operation, whose row is taken, has steps to do from now on. */
gboolean failovers_run(struct failovers *failovers, struct state_failover *failover,
                       GError **error);

/* The replication's word for the machine, in the state; NULL: it is not replicated any more. Then
 * scheduler_moved lets the scheduler see. */
gboolean failovers_set_word(struct failovers *failovers, gint64 machine, const char *word,
                            GError **error);

/* Whether a move that stands still has something to do, such as bringing its disks. */
gboolean failovers_has_steps(struct failovers *failovers, const struct state_failover *move);

/* Where the operation's screenshot goes; owned by the caller. */
char *failover_evidence_path(struct failovers *failovers, gint64 operation);

/* The sum of a member over the disks of a cycle's result. */
guint64 failover_sum_of_disks(JsonObject *result, const char *name);

/* Words of a replication while its machine moves. */
#define WORD_MIGRATING "migrating"
#define WORD_MIGRATED "migrated"
#define WORD_ROLLING_BACK "rolling-back"
#define WORD_REPLICATING "replicating"

/* --- timers.c ------------------------------------------------------------------------------------
 */

/* When the move was asked to begin, 0: at no time. Before that, it is looked at once more. */
gint64 failovers_planned_us(const struct state_failover *move);

/* Looks what is due, and sets the timer for the rest. */
void failovers_look(struct failovers *failovers);

/* Whether the move, which waits for its time, could go now. */
gboolean failovers_check_waiting(struct failovers *failovers, const struct state_failover *move,
                                 struct failover_ids *ret_ids, GError **error);

/* It will not begin. */
gboolean failovers_close_waiting(struct failovers *failovers, struct state_failover *move,
                                 GError **error);

/* Moves that wait for the way back of the one before begin, or do not, as that ended. */
void failovers_wake(struct failovers *failovers, const struct state_failover *before,
                    gboolean free_now);

/* Begins the way back, because of what was asked for before. */
void failovers_roll_back(struct failovers *failovers, const struct state_failover *move);

/* --- history.c -----------------------------------------------------------------------------------
 */

/* From now on forgets operations as jobs are forgotten; until history_timer is removed. */
void history_begin(struct failovers *failovers);

/* --- rehearsals.c --------------------------------------------------------------------------------
 */

/* Starts the tests that are due. Returns when the next one is, G_MAXINT64: never. */
gint64 rehearsals_look(struct failovers *failovers, gint64 now_us);

/* --- failover-json.c -----------------------------------------------------------------------------
 */

/* The command to type next, owned by the caller; NULL: there is none. */
char *failover_next_command(const struct state_failover *failover, const char *machine_name);

/* How long the machine ran nowhere; 0: it is not known, or it never was so. */
gint64 failover_downtime_ms(const struct state_failover *failover, const GPtrArray *journal);
