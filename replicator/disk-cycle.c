/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/disk-cycle.h"
#include "base/error.h"
#include "replicator/store-name.h"
#include "replicator/store-recover.h"

#include <string.h>
#include <unistd.h>

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
    struct lane_job job;
    char *place; /* the disk's folder */
    struct lane_thread lanes[LANES_MAX];
    guint lane_count;
    GMutex lock;
    GCond ended;
    guint running; /* under lock */
};

struct disk_cycle *disk_cycle_new(const struct work_disk *work)
{
    struct disk_cycle *disk = g_new0(struct disk_cycle, 1);
    disk->work = work;
    disk->changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
    return disk;
}

void disk_cycle_free(struct disk_cycle *disk, const struct cycle_context *context,
                     gboolean keep_files)
{
    if (!disk)
        return;
    nbd_source_close(disk->handle);
    if (disk->replica) {
        if (!keep_files)
            context->ops->abort(disk->replica);
        context->ops->free(disk->replica);
    }
    if (disk->journal_path && !keep_files)
        unlink(disk->journal_path);
    extent_list_free(disk->candidates);
    block_map_free(disk->map);
    map_journal_free(disk->journal);
    if (disk->changes)
        g_array_unref(disk->changes);
    g_free(disk->demotion_cause);
    g_free(disk->demotion_detail);
    g_free(disk->journal_path);
    g_free(disk);
}

/* --- transfer ------------------------------------------------------------------------------------
 */

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
    guint64 requests = extent_list_request_count(disk->candidates);
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

static void report_progress(const struct disk_cycle *disk, const struct cycle_context *context)
{
    guint64 total = extent_list_bytes(disk->candidates, EXTENT_DATA) +
                    extent_list_bytes(disk->candidates, EXTENT_ZERO);
    const struct lane_counters *counters = &disk->counters;
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
    if (disk->counters.repeated_reads == 0)
        return;
    g_autofree char *message =
        g_strdup_printf("%" G_GUINT64_FORMAT " times reads failed and were repeated, last: %s",
                        disk->counters.repeated_reads, pass->job.last_repeat);
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
        report_progress(disk, context);
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

static void pass_prepare(struct pass *pass, struct disk_cycle *disk,
                         const struct cycle_context *context)
{
    memset(pass, 0, sizeof *pass);
    g_mutex_init(&pass->lock);
    g_cond_init(&pass->ended);
    lane_job_init(&pass->job);
    pass->job.source = &disk->work->source;
    pass->job.extents = disk->candidates;
    pass->job.ops = context->ops;
    pass->job.replica = disk->replica;
    pass->place = store_machine_disk_folder(context->machine, disk->work->source.name);
    pass->job.place = pass->place;
    pass->job.map = disk->map;
    pass->job.disk_bytes = disk->disk_bytes;
    pass->job.in_place = disk->mode == SCAN_INITIAL;
    pass->job.request_bytes = nbd_source_request_bytes(disk->handle);
    pass->job.limit = context->limit;
    pass->job.reconnect_seconds = context->work->reconnect_seconds;
    pass->job.cancelled = context->cancelled;
    pass->job.counters = &disk->counters;
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
    g_array_sort(disk->changes, compare_changes);
    lane_job_clear(&pass->job);
    g_free(pass->place);
    g_mutex_clear(&pass->lock);
    g_cond_clear(&pass->ended);
}

static gboolean begin_replica(struct disk_cycle *disk, const struct cycle_context *context,
                              GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(context->machine, disk->work->source.name);
    struct block_map *map = NULL;
    struct replica_spec spec = {
        .folder = folder,
        .disk = disk->work->source.name,
        .disk_bytes = disk->disk_bytes,
        .number = context->number,
        .previous = disk->previous,
        .cancelled = context->cancelled,
    };
    disk->replica = context->ops->begin(&spec, &map, error);
    if (map)
        disk->map = map;
    return disk->replica != NULL;
}

gboolean disk_cycle_transfer(struct disk_cycle *disk, const struct cycle_context *context,
                             GError **error)
{
    struct pass pass;
    if (!begin_replica(disk, context, error))
        return FALSE;
    pass_prepare(&pass, disk, context);
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

/* --- making it durable ---------------------------------------------------------------------------
 */

/* Blocks past the end of a disk that shrank become zero, in the map alone: they must not be taken
 * for known if the disk grows again. */
static gboolean add_cut_tail(struct disk_cycle *disk, GError **error)
{
    guint64 end = block_count(block_map_disk_bytes(disk->map));
    guint64 block = block_count(disk->disk_bytes);
    while ((block = block_map_next_nonzero(disk->map, block)) < end) {
        struct block_change change = {.block = block};
        if (!block_map_read(disk->map, block, 1, &change.before, error))
            return FALSE;
        if (!block_hash_is_zero(&change.before))
            g_array_append_val(disk->changes, change);
        block++;
    }
    return TRUE;
}

static gboolean finish_unchanged(struct disk_cycle *disk, const struct cycle_context *context,
                                 struct manifest_disk *entry)
{
    context->ops->abort(disk->replica);
    context->ops->free(g_steal_pointer(&disk->replica));
    entry->layer = g_strdup(disk->previous->layer);
    entry->layer_bytes = disk->previous->layer_bytes;
    entry->generation = disk->previous->generation;
    entry->root_hash = disk->previous->root_hash;
    return TRUE;
}

static gboolean finish_first(struct disk_cycle *disk, const struct cycle_context *context,
                             struct manifest_disk *entry, GError **error)
{
    guint64 page_count;
    if (!context->ops->finish(disk->replica, disk->changes, &entry->layer, &entry->layer_bytes,
                              error) ||
        !block_map_rehash(disk->map, NULL, error) ||
        !block_map_seal(disk->map, context->number, error))
        return FALSE;
    g_autofree struct block_hash *pages = block_map_load_page_hashes(disk->map, &page_count, error);
    if (!pages)
        return FALSE;
    entry->generation = context->number;
    entry->root_hash =
        block_map_root(pages, page_count, disk->disk_bytes, block_map_seed(disk->map));
    return TRUE;
}

static gboolean finish_delta(struct disk_cycle *disk, const struct cycle_context *context,
                             struct manifest_disk *entry, GError **error)
{
    g_autofree char *name = store_name_number(context->number, ".journal");
    if (!context->ops->finish(disk->replica, disk->changes, &entry->layer, &entry->layer_bytes,
                              error) ||
        !add_cut_tail(disk, error))
        return FALSE;
    struct map_journal *journal = disk->journal = g_new0(struct map_journal, 1);
    journal->generation = context->number;
    journal->disk_bytes_before = block_map_disk_bytes(disk->map);
    journal->disk_bytes = disk->disk_bytes;
    journal->changes = g_steal_pointer(&disk->changes);
    disk->journal_path = store_machine_disk_file(context->machine, disk->work->source.name, name);
    entry->generation = context->number;
    return map_journal_write(disk->journal_path, journal, error) &&
           map_journal_root_after(journal, disk->map, &entry->root_hash, error);
}

static void fill_figures(const struct disk_cycle *disk, struct manifest_disk *entry)
{
    entry->size_bytes = disk->disk_bytes;
    entry->seed = block_map_seed(disk->map);
    entry->mode = disk->mode;
    entry->demotion_cause = g_strdup(disk->demotion_cause);
    entry->demotion_detail = g_strdup(disk->demotion_detail);
    entry->images = g_strdupv(disk->work->images);
    entry->figures = (struct disk_figures){
        .candidate_bytes = extent_list_bytes(disk->candidates, EXTENT_DATA) +
                           extent_list_bytes(disk->candidates, EXTENT_ZERO),
        .read_bytes = disk->counters.read_bytes,
        .sent_bytes = disk->counters.sent_bytes,
        .changed_blocks = disk->counters.changed_blocks,
        .zero_blocks = disk->counters.zero_blocks,
        .audited_blocks = disk->audit.audited_blocks,
        .audit_misses = disk->audit.misses,
    };
}

gboolean disk_cycle_finish(struct disk_cycle *disk, const struct cycle_context *context,
                           struct manifest *manifest, GError **error)
{
    struct manifest_disk *entry = manifest_add_disk(manifest, disk->work->source.name);
    gboolean ok;
    fill_figures(disk, entry);
    if (disk->mode == SCAN_INITIAL)
        ok = finish_first(disk, context, entry, error);
    else if (disk->changes->len == 0 && disk->disk_bytes == disk->previous->size_bytes)
        ok = finish_unchanged(disk, context, entry);
    else
        ok = finish_delta(disk, context, entry, error);
    if (!ok)
        g_prefix_error(error, "disk %s: ", disk->work->source.name);
    return ok;
}

gboolean disk_cycle_settle(struct disk_cycle *disk, GError **error)
{
    return !disk->journal || map_journal_apply(disk->journal, disk->map, error);
}
