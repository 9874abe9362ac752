/* SPDX-License-Identifier: Apache-2.0 */

/* One turn of a lane: hand out reads while there are free slots, submit writes, wait for the source
 * or the replica, take what came. */

#include "replicator/lane.h"
#include "base/error.h"
#include "replicator/lane-compare.h"
#include "replicator/turn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#define POLL_MS 100 /* how long a cancel may go unseen */
#define DRAIN_MS 500
#define WRITE_BATCH 4u
#define TURN_REQUESTS 256u /* with fewer a lane takes no turns: it is soon done */
#define LARGE_PAGE_BYTES (2u << 20)

struct lane {
    struct lane_job *job;
    struct nbd_reader *reader;
    struct lane_compare compare;
    struct lane_check *check; /* NULL: the lane copies */
    guint8 *pool;
    struct lane_slot *slots;
    GQueue free_slots;
    struct extent request; /* taken from the list, not yet wholly handed out */
    gboolean work_left;
    struct turn *turn; /* NULL: it reads when it likes */
};

void lane_job_init(struct lane_job *job)
{
    memset(job, 0, sizeof *job);
    g_mutex_init(&job->lock);
    job->notes = g_ptr_array_new_with_free_func(g_free);
}

void lane_job_clear(struct lane_job *job)
{
    g_mutex_clear(&job->lock);
    g_clear_error(&job->error);
    g_ptr_array_unref(job->notes);
    g_free(job->last_repeat);
}

GPtrArray *lane_job_take_notes(struct lane_job *job)
{
    GPtrArray *fresh = g_ptr_array_new_with_free_func(g_free);
    g_mutex_lock(&job->lock);
    GPtrArray *notes = job->notes;
    job->notes = fresh;
    g_mutex_unlock(&job->lock);
    return notes;
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

/* --- what the reader and the ring tell -----------------------------------------------------------
 */

static void release(struct lane *lane, struct lane_slot *slot)
{
    lane_count(&lane->job->counters->done_bytes, slot->read.length_bytes);
    g_queue_push_head(&lane->free_slots, slot);
}

static gboolean take_data(struct lane *lane, struct lane_slot *slot, GError **error)
{
    const struct nbd_read *read = &slot->read;
    return lane->check ? lane_check_data(lane->check, read->buffer, read->offset_bytes,
                                         read->length_bytes, error)
                       : lane_compare_data(&lane->compare, slot, error);
}

static gboolean take_zero(struct lane *lane, GError **error)
{
    if (!lane->check)
        return lane_compare_zero(&lane->compare, &lane->request, error);
    lane_count(&lane->job->counters->done_bytes, lane->request.length_bytes);
    return lane_check_zero(lane->check, &lane->request, error);
}

static void on_answered(void *data, struct nbd_read *read)
{
    struct lane *lane = data;
    struct lane_job *job = lane->job;
    struct lane_slot *slot = (struct lane_slot *)(void *)read; /* its first member */
    GError *error = NULL;
    if (g_atomic_int_get(&job->stopped))
        return; /* nothing is made of it any more */
    lane_count(&job->counters->read_bytes, read->length_bytes);
    if (!take_data(lane, slot, &error))
        job_fail(job, error);
    else if (slot->writes_in_flight == 0)
        release(lane, slot);
}

static void on_reconnected(void *data, const char *message)
{
    struct lane_job *job = ((struct lane *)data)->job;
    g_mutex_lock(&job->lock);
    g_ptr_array_add(job->notes, g_strdup(message));
    g_mutex_unlock(&job->lock);
}

static void on_repeated(void *data, const char *message)
{
    struct lane_job *job = ((struct lane *)data)->job;
    lane_count(&job->counters->repeated_reads, 1);
    g_mutex_lock(&job->lock);
    g_free(job->last_repeat);
    job->last_repeat = g_strdup(message);
    g_mutex_unlock(&job->lock);
}

static void on_written(void *lane_owner, void *cookie, int errnum)
{
    struct lane *lane = lane_owner;
    struct lane_slot *slot = cookie;
    GError *error = NULL;
    lane->compare.writes_in_flight--;
    slot->writes_in_flight--;
    if (errnum) {
        landfall_error_set_errno(&error, LANDFALL_ERROR_REPLICA, errnum, NULL,
                                 "cannot write the replica in %s, near byte %" G_GUINT64_FORMAT,
                                 lane->job->place, slot->read.offset_bytes);
        job_fail(lane->job, error);
    } else if (slot->writes_in_flight == 0) {
        release(lane, slot);
    }
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
        if (!take_zero(lane, &error)) {
            job_fail(job, error);
            return FALSE;
        }
        lane->request.length_bytes = 0;
    }
    *ret_read = lane->request;
    ret_read->length_bytes = MIN(lane->request.length_bytes, job->request_bytes);
    return TRUE;
}

static void start_read(struct lane *lane, const struct extent *range)
{
    struct lane_slot *slot = g_queue_pop_head(&lane->free_slots);
    slot->read.offset_bytes = range->offset_bytes;
    slot->read.length_bytes = (gsize)range->length_bytes;
    lane->request.offset_bytes += range->length_bytes;
    lane->request.length_bytes -= range->length_bytes;
    nbd_reader_start(lane->reader, &slot->read);
}

/* Whether something is still expected: all reads while the lane works, only those that may be
 * answered when it is over. */
static gboolean is_busy(const struct lane *lane, gboolean over)
{
    guint reads = over ? nbd_reader_in_flight(lane->reader) : nbd_reader_open_reads(lane->reader);
    return reads + lane->compare.writes_in_flight > 0;
}

/* Hands out reads; the milliseconds after which the rate limit may let the next one through, or
 * POLL_MS. */
static int lane_fill(struct lane *lane)
{
    struct extent range;
    if (lane->work_left && !turn_may_read(lane->turn, !is_busy(lane, FALSE)))
        return POLL_MS;
    while (lane->work_left && !g_queue_is_empty(&lane->free_slots) &&
           nbd_reader_is_ready(lane->reader)) {
        if (!next_read(lane, &range)) {
            lane->work_left = FALSE;
            break;
        }
        guint wait_ms = rate_limit_take(lane->job->limit, range.length_bytes);
        if (wait_ms)
            return (int)MIN(wait_ms, POLL_MS);
        start_read(lane, &range);
    }
    return POLL_MS;
}

/* --- waiting -------------------------------------------------------------------------------------
 */

static gboolean lane_wait(struct lane *lane, int timeout_ms, GError **error)
{
    const struct replica_ops *ops = lane->job->ops;
    struct pollfd fds[2] = {
        nbd_reader_pollfd(lane->reader),
        {.fd = lane->check ? -1 : ops->lane_fd(lane->compare.replica), .events = POLLIN},
    };
    if (poll(fds, G_N_ELEMENTS(fds), nbd_reader_timeout_ms(lane->reader, timeout_ms)) < 0) {
        if (errno != EINTR) {
            landfall_error_set_errno(error, LANDFALL_ERROR_SOURCE, errno, NULL, "cannot wait");
            return FALSE;
        }
        fds[0].revents = fds[1].revents = 0;
    }
    GError *trouble = NULL;
    if (!nbd_reader_step(lane->reader, fds[0].revents, &trouble))
        job_take_error(lane->job, trouble); /* names the disk; the loop sees that the job stopped */
    return !fds[1].revents || ops->reap(lane->compare.replica, error);
}

/* Writes are handed to the kernel several at a time: they cost it one pass through the block layer.
 * No write waits for want of another: without reads in flight all go. */
static gboolean submit(struct lane *lane, gboolean over, GError **error)
{
    const struct lane_job *job = lane->job;
    if (lane->check)
        return TRUE;
    if (!over && lane->compare.writes_queued < WRITE_BATCH &&
        nbd_reader_open_reads(lane->reader) > 0)
        return TRUE;
    lane->compare.writes_queued = 0;
    return job->ops->submit(lane->compare.replica, error);
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
        if (!submit(lane, over, error))
            return FALSE;
        if ((over || !lane->work_left) && !is_busy(lane, over))
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

/* In large pages where there are some: a buffer of 256 KiB is one piece of memory then, and not 64
 * that the socket, the block layer and the disk's driver handle one by one. */
static guint8 *pool_new(gsize length_bytes)
{
    gboolean large = length_bytes >= LARGE_PAGE_BYTES;
    guint8 *pool = g_aligned_alloc(1, length_bytes, large ? LARGE_PAGE_BYTES : REPLICA_ALIGNMENT);
    if (large && madvise(pool, length_bytes, MADV_HUGEPAGE) < 0)
        g_debug("no large pages: %s", g_strerror(errno)); /* small ones will do */
    return pool;
}

static gboolean lane_open(struct lane *lane, struct nbd_handle *connection, GError **error)
{
    struct lane_job *job = lane->job;
    struct nbd_reader_owner owner = {lane, on_answered, on_reconnected, on_repeated};
    guint depth = (guint)CLAMP(extent_list_request_count(job->extents), 1, LANE_DEPTH_MAX);
    lane->reader =
        nbd_reader_new(job->source, connection, job->disk_bytes, job->reconnect_seconds, &owner);
    lane->pool = pool_new((gsize)depth * REQUEST_BYTES);
    lane->slots = g_new0(struct lane_slot, depth);
    for (guint i = 0; i < depth; i++) {
        lane->slots[i].read.buffer = lane->pool + (gsize)i * REQUEST_BYTES;
        g_queue_push_tail(&lane->free_slots, &lane->slots[i]);
    }
    lane->work_left = TRUE;
    if (extent_list_request_count(job->extents) >= TURN_REQUESTS)
        lane->turn = turn_new();
    if (job->expected)
        return (lane->check = lane_check_open(job->expected, error)) != NULL;
    /* A run is followed by a block that does not change, but for the last. */
    guint writes = depth * (REQUEST_BYTES / BLOCK_BYTES + 1) / 2;
    struct replica_pool pool = {lane->pool, (gsize)depth * REQUEST_BYTES};
    lane->compare.replica =
        job->ops->lane_open(job->replica, writes, &pool, on_written, lane, error);
    return lane->compare.replica != NULL;
}

/* Buffers belong to the ring until their writes have ended, also after a failure. Reads in flight
 * end with their connection. */
static void lane_close(struct lane *lane)
{
    const struct replica_ops *ops = lane->job->ops;
    struct replica_lane *replica = lane->compare.replica;
    nbd_reader_free(lane->reader);
    lane_check_close(lane->check);
    while (replica && lane->compare.writes_in_flight) {
        struct pollfd fd = {ops->lane_fd(replica), POLLIN, 0};
        if (!ops->submit(replica, NULL))
            g_debug("submitting while ending failed"); /* the job has its error already */
        poll(&fd, 1, POLL_MS);
        if (!ops->reap(replica, NULL))
            g_debug("waiting for writes while ending failed");
    }
    ops->lane_close(replica);
    turn_free(lane->turn);
    g_queue_clear(&lane->free_slots);
    g_aligned_free(lane->pool);
    g_free(lane->slots);
}

gboolean lane_run(struct lane_job *job, struct nbd_handle *connection, GArray *changes)
{
    struct lane lane = {.job = job, .compare = {.job = job, .changes = changes}};
    GError *error = NULL;
    g_queue_init(&lane.free_slots);
    gboolean ok = lane_open(&lane, connection, &error) && lane_loop(&lane, &error);
    if (error)
        job_fail(job, error);
    lane_close(&lane);
    return ok;
}
