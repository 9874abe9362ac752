/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the scheduler share. All of it belongs to the main thread. */

#include "appliance/jobs/alerting.h"
#include "appliance/jobs/job-child.h"
#include "appliance/jobs/queue.h"
#include "appliance/jobs/schedule.h"
#include "appliance/jobs/scheduler.h"
#include "appliance/state/jobs.h"
#include "appliance/state/replications.h"

#include <gio/gio.h>

/* Of the appliance as a whole. */
struct scheduler_settings {
    struct queue_limits limits;
    struct schedule_auto automatic;
    gint64 minimum_interval_s;
    gint64 drain_s;
    gint64 keep_days;
    gint64 keep_jobs;
    gint64 alert_failures;
    gint64 alert_store_free_percent;
    double lag_factor;
    guint64 bandwidth;            /* bytes a second, 0: no limit */
    GPtrArray *bandwidth_windows; /* struct bandwidth_window */
    GTimeZone *zone;
};

struct unit;

/* One job: it waits in the queue, or runs. A scheduled cycle has no row, and job->id 0, until it
 * starts. */
struct task {
    struct scheduler *scheduler;
    struct unit *unit;
    struct queue_entry entry; /* owner: this */
    struct state_job *job;
    gboolean waiting;        /* the queue holds the entry */
    struct job_child *child; /* while it runs */
    GError *start_error;     /* of a child that could not be started, until that is dealt with */
    guint start_idle;
    gboolean cancelled;
    const char *cancelled_why;
    guint64 bandwidth; /* as told to the child, which waits for it */
    gboolean bandwidth_told;
    GHashTable *disks;  /* name → struct disk_progress */
    GPtrArray *events;  /* struct task_event: not in the state yet */
    gboolean dirty;     /* there is something to save */
    gint64 measured_us; /* when the rate was measured last */
    gint64 measured_bytes;
};

/* A replicated machine. */
struct unit {
    struct scheduler *scheduler;
    struct state_replication *replication;
    const char *host;               /* interned: queue entries point to it */
    char *uuid, *name, *store_path; /* as they are known now */
    struct schedule_calendar *blackout;
    struct task *task;      /* the cycle or clean-up that waits or runs, or NULL */
    struct state_job *next; /* what was asked for while the task runs, or NULL */
    struct task *verify;    /* waits or runs, or NULL */
    gint64 since_us; /* from when on cycles could run: not while paused, nor before the start */
    gboolean held;   /* until it is reconciled, nothing starts */
    GPtrArray *interrupted; /* struct state_job: ran when an earlier daemon ended; or NULL */
};

struct scheduler {
    struct state *state;
    struct event_hub *hub;
    struct inventory *inventory;
    struct scheduler_settings settings;
    struct queue *queue;
    struct alerting *alerting;
    GHashTable *units;     /* gint64 → struct unit, owned */
    GPtrArray *running;    /* struct task */
    GCancellable *closing; /* of what goes on in other threads */
    GPtrArray *orphans;    /* struct watched: children of an earlier daemon, or NULL */
    guint timer;           /* for what is due next */
    guint save_timer;      /* while tasks have something to save */
    guint prune_timer;
    gint64 late_us; /* worst of this hour */
    gint64 late_since_us;
    gboolean draining;
    guint drain_timer;
    void (*drained)(void *data);
    void *drained_data;
};

/* --- scheduler.c ---------------------------------------------------------------------------------
 */

/* Starts what is due and allowed, and sets the timer for the rest. */
void scheduler_pump(struct scheduler *scheduler);

/* Tells the hub what the replication is now. */
void scheduler_publish_replication(struct scheduler *scheduler, const struct unit *unit);

/* What a unit's machine is to do next has changed: plans it anew, and tells. */
void scheduler_replan(struct unit *unit);

/* Lets a job wait that is in the state since just now; takes it. Returns its number. */
gint64 scheduler_ask(struct unit *unit, struct state_job *job);

/* Lets the unit have this replication, of the same machine; takes it. */
void scheduler_replace_replication(struct unit *unit, struct state_replication *replication);

/* NULL with error missing: it is not replicated. */
struct unit *scheduler_find(struct scheduler *scheduler, gint64 machine, GError **error);

/* An error of the scheduler's own work on the state: it is logged, there is nobody to tell. */
void scheduler_complain(const char *doing, const GError *error);

/* --- scheduler-settings.c ------------------------------------------------------------------------
 */

gboolean scheduler_settings_load(struct scheduler_settings *settings, struct state *state,
                                 GError **error);
void scheduler_settings_clear(struct scheduler_settings *settings);

/* The total for now, and when it changes. */
guint64 scheduler_bandwidth(const struct scheduler_settings *settings, gint64 now_us,
                            gint64 *ret_until_us);

/* Takes over the settings that an operator gave; with all, those not given get their default.
 * Error config. */
gboolean replication_settings_apply(struct state_replication *replication, JsonObject *settings,
                                    gboolean all, struct state *state,
                                    const struct scheduler_settings *bounds, GError **error);

/* --- unit.c --------------------------------------------------------------------------------------
 */

/* Takes the replication; looks up what else is needed. */
struct unit *unit_new(struct scheduler *scheduler, struct state_replication *replication,
                      GError **error);
void unit_free(struct unit *unit);

/* The settings, the store's or the machine's name may have changed. */
gboolean unit_refresh(struct unit *unit, GError **error);

/* An array of windows, or NULL. */
struct schedule_calendar *unit_calendar(JsonArray *windows, GTimeZone *zone, GError **error);

gint64 unit_interval_us(const struct unit *unit);

/* Its machine moves, has moved or comes back: nothing begins by itself, and nobody but who moves it
 * asks for anything. */
gboolean unit_is_moving(const struct unit *unit);

/* Lets the unit's next job wait for its time: what was asked for, else the next scheduled cycle. */
void unit_plan(struct unit *unit);

/* Lets a job that somebody asked for wait, in place of a scheduled one; takes it. One that runs
 * goes on first. */
void unit_ask(struct unit *unit, struct state_job *job);

/* What the end of a cycle means for the replication: sets its fields, saves nothing. error NULL:
 * result is the recovery point. */
void unit_take_result(struct unit *unit, gint64 started_us, JsonObject *result, const GError *error,
                      gboolean cancelled);

/* --- scheduler-verbs.c ---------------------------------------------------------------------------
 */

/* What somebody asked for before, and what has not begun, is cancelled in the state: something else
 * is asked for in its place. */
gboolean scheduler_save_replaced(const struct unit *unit, GError **error);

/* Queued, in somebody's name; takes the parameters. */
struct state_job *scheduler_new_job(const char *kind, gint64 machine, const char *who,
                                    JsonObject *parameters);

/* --- task.c --------------------------------------------------------------------------------------
 */

/* Takes the job. */
struct task *task_new(struct unit *unit, struct state_job *job, enum queue_rank rank,
                      gint64 due_us);
void task_free(struct task *task);
void task_wait(struct task *task);

/* The queue has given the entry back: starts the child. */
void task_start(struct task *task);
void task_cancel(struct task *task, const char *why);

/* Tells the child what it may read a second. */
void task_set_bandwidth(struct task *task, guint64 bandwidth);

/* Tells the hub what the job is now. */
void job_publish(struct scheduler *scheduler, const struct state_job *job);

/* --- task-progress.c -----------------------------------------------------------------------------
 */

/* One event of a child: the job's step, bytes and rate, and what is kept of it. */
GPtrArray *task_events_new(void);
void task_take_event(struct task *task, const char *event, JsonObject *line);
void task_measure(struct task *task);
gboolean task_save_events(struct task *task, GError **error);

/* --- reconcile.c ---------------------------------------------------------------------------------
 */

/* Settles what an earlier daemon left unfinished, and lets each unit go when it is. */
gboolean scheduler_reconcile(struct scheduler *scheduler, GError **error);
