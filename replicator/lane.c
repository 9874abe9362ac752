/* SPDX-License-Identifier: Apache-2.0 */

/* One turn of a lane: hand out reads while there are free slots, submit writes, wait for the source
 * or the replica, take what came. A slot goes
 *
 *    free → reading (lane_fill) → in memory: hashed, compared (read_done, inside libnbd's callback)
 *         → writing, 0 to 2 runs (queue_runs) → free (write_done or read_done)
 *
 * The buffer a read lands in is what is hashed and what the replica writes: nothing is copied. */

#include "replicator/lane.h"
#include "base/error.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define POLL_MS 100 /* how long a cancel may go unseen */
#define DRAIN_MS 500
#define REQUEST_BLOCKS (REQUEST_BYTES / BLOCK_BYTES)
#define ZERO_STEP_BLOCKS 256u

struct slot {
    struct lane *lane;
    guint connection;     /* whose slot it is */
    guint8 *buffer;       /* REQUEST_BYTES, aligned */
    guint64 offset_bytes; /* of the request */
    gsize length_bytes;   /* of the request */
    guint writes_in_flight;
};

struct lane {
    struct lane_job *job;
    struct nbd_handle **connections;
    guint connection_count;
    struct replica_lane *replica;
    guint8 *pool;
    struct slot *slots;
    GQueue free_slots[LANE_CONNECTIONS_MAX];
    guint reads_in_flight[LANE_CONNECTIONS_MAX];
    guint writes_in_flight;
    struct extent request; /* taken from the list, not yet wholly handed out */
    gboolean work_left;
    GArray *changes;
};

void lane_job_init(struct lane_job *job)
{
    memset(job, 0, sizeof *job);
    g_mutex_init(&job->lock);
}

void lane_job_clear(struct lane_job *job)
{
    g_mutex_clear(&job->lock);
    g_clear_error(&job->error);
}

/* Takes ownership of error, which names the disk; the first one stays, later ones are dropped. */
static void job_take_error(struct lane_job *job, GError *error)
{
    g_mutex_lock(&job->lock);
    if (job->error)
        g_error_free(error);
    else
        job->error = error;
    g_mutex_unlock(&job->lock);
    g_atomic_int_set(&job->stopped, 1);
}

static void job_fail(struct lane_job *job, GError *error)
{
    g_prefix_error(&error, "disk %s: ", job->source->name);
    job_take_error(job, error);
}

static void count(guint64 *counter, guint64 n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* --- what changed --------------------------------------------------------------------------------
 */

static gboolean record_change(struct lane *lane, const struct block_change *change, GError **error)
{
    struct lane_job *job = lane->job;
    count(&job->counters->changed_blocks, 1);
    if (block_hash_is_zero(&change->after))
        count(&job->counters->zero_blocks, 1);
    if (job->in_place)
        return block_map_write(job->map, change->block, 1, &change->after, error);
    g_array_append_val(lane->changes, *change);
    return TRUE;
}

static gboolean make_zero(struct lane *lane, guint64 block, const struct block_hash *before,
                          GError **error)
{
    struct lane_job *job = lane->job;
    struct block_change change = {.block = block, .before = *before};
    return job->ops->zero(job->replica, block * BLOCK_BYTES, block_length(job->disk_bytes, block),
                          error) &&
           record_change(lane, &change, error);
}

/* The source says that the range is zero: blocks that the replica holds otherwise change. */
static gboolean zero_range(struct lane *lane, const struct extent *range, GError **error)
{
    struct lane_job *job = lane->job;
    struct block_hash hashes[ZERO_STEP_BLOCKS];
    guint64 block = range->offset_bytes / BLOCK_BYTES;
    guint64 end = block_count(range->offset_bytes + range->length_bytes);
    while ((block = block_map_next_nonzero(job->map, block)) < end) {
        gsize step = (gsize)MIN(ZERO_STEP_BLOCKS, end - block);
        if (!block_map_read(job->map, block, step, hashes, error))
            return FALSE;
        for (gsize i = 0; i < step; i++)
            if (!block_hash_is_zero(&hashes[i]) && !make_zero(lane, block + i, &hashes[i], error))
                return FALSE;
        block += step;
    }
    count(&job->counters->done_bytes, range->length_bytes);
    return TRUE;
}

/* --- from read to write --------------------------------------------------------------------------
 */

static void release(struct slot *slot)
{
    count(&slot->lane->job->counters->done_bytes, slot->length_bytes);
    g_queue_push_head(&slot->lane->free_slots[slot->connection], slot);
}

static void write_done(void *lane_owner, void *cookie, int errnum)
{
    struct lane *lane = lane_owner;
    struct slot *slot = cookie;
    GError *error = NULL;
    lane->writes_in_flight--;
    slot->writes_in_flight--;
    if (errnum) {
        landfall_error_set_errno(&error, LANDFALL_ERROR_REPLICA, errnum, NULL,
                                 "cannot write the replica in %s, near byte %" G_GUINT64_FORMAT,
                                 lane->job->place, slot->offset_bytes);
        job_fail(lane->job, error);
    } else if (slot->writes_in_flight == 0) {
        release(slot);
    }
}

/* Writes blocks [first, first + n) of the slot, which are neighbours, and records them. */
static gboolean queue_run(struct slot *slot, guint first, guint n, const struct block_hash *before,
                          const struct block_hash *after, GError **error)
{
    struct lane *lane = slot->lane;
    struct lane_job *job = lane->job;
    guint64 layer_offset, offset = slot->offset_bytes + (guint64)first * BLOCK_BYTES;
    gsize length = MIN((gsize)n * BLOCK_BYTES, slot->length_bytes - (gsize)first * BLOCK_BYTES);
    gsize padded = (length + REPLICA_ALIGNMENT - 1) / REPLICA_ALIGNMENT * REPLICA_ALIGNMENT;
    guint8 *data = slot->buffer + (gsize)first * BLOCK_BYTES;
    memset(data + length, 0, padded - length);
    if (!job->ops->write(lane->replica, data, padded, offset, slot, &layer_offset, error))
        return FALSE;
    slot->writes_in_flight++;
    lane->writes_in_flight++;
    count(&job->counters->sent_bytes, length);
    for (guint i = 0; i < n; i++) {
        struct block_change change = {
            .block = offset / BLOCK_BYTES + i,
            .layer_offset = layer_offset ? layer_offset + (guint64)i * BLOCK_BYTES : 0,
            .before = before[first + i],
            .after = after[first + i],
        };
        if (!record_change(lane, &change, error))
            return FALSE;
    }
    return TRUE;
}

/* Finds the blocks that differ from the replica and queues them, neighbours in one write. */
static gboolean queue_changed(struct slot *slot, GError **error)
{
    struct lane_job *job = slot->lane->job;
    struct block_hash before[REQUEST_BLOCKS], after[REQUEST_BLOCKS];
    guint64 block = slot->offset_bytes / BLOCK_BYTES;
    guint n = (guint)block_count(slot->length_bytes), run = 0;
    if (!block_map_read(job->map, block, n, before, error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        gsize at = (gsize)i * BLOCK_BYTES;
        after[i] = block_hash_compute(slot->buffer + at, MIN(BLOCK_BYTES, slot->length_bytes - at),
                                      block_map_seed(job->map));
        gboolean changed = !block_hash_equal(&before[i], &after[i]);
        if (changed && !block_hash_is_zero(&after[i])) {
            run++;
            continue;
        }
        if (run && !queue_run(slot, i - run, run, before, after, error))
            return FALSE;
        run = 0;
        if (changed && !make_zero(slot->lane, block + i, &before[i], error))
            return FALSE;
    }
    return !run || queue_run(slot, n - run, run, before, after, error);
}

/* Called by libnbd within nbd_aio_notify_*: may not call back into the handle. */
static int read_done(void *data, int *errnum)
{
    struct slot *slot = data;
    struct lane_job *job = slot->lane->job;
    GError *error = NULL;
    slot->lane->reads_in_flight[slot->connection]--;
    if (*errnum) {
        landfall_error_set_errno(&error, LANDFALL_ERROR_SOURCE, *errnum,
                                 "look at the source's disk and at its NBD server; the recovery "
                                 "points made so far are whole",
                                 "cannot read %" G_GSIZE_FORMAT " bytes at byte %" G_GUINT64_FORMAT
                                 " of %s",
                                 slot->length_bytes, slot->offset_bytes, job->source->uri);
        job_fail(job, error);
        return 1;
    }
    if (g_atomic_int_get(&job->stopped))
        return 1; /* nothing is made of it any more */
    count(&job->counters->read_bytes, slot->length_bytes);
    if (!queue_changed(slot, &error))
        job_fail(job, error);
    else if (slot->writes_in_flight == 0)
        release(slot);
    return 1;
}

/* --- handing out work ----------------------------------------------------------------------------
 */

/* The next read, at most request_bytes; zero ranges on the way are done at once. FALSE when there
 * is no more work, or on failure (then the job is stopped). */
static gboolean next_read(struct lane *lane, struct extent *ret_read)
{
    struct lane_job *job = lane->job;
    while (lane->request.length_bytes == 0) {
        GError *error = NULL;
        guint64 index = __atomic_fetch_add(&job->next_request, 1, __ATOMIC_RELAXED);
        if (index >= extent_list_request_count(job->extents) || g_atomic_int_get(&job->stopped) ||
            g_atomic_int_get(job->cancelled))
            return FALSE;
        lane->request = extent_list_request(job->extents, index);
        if (lane->request.kind == EXTENT_DATA)
            break;
        if (!zero_range(lane, &lane->request, &error)) {
            job_fail(job, error);
            return FALSE;
        }
        lane->request.length_bytes = 0;
    }
    *ret_read = lane->request;
    ret_read->length_bytes = MIN(lane->request.length_bytes, job->request_bytes);
    return TRUE;
}

static void request_consume(struct lane *lane, guint64 length_bytes)
{
    lane->request.offset_bytes += length_bytes;
    lane->request.length_bytes -= length_bytes;
}

static void fail_libnbd(struct lane *lane)
{
    GError *error = NULL;
    nbd_source_error(lane->job->source, "read from", &error); /* names the disk */
    job_take_error(lane->job, error);
}

static gboolean start_read(struct lane *lane, guint connection, const struct extent *read)
{
    struct slot *slot = g_queue_pop_head(&lane->free_slots[connection]);
    nbd_completion_callback done = {.callback = read_done, .user_data = slot};
    slot->offset_bytes = read->offset_bytes;
    slot->length_bytes = (gsize)read->length_bytes;
    request_consume(lane, read->length_bytes);
    lane->reads_in_flight[connection]++;
    if (nbd_aio_pread(lane->connections[connection], slot->buffer, slot->length_bytes,
                      slot->offset_bytes, done, 0) >= 0)
        return TRUE;
    lane->reads_in_flight[connection]--;
    fail_libnbd(lane);
    return FALSE;
}

/* The connection with the fewest reads that has a free slot, or -1. */
static int choose_connection(const struct lane *lane)
{
    int chosen = -1;
    for (guint i = 0; i < lane->connection_count; i++)
        if (!g_queue_is_empty((GQueue *)&lane->free_slots[i]) &&
            (chosen < 0 || lane->reads_in_flight[i] < lane->reads_in_flight[chosen]))
            chosen = (int)i;
    return chosen;
}

/* Hands out reads; the milliseconds after which the rate limit may let the next one through, or
 * POLL_MS. */
static int lane_fill(struct lane *lane)
{
    int connection;
    struct extent read;
    while (lane->work_left && (connection = choose_connection(lane)) >= 0) {
        if (!next_read(lane, &read)) {
            lane->work_left = FALSE;
            break;
        }
        guint wait_ms = rate_limit_take(lane->job->limit, read.length_bytes);
        if (wait_ms)
            return (int)MIN(wait_ms, POLL_MS);
        if (!start_read(lane, (guint)connection, &read))
            break;
    }
    return POLL_MS;
}

/* --- waiting -------------------------------------------------------------------------------------
 */

static gboolean notify(struct nbd_handle *handle, short revents)
{
    unsigned direction = nbd_aio_get_direction(handle);
    if ((revents & (POLLIN | POLLHUP | POLLERR)) && (direction & LIBNBD_AIO_DIRECTION_READ))
        return nbd_aio_notify_read(handle) == 0;
    if ((revents & POLLOUT) && (direction & LIBNBD_AIO_DIRECTION_WRITE))
        return nbd_aio_notify_write(handle) == 0;
    return !(revents & (POLLERR | POLLNVAL));
}

static gboolean lane_wait(struct lane *lane, int timeout_ms, GError **error)
{
    struct pollfd fds[LANE_CONNECTIONS_MAX + 1];
    guint n = lane->connection_count;
    for (guint i = 0; i < n; i++) {
        unsigned direction = nbd_aio_get_direction(lane->connections[i]);
        fds[i].fd = lane->reads_in_flight[i] ? nbd_aio_get_fd(lane->connections[i]) : -1;
        fds[i].events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                                (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
        fds[i].revents = 0;
    }
    fds[n] = (struct pollfd){lane->job->ops->lane_fd(lane->replica), POLLIN, 0};
    if (poll(fds, n + 1, timeout_ms) < 0 && errno != EINTR) {
        landfall_error_set_errno(error, LANDFALL_ERROR_SOURCE, errno, NULL, "cannot wait");
        return FALSE;
    }
    for (guint i = 0; i < n; i++) {
        if (fds[i].revents && !notify(lane->connections[i], fds[i].revents)) {
            fail_libnbd(lane);
            return TRUE; /* the job is stopped; the loop sees it */
        }
    }
    return !fds[n].revents || lane->job->ops->reap(lane->replica, error);
}

static gboolean is_busy(const struct lane *lane)
{
    guint busy = lane->writes_in_flight;
    for (guint i = 0; i < lane->connection_count; i++)
        busy += lane->reads_in_flight[i];
    return busy > 0;
}

/* After a cancel or a failure the reads in flight are awaited for a moment: a server such as nbdkit
 * 1.32 aborts when a client leaves with answers on their way. */
static gboolean lane_loop(struct lane *lane, GError **error)
{
    struct lane_job *job = lane->job;
    gint64 patience_us = G_MAXINT64;
    do {
        gboolean over = g_atomic_int_get(&job->stopped) || g_atomic_int_get(job->cancelled);
        if (over && patience_us == G_MAXINT64)
            patience_us = g_get_monotonic_time() + DRAIN_MS * 1000;
        int timeout_ms = over ? POLL_MS : lane_fill(lane);
        if (!job->ops->submit(lane->replica, error))
            return FALSE;
        if ((over || !lane->work_left) && !is_busy(lane))
            break;
        if (!lane_wait(lane, timeout_ms, error))
            return FALSE;
    } while (g_get_monotonic_time() < patience_us);
    if (g_atomic_int_get(job->cancelled)) {
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
        return FALSE;
    }
    return !g_atomic_int_get(&job->stopped);
}

/* --- life of a lane ------------------------------------------------------------------------------
 */

static gboolean lane_open(struct lane *lane, GError **error)
{
    guint64 requests = extent_list_request_count(lane->job->extents);
    guint depth = (guint)CLAMP(requests, 1, LANE_DEPTH_MAX), n = depth * lane->connection_count;
    lane->pool = g_aligned_alloc(n, REQUEST_BYTES, REPLICA_ALIGNMENT);
    lane->slots = g_new0(struct slot, n);
    for (guint i = 0; i < n; i++) {
        lane->slots[i].lane = lane;
        lane->slots[i].connection = i % lane->connection_count;
        lane->slots[i].buffer = lane->pool + (gsize)i * REQUEST_BYTES;
        g_queue_push_tail(&lane->free_slots[i % lane->connection_count], &lane->slots[i]);
    }
    lane->work_left = TRUE;
    /* A request has at most REQUEST_BLOCKS / 2 runs. */
    lane->replica = lane->job->ops->lane_open(lane->job->replica, n * REQUEST_BLOCKS / 2,
                                              write_done, lane, error);
    return lane->replica != NULL;
}

/* Buffers belong to the ring until their writes have ended, also after a failure. Reads in flight
 * end with their connection. */
static void lane_close(struct lane *lane, gboolean failed)
{
    if (failed)
        for (guint i = 0; i < lane->connection_count; i++)
            g_clear_pointer(&lane->connections[i], nbd_close);
    while (lane->replica && lane->writes_in_flight) {
        struct pollfd fd = {lane->job->ops->lane_fd(lane->replica), POLLIN, 0};
        if (!lane->job->ops->submit(lane->replica, NULL))
            g_debug("submitting while ending failed"); /* the job has its error already */
        poll(&fd, 1, POLL_MS);
        if (!lane->job->ops->reap(lane->replica, NULL))
            g_debug("waiting for writes while ending failed");
    }
    lane->job->ops->lane_close(lane->replica);
    for (guint i = 0; i < LANE_CONNECTIONS_MAX; i++)
        g_queue_clear(&lane->free_slots[i]);
    g_aligned_free(lane->pool);
    g_free(lane->slots);
}

gboolean lane_run(struct lane_job *job, struct nbd_handle **connections, guint connection_count,
                  GArray *changes)
{
    struct lane lane = {.job = job,
                        .connections = connections,
                        .connection_count = connection_count,
                        .changes = changes};
    GError *error = NULL;
    g_assert(connection_count >= 1 && connection_count <= LANE_CONNECTIONS_MAX);
    for (guint i = 0; i < LANE_CONNECTIONS_MAX; i++)
        g_queue_init(&lane.free_slots[i]);
    gboolean ok = lane_open(&lane, &error) && lane_loop(&lane, &error);
    if (error)
        job_fail(job, error);
    lane_close(&lane, !ok);
    return ok;
}
