/* SPDX-License-Identifier: Apache-2.0 */

/* How far a job is, from what its child says. */

#include "appliance/jobs/scheduler-private.h"
#include "base/json.h"

#include <string.h>

/* Those of one second, and between two saves; a child that says more is cut short. */
#define EVENTS_MAX 100u

struct disk_progress {
    guint64 done_bytes, total_bytes;
};

struct task_event {
    gint64 at_us;
    JsonObject *line;
};

static void task_event_free(struct task_event *event)
{
    json_object_unref(event->line);
    g_free(event);
}

GPtrArray *task_events_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)task_event_free);
}

static void take_bytes(struct task *task, JsonObject *line, const char *total_name)
{
    const char *name = json_find_string(line, "disk");
    if (!name)
        return;
    struct disk_progress *disk = g_hash_table_lookup(task->disks, name);
    if (!disk) {
        disk = g_new0(struct disk_progress, 1);
        g_hash_table_insert(task->disks, g_strdup(name), disk);
    }
    disk->done_bytes = json_find_uint(line, "done_bytes");
    disk->total_bytes = json_find_uint(line, total_name);
    GHashTableIter iter;
    gpointer value;
    task->job->done_bytes = task->job->total_bytes = 0;
    g_hash_table_iter_init(&iter, task->disks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct disk_progress *one = value;
        task->job->done_bytes += (gint64)one->done_bytes;
        task->job->total_bytes += (gint64)one->total_bytes;
    }
}

static void set_step(struct state_job *job, const char *step)
{
    g_free(job->step);
    job->step = g_strdup(step);
}

void task_take_event(struct task *task, const char *event, JsonObject *line)
{
    static const struct {
        const char *event, *step;
    } steps[] = {
        {"snapshot", "reading"}, {"source-done", "committing"}, {"committed", "finishing"}};
    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++)
        if (strcmp(event, steps[i].event) == 0)
            set_step(task->job, steps[i].step);
    task->dirty = TRUE;
    if (strcmp(event, "progress") == 0) {
        take_bytes(task, line, "total_bytes");
        return;
    }
    if (strcmp(event, "plan") == 0)
        take_bytes(task, line, "candidate_bytes");
    if (task->events->len >= EVENTS_MAX)
        return;
    struct task_event *kept = g_new0(struct task_event, 1);
    kept->at_us = state_now_us();
    kept->line = json_object_ref(line);
    g_ptr_array_add(task->events, kept);
}

void task_measure(struct task *task)
{
    gint64 now_us = state_now_us(), took_us = now_us - task->measured_us;
    gint64 bytes = task->job->done_bytes - task->measured_bytes;
    if (took_us < G_USEC_PER_SEC / 2)
        return;
    gint64 rate = MAX(bytes, 0) * G_USEC_PER_SEC / took_us;
    task->dirty = task->dirty || rate != task->job->rate;
    task->job->rate = rate;
    task->measured_us = now_us;
    task->measured_bytes = task->job->done_bytes;
}

gboolean task_save_events(struct task *task, GError **error)
{
    for (guint i = 0; i < task->events->len; i++) {
        const struct task_event *event = task->events->pdata[i];
        if (!state_job_event_add(task->scheduler->state, task->job->id, event->at_us, event->line,
                                 error))
            return FALSE;
    }
    g_ptr_array_set_size(task->events, 0);
    return TRUE;
}
