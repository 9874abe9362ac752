/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/fault-replica.h"
#include "base/error.h"
#include "replicator/replica.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

extern const struct replica_ops __real_replica_local_ops;
extern const struct replica_ops __wrap_replica_local_ops;

static const struct replica_ops *const local = &__real_replica_local_ops;

/* A write: from its call until it ends, data are the caller's; after that a copy. */
struct piece {
    const void *data;
    gsize length_bytes;
    guint64 offset_bytes;
    guint64 false_offset; /* what the caller was told as its place in the layer */
    guint64 offset;       /* its place in the layer, from finish on */
    void *cookie;
    struct block_hash hash; /* of the data when they were handed over */
};

struct replica {
    struct replica *below;
    gboolean is_layer;
    guint64 false_offset_next;
    GMutex lock;
    GPtrArray *pieces;  /* under lock: struct piece, complete */
    GHashTable *blocks; /* under lock: numbers of blocks written or made zero */
    GArray *zeros;      /* under lock: struct extent */
    gint lanes;         /* atomic */
    gboolean finished, aborted;
};

struct replica_lane {
    struct replica *replica;
    replica_done done;
    void *owner;
    int event_fd;
    guint depth;
    GPtrArray *queued, *in_flight; /* struct piece */
    GRand *numbers;
};

static GMutex plan_lock;
static enum fault_call plan_call; /* under plan_lock, as the rest */
static guint plan_after;
static int plan_errnum;
static gboolean plan_hit;
static guint write_count;

void fault_replica_plan(enum fault_call call, guint after, int errnum)
{
    plan_call = call;
    plan_after = after;
    plan_errnum = errnum;
    plan_hit = FALSE;
}

gboolean fault_replica_hit(void)
{
    return plan_hit;
}

guint fault_replica_writes(void)
{
    return write_count;
}

/* The errno that this call fails with, or 0. */
static int fault(enum fault_call call)
{
    g_mutex_lock(&plan_lock);
    gboolean fails = call == plan_call && !plan_hit && plan_after-- == 0;
    plan_hit |= fails;
    g_mutex_unlock(&plan_lock);
    return fails ? plan_errnum : 0;
}

static gboolean fails(enum fault_call call, GError **error)
{
    int errnum = fault(call);
    if (errnum)
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errnum, NULL, "made to fail");
    return errnum != 0;
}

static void piece_free(struct piece *piece)
{
    g_aligned_free((void *)piece->data);
    g_free(piece);
}

static struct replica *fault_begin(const struct replica_spec *spec, struct block_map **ret_map,
                                   GError **error)
{
    if (fails(FAULT_BEGIN, error))
        return NULL;
    struct replica *below = local->begin(spec, ret_map, error);
    if (!below)
        return NULL;
    struct replica *replica = g_new0(struct replica, 1);
    replica->below = below;
    replica->is_layer = spec->previous != NULL;
    replica->false_offset_next = 1ull << 40;
    g_mutex_init(&replica->lock);
    replica->pieces = g_ptr_array_new_with_free_func((GDestroyNotify)piece_free);
    replica->blocks = g_hash_table_new(NULL, NULL);
    replica->zeros = g_array_new(FALSE, FALSE, sizeof(struct extent));
    return replica;
}

static void fault_abort(struct replica *replica)
{
    g_assert_cmpint(g_atomic_int_get(&replica->lanes), ==, 0);
    g_assert_false(replica->aborted);
    replica->aborted = TRUE;
    local->abort(replica->below);
}

static void fault_free(struct replica *replica)
{
    g_assert_true(replica->finished || replica->aborted);
    local->free(replica->below);
    g_ptr_array_unref(replica->pieces);
    g_hash_table_unref(replica->blocks);
    g_array_unref(replica->zeros);
    g_mutex_clear(&replica->lock);
    g_free(replica);
}

/* Each block is changed at most once in a cycle. */
static void claim_blocks(struct replica *replica, guint64 offset_bytes, guint64 length_bytes)
{
    g_assert_cmpuint(offset_bytes % BLOCK_BYTES, ==, 0);
    g_mutex_lock(&replica->lock);
    for (guint64 at = offset_bytes; at < offset_bytes + length_bytes; at += BLOCK_BYTES)
        g_assert_true(g_hash_table_add(replica->blocks, GSIZE_TO_POINTER(at / BLOCK_BYTES + 1)));
    g_mutex_unlock(&replica->lock);
}

static gboolean fault_zero(struct replica *replica, guint64 offset_bytes, guint64 length_bytes,
                           GError **error)
{
    struct extent zero = {offset_bytes, length_bytes, EXTENT_ZERO};
    if (fails(FAULT_ZERO, error))
        return FALSE;
    claim_blocks(replica, offset_bytes, length_bytes);
    g_mutex_lock(&replica->lock);
    g_array_append_val(replica->zeros, zero);
    g_mutex_unlock(&replica->lock);
    return TRUE;
}

/* --- lanes ---------------------------------------------------------------------------------------
 */

static struct replica_lane *fault_lane_open(struct replica *replica, unsigned depth,
                                            const struct replica_pool *pool, replica_done done,
                                            void *lane_owner, GError **error)
{
    (void)pool;
    if (fails(FAULT_LANE_OPEN, error))
        return NULL;
    struct replica_lane *lane = g_new0(struct replica_lane, 1);
    lane->replica = replica;
    lane->done = done;
    lane->owner = lane_owner;
    lane->depth = depth;
    lane->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    g_assert_cmpint(lane->event_fd, >=, 0);
    lane->queued = g_ptr_array_new();
    lane->in_flight = g_ptr_array_new();
    lane->numbers = g_rand_new_with_seed(g_random_int());
    g_atomic_int_inc(&replica->lanes);
    return lane;
}

static void fault_lane_close(struct replica_lane *lane)
{
    if (!lane)
        return;
    g_assert_cmpuint(lane->queued->len + lane->in_flight->len, ==, 0);
    g_ptr_array_unref(lane->queued);
    g_ptr_array_unref(lane->in_flight);
    g_rand_free(lane->numbers);
    close(lane->event_fd);
    g_atomic_int_add(&lane->replica->lanes, -1);
    g_free(lane);
}

static int fault_lane_fd(const struct replica_lane *lane)
{
    return lane->event_fd;
}

static gboolean fault_write(struct replica_lane *lane, const void *data, gsize length_bytes,
                            guint64 offset_bytes, void *cookie, guint64 *ret_layer_offset,
                            GError **error)
{
    struct replica *replica = lane->replica;
    g_assert_true((gsize)data % REPLICA_ALIGNMENT == 0 && length_bytes % REPLICA_ALIGNMENT == 0);
    g_assert_cmpuint(lane->queued->len + lane->in_flight->len, <, lane->depth);
    if (fails(FAULT_WRITE, error))
        return FALSE;
    claim_blocks(replica, offset_bytes, length_bytes);
    struct piece *piece = g_new0(struct piece, 1);
    piece->data = data;
    piece->length_bytes = length_bytes;
    piece->offset_bytes = offset_bytes;
    piece->cookie = cookie;
    piece->hash = block_hash_bytes(data, length_bytes, 0);
    if (replica->is_layer)
        piece->false_offset =
            __atomic_fetch_add(&replica->false_offset_next, 16 * BLOCK_BYTES, __ATOMIC_RELAXED);
    *ret_layer_offset = piece->false_offset;
    g_ptr_array_add(lane->queued, piece);
    return TRUE;
}

static gboolean fault_submit(struct replica_lane *lane, GError **error)
{
    if (fails(FAULT_SUBMIT, error))
        return FALSE;
    if (lane->queued->len == 0)
        return TRUE;
    g_ptr_array_extend_and_steal(lane->in_flight, lane->queued);
    lane->queued = g_ptr_array_new();
    g_assert_cmpint(eventfd_write(lane->event_fd, 1), ==, 0);
    return TRUE;
}

/* One write ends. Until now its buffer was not to be touched (R12). */
static void complete(struct replica_lane *lane, struct piece *piece)
{
    struct replica *replica = lane->replica;
    struct block_hash now = block_hash_bytes(piece->data, piece->length_bytes, 0);
    int errnum = fault(FAULT_COMPLETION);
    void *cookie = piece->cookie;
    if (!block_hash_equal(&now, &piece->hash))
        g_error("R12: the buffer of a write in flight has changed");
    if (errnum) {
        g_free(piece);
    } else {
        void *copy = g_aligned_alloc(1, piece->length_bytes, REPLICA_ALIGNMENT);
        piece->data = memcpy(copy, piece->data, piece->length_bytes);
        g_mutex_lock(&replica->lock);
        g_ptr_array_add(replica->pieces, piece);
        write_count++;
        g_mutex_unlock(&replica->lock);
    }
    lane->done(lane->owner, cookie, errnum);
}

/* Some of what is in flight ends, in any order; the rest stays for another call. */
static gboolean fault_reap(struct replica_lane *lane, GError **error)
{
    eventfd_t count;
    if (eventfd_read(lane->event_fd, &count) < 0)
        g_assert_cmpint(errno, ==, EAGAIN);
    gboolean failed = fails(FAULT_REAP, error);
    guint n = lane->in_flight->len;
    for (guint i = failed || n == 0 ? 0 : 1 + g_rand_int(lane->numbers) % MIN(n, 3); i > 0; i--) {
        guint which = g_rand_int(lane->numbers) % lane->in_flight->len;
        complete(lane, g_ptr_array_remove_index_fast(lane->in_flight, which));
    }
    if (lane->in_flight->len)
        g_assert_cmpint(eventfd_write(lane->event_fd, 1), ==, 0);
    return !failed;
}

/* --- the end -------------------------------------------------------------------------------------
 */

static void handed_on(void *lane_owner, void *cookie, int errnum)
{
    guint *pending = lane_owner;
    (void)cookie;
    g_assert_cmpint(errnum, ==, 0);
    (*pending)--;
}

/* Gives the pieces to the local back end, latest first. */
static void hand_on(struct replica *replica)
{
    guint pending = 0;
    static const struct replica_pool no_pool;
    struct replica_lane *lane =
        local->lane_open(replica->below, 64, &no_pool, handed_on, &pending, NULL);
    g_assert_nonnull(lane);
    for (guint i = replica->pieces->len; i > 0; i--) {
        struct piece *piece = replica->pieces->pdata[i - 1];
        if (fault(FAULT_SPOIL))
            ((guint8 *)piece->data)[piece->length_bytes / 2] ^= 1;
        g_assert_true(local->write(lane, piece->data, piece->length_bytes, piece->offset_bytes,
                                   NULL, &piece->offset, NULL));
        pending++;
        while (pending == 64 || (i == 1 && pending)) {
            struct pollfd fd = {.fd = local->lane_fd(lane), .events = POLLIN};
            g_assert_true(local->submit(lane, NULL));
            g_assert_cmpint(poll(&fd, 1, -1), >, 0);
            g_assert_true(local->reap(lane, NULL));
        }
    }
    local->lane_close(lane);
    for (guint i = 0; i < replica->zeros->len; i++) {
        const struct extent *zero = &g_array_index(replica->zeros, struct extent, i);
        g_assert_true(local->zero(replica->below, zero->offset_bytes, zero->length_bytes, NULL));
    }
}

/* Where the layer has what the caller was told another place of. */
static guint64 true_offset(const struct replica *replica, guint64 false_offset)
{
    for (guint i = 0; i < replica->pieces->len; i++) {
        const struct piece *piece = replica->pieces->pdata[i];
        if (false_offset >= piece->false_offset &&
            false_offset < piece->false_offset + piece->length_bytes)
            return piece->offset + (false_offset - piece->false_offset);
    }
    g_assert_not_reached();
}

static gboolean fault_finish(struct replica *replica, const GArray *changes, char **ret_layer,
                             guint64 *ret_layer_bytes, GError **error)
{
    g_assert_cmpint(g_atomic_int_get(&replica->lanes), ==, 0);
    g_assert_false(replica->finished || replica->aborted);
    if (fails(FAULT_FINISH, error))
        return FALSE;
    replica->finished = TRUE;
    hand_on(replica);
    g_autoptr(GArray) true_changes = g_array_copy((GArray *)changes);
    for (guint i = 0; i < true_changes->len; i++) {
        struct block_change *change = &g_array_index(true_changes, struct block_change, i);
        if (change->layer_offset)
            change->layer_offset = true_offset(replica, change->layer_offset);
    }
    return local->finish(replica->below, true_changes, ret_layer, ret_layer_bytes, error);
}

const struct replica_ops __wrap_replica_local_ops = {
    .name = "memory",
    .begin = fault_begin,
    .lane_open = fault_lane_open,
    .lane_close = fault_lane_close,
    .lane_fd = fault_lane_fd,
    .write = fault_write,
    .submit = fault_submit,
    .reap = fault_reap,
    .zero = fault_zero,
    .finish = fault_finish,
    .abort = fault_abort,
    .free = fault_free,
};
