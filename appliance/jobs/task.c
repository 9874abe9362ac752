/* SPDX-License-Identifier: Apache-2.0 */

/* A job from the queue to its end: its child is started, heard and judged here. What the end means
 * for the machine is in the state before anybody hears of it. */

#include "appliance/jobs/job-json.h"
#include "appliance/jobs/scheduler-private.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define CANCEL_DEADLINE_S 60u
#define SAVE_MS 1000u

struct task *task_new(struct unit *unit, struct state_job *job, enum queue_rank rank, gint64 due_us)
{
    struct task *task = g_new0(struct task, 1);
    /* It may be on another host by now, or have another name. */
    unit_refresh(unit, NULL);
    task->scheduler = unit->scheduler;
    task->unit = unit;
    task->job = job;
    task->disks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    task->events = task_events_new();
    task->entry = (struct queue_entry){
        .host = unit->host,
        .rank = rank,
        .priority = unit->replication->priority,
        .due_us = due_us,
        .owner = task,
    };
    /* Proving reads the store and leaves hosts alone. */
    if (rank == QUEUE_VERIFY)
        task->entry.host = g_intern_string(unit->store_path);
    return task;
}

void task_free(struct task *task)
{
    if (!task)
        return;
    if (task->waiting)
        queue_withdraw(task->scheduler->queue, &task->entry);
    job_child_free(task->child);
    g_clear_handle_id(&task->start_idle, g_source_remove);
    g_clear_error(&task->start_error);
    g_hash_table_unref(task->disks);
    g_ptr_array_unref(task->events);
    state_job_free(task->job);
    g_free(task);
}

void task_wait(struct task *task)
{
    queue_add(task->scheduler->queue, &task->entry);
    task->waiting = TRUE;
}

void job_publish(struct scheduler *scheduler, const struct state_job *job)
{
    const struct unit *unit = scheduler_find(scheduler, job->machine, NULL);
    g_autoptr(JsonObject) object = job_to_json(job, unit ? unit->name : NULL);
    event_hub_publish(scheduler->hub, "job", object);
}

/* --- saving --------------------------------------------------------------------------------------
 */

static gboolean save_all(struct scheduler *scheduler, GError **error)
{
    for (guint i = 0; i < scheduler->running->len; i++) {
        struct task *task = scheduler->running->pdata[i];
        if (task->dirty && (!state_job_set_progress(scheduler->state, task->job, error) ||
                            !task_save_events(task, error)))
            return FALSE;
    }
    return TRUE;
}

/* One transaction for all of them: a commit is a wait for the disk. */
static void save(struct scheduler *scheduler)
{
    g_autoptr(GError) error = NULL;
    for (guint i = 0; i < scheduler->running->len; i++)
        task_measure(scheduler->running->pdata[i]);
    if (!state_begin(scheduler->state, &error) ||
        !state_end(scheduler->state, save_all(scheduler, &error), &error)) {
        scheduler_complain("note how far jobs are", error);
        return;
    }
    for (guint i = 0; i < scheduler->running->len; i++) {
        struct task *task = scheduler->running->pdata[i];
        if (task->dirty)
            job_publish(scheduler, task->job);
        task->dirty = FALSE;
    }
}

static gboolean on_save(gpointer data)
{
    struct scheduler *scheduler = data;
    save(scheduler);
    scheduler->save_timer = 0;
    return G_SOURCE_REMOVE;
}

static void on_event(void *data, const char *event, JsonObject *line)
{
    struct task *task = data;
    struct scheduler *scheduler = task->scheduler;
    task_take_event(task, event, line);
    if (task->dirty && !scheduler->save_timer)
        scheduler->save_timer = g_timeout_add(SAVE_MS, on_save, scheduler);
}

/* --- the end -------------------------------------------------------------------------------------
 */

static gboolean is_kind(const struct task *task, const char *kind)
{
    return strcmp(task->job->kind, kind) == 0;
}

static void set_outcome(struct state_job *job, const char *state, JsonObject *result,
                        const GError *error)
{
    g_free(job->state);
    job->state = g_strdup(state);
    job->ended_us = state_now_us();
    g_clear_pointer(&job->result, json_object_unref);
    g_clear_pointer(&job->error, json_object_unref);
    job->result = result ? json_object_ref(result) : NULL;
    job->error = error ? error_to_json(error) : NULL;
    job->rate = 0;
    g_clear_pointer(&job->step, g_free);
}

/* An end that must come is tried again as the same job. */
static gboolean save_again(struct task *task, GError **error)
{
    struct state_job *job = task->job;
    g_free(job->state);
    job->state = g_strdup(STATE_JOB_QUEUED);
    job->attempt++;
    job->started_us = job->ended_us = 0;
    return state_job_requeue(task->scheduler->state, job, error) &&
           state_replication_progress(task->scheduler->state, task->unit->replication, error);
}

static gboolean save_end(struct task *task, GError **error)
{
    struct state *state = task->scheduler->state;
    struct state_job *job = task->job;
    gboolean done = strcmp(job->state, STATE_JOB_DONE) == 0;
    if (!task_save_events(task, error) || !state_job_set_progress(state, job, error))
        return FALSE;
    if (is_kind(task, STATE_JOB_CLEANUP) && !done)
        return save_again(task, error);
    if (!state_job_end(state, job->id, job->state, job->result, job->error, error))
        return FALSE;
    if (is_kind(task, STATE_JOB_CYCLE))
        return state_replication_progress(state, task->unit->replication, error);
    return !is_kind(task, STATE_JOB_CLEANUP) ||
           state_replication_remove(state, NULL, job->machine, NULL, error);
}

static void save_end_of(struct task *task)
{
    g_autoptr(GError) error = NULL;
    struct state *state = task->scheduler->state;
    if (!state_begin(state, &error) || !state_end(state, save_end(task, &error), &error))
        scheduler_complain("note the end of a job", error);
}

/* What happens next to the machine, once the task is out of the way. */
static void go_on(struct task *task)
{
    struct unit *unit = task->unit;
    struct scheduler *scheduler = task->scheduler;
    gboolean over =
        is_kind(task, STATE_JOB_CLEANUP) && strcmp(task->job->state, STATE_JOB_DONE) == 0;
    gint64 machine = task->job->machine;
    if (task == unit->verify)
        unit->verify = NULL;
    else
        unit->task = NULL;
    if (strcmp(task->job->state, STATE_JOB_QUEUED) == 0)
        unit->next = g_steal_pointer(&task->job);
    task_free(task);
    if (over) {
        alerting_forget(scheduler->alerting, machine);
        g_hash_table_remove(scheduler->units, &machine);
    } else {
        unit_plan(unit);
    }
    scheduler_pump(scheduler);
}

static void log_failure(const struct task *task, const GError *error)
{
    const char *hint = landfall_error_hint(error);
    g_autofree char *job = g_strdup_printf("%" G_GINT64_FORMAT, task->job->id);
    g_log_structured(G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, "LANDFALL_MACHINE", task->unit->name,
                     "LANDFALL_UUID", task->unit->uuid, "LANDFALL_JOB", job, "LANDFALL_ERROR",
                     landfall_error_name(error), "LANDFALL_HINT", hint ? hint : "", "MESSAGE",
                     "machine %s: %s (job %s) failed: %s%s%s", task->unit->name, task->job->kind,
                     job, error->message, hint ? "; hint: " : "", hint ? hint : "");
}

static void finish(struct task *task, JsonObject *result, const GError *error)
{
    struct scheduler *scheduler = task->scheduler;
    struct unit *unit = task->unit;
    gboolean cancelled = !result && task->cancelled;
    set_outcome(task->job,
                result      ? STATE_JOB_DONE
                : cancelled ? STATE_JOB_CANCELLED
                            : STATE_JOB_FAILED,
                result, error);
    if (is_kind(task, STATE_JOB_CYCLE) || (is_kind(task, STATE_JOB_CLEANUP) && !result))
        unit_take_result(unit, task->job->started_us,
                         is_kind(task, STATE_JOB_CYCLE) ? result : NULL, error, cancelled);
    /* Cancelled because something else is wanted of it, or because the daemon ends. */
    if (is_kind(task, STATE_JOB_CLEANUP) && cancelled)
        unit->replication->next_due_us = state_now_us();
    save_end_of(task);
    if (is_kind(task, STATE_JOB_CYCLE)) {
        alerting_cycle_ended(scheduler->alerting, unit->replication, unit->name, result);
        scheduler_publish_replication(scheduler, unit);
    }
    job_publish(scheduler, task->job);
    if (error && !cancelled)
        log_failure(task, error);
    queue_done(scheduler->queue, &task->entry);
    g_ptr_array_remove(scheduler->running, task);
    go_on(task);
}

static void on_ended(void *data, JsonObject *result, const GError *error)
{
    struct task *task = data;
    g_autoptr(GError) cancelled = NULL;
    if (error && task->cancelled && task->cancelled_why)
        landfall_error_set(&cancelled, LANDFALL_ERROR_CANCELLED, NULL, "%s", task->cancelled_why);
    finish(task, result, cancelled ? cancelled : error);
}

/* --- the start -----------------------------------------------------------------------------------
 */

static void add_option(GPtrArray *words, const char *option, const char *value)
{
    g_ptr_array_add(words, g_strdup(option));
    g_ptr_array_add(words, g_strdup(value));
}

static void add_number(GPtrArray *words, const char *option, gint64 value)
{
    g_ptr_array_add(words, g_strdup(option));
    g_ptr_array_add(words, g_strdup_printf("%" G_GINT64_FORMAT, value));
}

/* Of a cycle that is part of a move. */
static void pass_words(const struct state_job *job, GPtrArray *words)
{
    static const char *const options[][2] = {
        {"verify", "--verify"}, {"lease", "--lease"}, {"consistency", "--consistency"}};
    if (json_find_boolean(job->parameters, "final"))
        g_ptr_array_add(words, g_strdup("--final"));
    for (gsize i = 0; i < G_N_ELEMENTS(options); i++) {
        const char *value = json_find_string(job->parameters, options[i][0]);
        if (value)
            add_option(words, options[i][1], value);
    }
}

static void cycle_words(const struct task *task, GPtrArray *words)
{
    const struct state_replication *replication = task->unit->replication;
    JsonArray *excluded = replication->exclude_disks;
    g_ptr_array_add(words, g_strdup("--control"));
    if (replication->retain > 0)
        add_number(words, "--retain", replication->retain);
    for (guint i = 0; excluded && i < json_array_get_length(excluded); i++)
        add_option(words, "--exclude-disk", json_array_get_string_element(excluded, i));
    /* Neither: frozen where there is an agent, and a warning where that fails. A machine that is
     * off is as it was left. */
    if (g_strcmp0(replication->consistency, "filesystem") == 0 &&
        !json_find_boolean(task->job->parameters, "final"))
        add_option(words, "--consistency", "filesystem");
    if (g_strcmp0(replication->consistency, "crash") == 0)
        g_ptr_array_add(words, g_strdup("--no-freeze"));
    pass_words(task->job, words);
}

static void forget_words(const struct task *task, GPtrArray *words)
{
    if (json_find_boolean(task->job->parameters, "remove_replica"))
        g_ptr_array_add(words, g_strdup("--remove-replica"));
    if (json_find_boolean(task->job->parameters, "abandon"))
        g_ptr_array_add(words, g_strdup("--abandon"));
}

static void verify_words(const struct task *task, GPtrArray *words)
{
    guint64 number = 0;
    if (task->job->parameters)
        json_optional_uint(task->job->parameters, "recovery_point", LANDFALL_ERROR_INTERNAL,
                           &number, NULL);
    g_ptr_array_add(words, g_strdup("store"));
    g_ptr_array_add(words, g_strdup("verify"));
    g_ptr_array_add(words, g_strdup("--json"));
    if (number)
        add_number(words, "--recovery-point", (gint64)number);
    add_option(words, task->unit->store_path, task->unit->uuid);
}

static GPtrArray *words_of(const struct task *task, GError **error)
{
    const struct unit *unit = task->unit;
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    if (is_kind(task, STATE_JOB_VERIFY)) {
        verify_words(task, words);
    } else {
        g_autofree char *uri = inventory_host_uri(task->scheduler->inventory, unit->host, error);
        if (!uri)
            return NULL;
        g_ptr_array_add(words, g_strdup(is_kind(task, STATE_JOB_CYCLE) ? "cycle" : "forget"));
        g_ptr_array_add(words, g_strdup("--json"));
        add_option(words, "--host", uri);
        add_option(words, "--machine", unit->uuid);
        add_option(words, "--store", unit->store_path);
        if (is_kind(task, STATE_JOB_CYCLE))
            cycle_words(task, words);
        else
            forget_words(task, words);
    }
    g_ptr_array_add(words, NULL);
    return g_steal_pointer(&words);
}

/* The row is there before the child is heard of; a child whose row cannot be written is ended. */
static gboolean save_start(struct task *task, GError **error)
{
    struct state *state = task->scheduler->state;
    struct state_job *job = task->job;
    struct state_replication *replication = task->unit->replication;
    if (is_kind(task, STATE_JOB_CYCLE))
        replication->last_started_us = job->started_us;
    return (job->id ? state_job_start(state, job, error) : state_job_add(state, job, error)) &&
           state_replication_progress(state, replication, error);
}

static gboolean spawn(struct task *task, GError **error)
{
    struct state_job *job = task->job;
    const struct job_child_listener listener = {task, on_event, on_ended};
    /* The machine may have another name since, or be on another host. */
    g_autoptr(GPtrArray) words = unit_refresh(task->unit, error) ? words_of(task, error) : NULL;
    if (!words)
        return FALSE;
    task->child = job_child_start((const char *const *)words->pdata, &listener, error);
    if (!task->child)
        return FALSE;
    job->child_pid = job_child_pid(task->child);
    job->child_start = (gint64)job_child_start_time(task->child);
    return TRUE;
}

static gboolean on_not_started(gpointer data)
{
    struct task *task = data;
    g_autoptr(GError) error = g_steal_pointer(&task->start_error);
    task->start_idle = 0;
    finish(task, NULL, error);
    return G_SOURCE_REMOVE;
}

void task_start(struct task *task)
{
    struct scheduler *scheduler = task->scheduler;
    struct state_job *job = task->job;
    g_autoptr(GError) error = NULL;
    gboolean fresh = job->id == 0;
    task->waiting = FALSE;
    job->started_us = task->measured_us = state_now_us();
    if (fresh)
        job->queued_us = task->entry.due_us;
    g_free(job->state);
    job->state = g_strdup(STATE_JOB_RUNNING);
    g_ptr_array_add(scheduler->running, task);
    gboolean spawned = spawn(task, &task->start_error);
    if (!state_begin(scheduler->state, &error) ||
        !state_end(scheduler->state, save_start(task, &error), &error)) {
        scheduler_complain("note the start of a job", error);
        if (spawned)
            task_cancel(task, "its start could not be noted");
    }
    job_publish(scheduler, job);
    /* Not from here: the caller is looking at the queue. */
    if (!spawned)
        task->start_idle = g_idle_add(on_not_started, task);
}

void task_cancel(struct task *task, const char *why)
{
    task->cancelled = TRUE;
    task->cancelled_why = why;
    if (task->child)
        job_child_cancel(task->child, CANCEL_DEADLINE_S);
}

void task_set_bandwidth(struct task *task, guint64 bandwidth)
{
    gboolean known = task->bandwidth_told && task->bandwidth == bandwidth;
    if (!task->child || known || !is_kind(task, STATE_JOB_CYCLE))
        return;
    g_autofree char *line = g_strdup_printf("{\"bandwidth\":%" G_GUINT64_FORMAT "}", bandwidth);
    task->bandwidth = bandwidth;
    task->bandwidth_told = TRUE;
    job_child_tell(task->child, line);
}
