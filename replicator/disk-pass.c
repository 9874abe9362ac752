/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/disk-pass.h"

#include <string.h>

#define LANES_MAX 4u
#define PROGRESS_MS 200
/* A lane is worth its set-up for this many requests. */
#define REQUESTS_PER_LANE 16u

struct lane_thread {
    struct lane_job *job;
    struct nbd_handle *connection; /* until it runs */
    GArray *changes;
    struct pass *pass;
    GThread *thread;
};

/* The lanes of one disk, and who waits for them. */
struct pass {
    const struct pass_plan *plan; /* borrowed */
    struct lane_job job;
    char *place; /* the disk's folder */
    struct lane_thread lanes[LANES_MAX];
    guint lane_count;
    GMutex lock;
    GCond ended;
    guint running; /* under lock */
};

static gpointer lane_main(gpointer data)
{
    struct lane_thread *lane = data;
    struct pass *pass = lane->pass;
    lane_run(lane->job, g_steal_pointer(&lane->connection), lane->changes);
    g_mutex_lock(&pass->lock);
    pass->running--;
    g_cond_signal(&pass->ended);
    g_mutex_unlock(&pass->lock);
    return NULL;
}

static void warn(const struct disk_cycle *disk, const struct cycle_context *context,
                 const char *code, const char *message)
{
    context->observer->warning(context->observer->data, code, disk->work->source.name, message);
}

/* Another connection to the source for the next lane. FALSE with *error when nothing can go on;
 * a server that takes fewer than it says is worked with as it is. */
static gboolean add_connection(struct pass *pass, const struct disk_cycle *disk,
                               const struct cycle_context *context, gboolean *ret_refused,
                               GError **error)
{
    g_autoptr(GError) refusal = NULL;
    struct nbd_handle *handle =
        nbd_source_connect(&disk->work->source, NULL, context->cancelled, &refusal);
    *ret_refused = !handle;
    if (!handle && g_atomic_int_get(context->cancelled)) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return FALSE;
    }
    if (!handle) {
        warn(disk, context, "fewer-connections", refusal->message);
        return TRUE;
    }
    pass->lanes[pass->lane_count++].connection = handle;
    return nbd_source_check_size(&disk->work->source, handle, disk->disk_bytes, error);
}

/* As many lanes as the work is worth and the server takes, each with a connection. The disk's own,
 * which has been asked what to read, is one of them where another is dear or not to be had. */
static gboolean open_connections(struct pass *pass, struct disk_cycle *disk,
                                 const struct cycle_context *context, GError **error)
{
    guint64 requests = extent_list_request_count(pass->plan->extents);
    guint cores = CLAMP(g_get_num_processors(), 1, LANES_MAX);
    guint wanted = (guint)CLAMP(requests / REQUESTS_PER_LANE, 1, (guint64)cores);
    gboolean refused = FALSE;
    if (nbd_can_multi_conn(disk->handle) != 1)
        wanted = 1;
    if (wanted == 1 || disk->work->source.command)
        pass->lanes[pass->lane_count++].connection = g_steal_pointer(&disk->handle);
    while (pass->lane_count < wanted && !refused) {
        if (pass->lane_count == wanted - 1) /* never more connections than lanes */
            nbd_source_disconnect(g_steal_pointer(&disk->handle));
        if (!add_connection(pass, disk, context, &refused, error))
            return FALSE;
    }
    if (disk->handle)
        pass->lanes[pass->lane_count++].connection = g_steal_pointer(&disk->handle);
    return TRUE;
}

static void report_progress(const struct pass *pass, const struct disk_cycle *disk,
                            const struct cycle_context *context)
{
    guint64 total = extent_list_bytes(pass->plan->extents, EXTENT_DATA) +
                    extent_list_bytes(pass->plan->extents, EXTENT_ZERO);
    const struct lane_counters *counters = pass->plan->counters;
    context->observer->progress(context->observer->data, disk->work->source.name,
                                __atomic_load_n(&counters->done_bytes, __ATOMIC_RELAXED), total,
                                __atomic_load_n(&counters->read_bytes, __ATOMIC_RELAXED),
                                __atomic_load_n(&counters->sent_bytes, __ATOMIC_RELAXED));
}

static void report_notes(struct pass *pass, const struct disk_cycle *disk,
                         const struct cycle_context *context)
{
    g_autoptr(GPtrArray) notes = lane_job_take_notes(&pass->job);
    for (guint i = 0; i < notes->len; i++)
        warn(disk, context, "source-reconnected", notes->pdata[i]);
}

static void report_repeats(const struct pass *pass, const struct disk_cycle *disk,
                           const struct cycle_context *context)
{
    if (pass->plan->counters->repeated_reads == 0)
        return;
    g_autofree char *message =
        g_strdup_printf("%" G_GUINT64_FORMAT " times reads failed and were repeated, last: %s",
                        pass->plan->counters->repeated_reads, pass->job.last_repeat);
    warn(disk, context, "reads-repeated", message);
}

static void run_lanes(struct pass *pass, const struct disk_cycle *disk,
                      const struct cycle_context *context)
{
    pass->running = pass->lane_count;
    for (guint i = 0; i < pass->lane_count; i++)
        pass->lanes[i].thread = g_thread_new("lane", lane_main, &pass->lanes[i]);
    g_mutex_lock(&pass->lock);
    while (pass->running > 0) {
        gint64 next_us = g_get_monotonic_time() + PROGRESS_MS * 1000;
        while (pass->running > 0 && g_cond_wait_until(&pass->ended, &pass->lock, next_us))
            continue;
        g_mutex_unlock(&pass->lock);
        report_progress(pass, disk, context);
        report_notes(pass, disk, context);
        g_mutex_lock(&pass->lock);
    }
    g_mutex_unlock(&pass->lock);
    for (guint i = 0; i < pass->lane_count; i++)
        g_thread_join(pass->lanes[i].thread);
    report_repeats(pass, disk, context);
}

static gint compare_changes(gconstpointer a, gconstpointer b)
{
    const struct block_change *x = a, *y = b;
    return x->block < y->block ? -1 : x->block > y->block;
}

static void pass_prepare(struct pass *pass, const struct pass_plan *plan, struct disk_cycle *disk,
                         const struct cycle_context *context)
{
    memset(pass, 0, sizeof *pass);
    pass->plan = plan;
    g_mutex_init(&pass->lock);
    g_cond_init(&pass->ended);
    lane_job_init(&pass->job);
    pass->job.source = &disk->work->source;
    pass->job.extents = plan->extents;
    pass->job.expected = plan->expected;
    pass->job.ops = context->ops;
    pass->job.replica = disk->replica;
    pass->place = store_machine_disk_folder(context->machine, disk->work->source.name);
    pass->job.place = pass->place;
    pass->job.map = disk->map;
    pass->job.disk_bytes = disk->disk_bytes;
    pass->job.in_place = plan->in_place;
    pass->job.request_bytes = nbd_source_request_bytes(disk->handle);
    pass->job.limit = context->limit;
    pass->job.reconnect_seconds = context->work->reconnect_seconds;
    pass->job.cancelled = context->cancelled;
    pass->job.counters = plan->counters;
    for (guint i = 0; i < LANES_MAX; i++) {
        pass->lanes[i].job = &pass->job;
        pass->lanes[i].pass = pass;
        pass->lanes[i].changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
    }
}

/* Hands the changes of all lanes to the disk and lets go of everything else. */
static void pass_clear(struct pass *pass, struct disk_cycle *disk)
{
    for (guint i = 0; i < LANES_MAX; i++) {
        struct lane_thread *lane = &pass->lanes[i];
        nbd_source_disconnect(lane->connection);
        if (lane->changes->len)
            g_array_append_vals(disk->changes, lane->changes->data, lane->changes->len);
        g_array_unref(lane->changes);
    }
    if (!pass->plan->expected)
        g_array_sort(disk->changes, compare_changes);
    lane_job_clear(&pass->job);
    g_free(pass->place);
    g_mutex_clear(&pass->lock);
    g_cond_clear(&pass->ended);
}

gboolean disk_pass_run(struct disk_cycle *disk, const struct cycle_context *context,
                       const struct pass_plan *plan, GError **error)
{
    struct pass pass;
    pass_prepare(&pass, plan, disk, context);
    gboolean ok = open_connections(&pass, disk, context, error);
    if (ok) {
        run_lanes(&pass, disk, context);
        if (pass.job.error) {
            g_propagate_error(error, g_steal_pointer(&pass.job.error));
            ok = FALSE;
        }
    }
    pass_clear(&pass, disk);
    return ok;
}
