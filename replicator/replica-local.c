/* SPDX-License-Identifier: Apache-2.0 */

/* The local back end. A first cycle writes base.raw in place; later ones write NUMBER.qcow2, a
 * layer on the file that the manifest before names. Data go round the page cache (O_DIRECT) where
 * the file system can, through one io_uring a lane; tables and header of a layer are few and go
 * through the page cache after the lanes have ended. */

#include "base/error.h"
#include "replicator/layer-writer.h"
#include "replicator/local-resume.h"
#include "replicator/replica.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long writes of a killed process are waited for. */
#define STRAY_WRITES_MS 30000

/* How long the kernel may lack the memory to take a write. */
#define SUBMIT_PATIENCE_MS 30000

struct replica {
    char *folder;                /* set once */
    char *name;                  /* set once: of the file written */
    char *path;                  /* set once */
    guint64 disk_bytes;          /* set once */
    struct layer_writer *writer; /* set once; NULL: a base */
    int fd;                      /* set once: for data, direct where possible */
};

struct replica_lane {
    struct replica *replica; /* set once */
    struct io_uring ring;    /* the lane's thread */
    int event_fd;            /* set once */
    replica_done done;       /* set once */
    void *owner;             /* set once */
    gboolean fixed;          /* set once: the ring knows the buffers */
    GQueue queued;           /* the lane's thread: struct local_write, not yet with the kernel */
    gboolean broken;         /* the lane's thread: nothing is submitted any more */
    gint64 refused_us;       /* the lane's thread: since when the kernel takes none; 0: it does */
};

/* One write in flight: the ring hands it back. */
struct local_write {
    GList link; /* in queued */
    void *cookie;
    unsigned length_bytes;
};

static void local_free(struct replica *replica)
{
    if (!replica)
        return;
    if (replica->fd >= 0)
        close(replica->fd);
    layer_writer_free(replica->writer);
    g_free(replica->folder);
    g_free(replica->name);
    g_free(replica->path);
    g_free(replica);
}

/* Writes of a killed process may still be on their way when it is gone and its locks with it. The
 * kernel keeps the ring's file open until they have landed, so a lock on that very file tells. */
static gboolean wait_for_stray_writes(int fd, const char *path, GError **error)
{
    if (store_file_lock(fd, FALSE, STRAY_WRITES_MS))
        return TRUE;
    landfall_error_set_errno(error, LANDFALL_ERROR_CONFLICT, errno,
                             "wait until no other process writes to it", "cannot have %s alone",
                             path);
    return FALSE;
}

/* The file for data: direct where the file system can. */
static int open_data(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT, 0640);
    if (fd < 0 && errno == EINVAL) /* a file system without direct I/O */
        fd = store_file_open(path, O_RDWR | O_CREAT, error);
    else if (fd < 0)
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot open %s",
                                 path);
    if (fd >= 0 && !wait_for_stray_writes(fd, path, error)) {
        close(fd);
        return -1;
    }
    return fd;
}

static gboolean begin_layer(struct replica *replica, const struct replica_spec *spec,
                            GError **error)
{
    gboolean raw = strcmp(spec->previous->layer, BASE_NAME) == 0;
    replica->writer = layer_writer_create(replica->path, spec->disk_bytes, spec->previous->layer,
                                          raw ? "raw" : "qcow2", error);
    return replica->writer != NULL;
}

static void local_abort(struct replica *replica)
{
    if (replica->writer)
        unlink(replica->path);
}

static struct replica *local_begin(const struct replica_spec *spec, struct block_map **ret_map,
                                   GError **error)
{
    struct replica *replica = g_new0(struct replica, 1);
    struct block_map *map = NULL;
    replica->fd = -1;
    replica->folder = g_strdup(spec->folder);
    replica->disk_bytes = spec->disk_bytes;
    replica->name =
        spec->previous ? store_name_number(spec->number, ".qcow2") : g_strdup(BASE_NAME);
    replica->path = g_build_filename(spec->folder, replica->name, NULL);
    gboolean ok = store_folder_create(spec->folder, error) &&
                  (!spec->previous || begin_layer(replica, spec, error)) &&
                  (replica->fd = open_data(replica->path, error)) >= 0;
    if (ok && !spec->previous)
        ok = (map = local_resume(spec->folder, spec->disk_bytes, spec->cancelled, error)) != NULL;
    if (!ok) {
        local_abort(replica);
        local_free(replica);
        return NULL;
    }
    *ret_map = map;
    return replica;
}

/* --- lanes ---------------------------------------------------------------------------------------
 */

/* Known once, the pages of the buffers need not be looked up for each write, which made a copy 8 %
 * faster. What the limit on locked memory forbids is done without. */
static gboolean register_pool(struct replica_lane *lane, const struct replica_pool *pool)
{
    struct iovec all = {pool->bytes, pool->length_bytes};
    return pool->length_bytes > 0 && io_uring_register_buffers(&lane->ring, &all, 1) == 0;
}

static struct replica_lane *local_lane_open(struct replica *replica, unsigned depth,
                                            const struct replica_pool *pool, replica_done done,
                                            void *lane_owner, GError **error)
{
    struct replica_lane *lane = g_new0(struct replica_lane, 1);
    lane->replica = replica;
    lane->done = done;
    lane->owner = lane_owner;
    g_queue_init(&lane->queued);
    int result = io_uring_queue_init(depth, &lane->ring, 0);
    if (result < 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_UNSUPPORTED, -result,
                                 "allow io_uring: sysctl kernel.io_uring_disabled=0",
                                 "cannot set up io_uring");
        g_free(lane);
        return NULL;
    }
    lane->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane->event_fd >= 0)
        result = io_uring_register_eventfd(&lane->ring, lane->event_fd);
    if (lane->event_fd < 0 || result < 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA,
                                 lane->event_fd < 0 ? errno : -result, NULL,
                                 "cannot make an event descriptor");
        if (lane->event_fd >= 0)
            close(lane->event_fd);
        io_uring_queue_exit(&lane->ring);
        g_free(lane);
        return NULL;
    }
    lane->fixed = register_pool(lane, pool);
    return lane;
}

static void local_lane_close(struct replica_lane *lane)
{
    if (!lane)
        return;
    io_uring_queue_exit(&lane->ring);
    close(lane->event_fd);
    g_free(lane);
}

static int local_lane_fd(const struct replica_lane *lane)
{
    return lane->event_fd;
}

static struct local_write *next_queued(struct replica_lane *lane)
{
    GList *link = g_queue_pop_head_link(&lane->queued);
    return link ? link->data : NULL;
}

/* What the kernel does not take is answered with the error: nobody waits for it any more. It stays
 * in the ring, which is not submitted again. */
static void give_up_queued(struct replica_lane *lane, int errnum)
{
    lane->broken = TRUE;
    for (struct local_write *write; (write = next_queued(lane)); g_free(write))
        lane->done(lane->owner, write->cookie, errnum);
}

static gboolean is_passing(struct replica_lane *lane, int result)
{
    if (result != -EINTR && result != -EAGAIN && result != -EBUSY)
        return FALSE;
    gint64 now_us = g_get_monotonic_time();
    if (!lane->refused_us)
        lane->refused_us = now_us;
    return now_us - lane->refused_us < SUBMIT_PATIENCE_MS * 1000ll;
}

static gboolean local_submit(struct replica_lane *lane, GError **error)
{
    if (lane->queued.length == 0)
        return TRUE;
    int result = io_uring_submit(&lane->ring);
    for (int i = 0; i < result; i++)
        next_queued(lane); /* the ring hands it back */
    if (result > 0)
        lane->refused_us = 0;
    if (result >= 0 || is_passing(lane, result))
        return TRUE;
    give_up_queued(lane, -result);
    landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, -result, NULL, "cannot write to %s",
                             lane->replica->path);
    return FALSE;
}

static gboolean local_write(struct replica_lane *lane, const void *data, gsize length_bytes,
                            guint64 offset_bytes, void *cookie, guint64 *ret_layer_offset,
                            GError **error)
{
    struct replica *replica = lane->replica;
    guint64 at = offset_bytes;
    *ret_layer_offset = 0;
    if (replica->writer) {
        at = layer_writer_allocate(replica->writer,
                                   (guint)((length_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES));
        *ret_layer_offset = at;
    }
    struct io_uring_sqe *sqe = lane->broken ? NULL : io_uring_get_sqe(&lane->ring);
    if (!sqe && !lane->broken && local_submit(lane, error))
        sqe = io_uring_get_sqe(&lane->ring);
    if (!sqe) {
        if (error && !*error)
            landfall_error_set(error, LANDFALL_ERROR_REPLICA, NULL, "the write ring is full");
        return FALSE;
    }
    struct local_write *write = g_new(struct local_write, 1);
    write->link = (GList){.data = write};
    write->cookie = cookie;
    write->length_bytes = (unsigned)length_bytes;
    if (lane->fixed)
        io_uring_prep_write_fixed(sqe, replica->fd, data, write->length_bytes, at, 0);
    else
        io_uring_prep_write(sqe, replica->fd, data, write->length_bytes, at);
    io_uring_sqe_set_data(sqe, write);
    g_queue_push_tail_link(&lane->queued, &write->link);
    return TRUE;
}

/* A short write on a regular file means that the disk is full: the rest fails with ENOSPC. */
static int write_errnum(int result, unsigned wanted_bytes)
{
    if (result < 0)
        return -result;
    return (unsigned)result == wanted_bytes ? 0 : ENOSPC;
}

static gboolean local_reap(struct replica_lane *lane, GError **error)
{
    eventfd_t count;
    struct io_uring_cqe *cqe;
    if (eventfd_read(lane->event_fd, &count) < 0 && errno != EAGAIN) {
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL,
                                 "cannot wait for writes");
        return FALSE;
    }
    while (io_uring_peek_cqe(&lane->ring, &cqe) == 0) {
        g_autofree struct local_write *write = io_uring_cqe_get_data(cqe);
        int errnum = write_errnum(cqe->res, write->length_bytes);
        io_uring_cqe_seen(&lane->ring, cqe);
        lane->done(lane->owner, write->cookie, errnum);
    }
    return TRUE;
}

/* --- zero, end -----------------------------------------------------------------------------------
 */

static gboolean local_zero(struct replica *replica, guint64 offset_bytes, guint64 length_bytes,
                           GError **error)
{
    /* In a layer, a zero block is an entry of its table. */
    return replica->writer ||
           store_file_punch(replica->fd, replica->path, offset_bytes, length_bytes, error);
}

static gboolean finish_base(struct replica *replica, guint64 *ret_bytes, GError **error)
{
    /* The last block was padded up to the alignment of direct writes. */
    if (!store_file_truncate(replica->fd, replica->path, replica->disk_bytes, error))
        return FALSE;
    if (!store_file_sync_size(replica->fd, replica->path, error)) {
        /* What the page cache still holds may not be on the disk: nothing can be resumed from. */
        unlink(replica->path);
        return FALSE;
    }
    *ret_bytes = replica->disk_bytes;
    return TRUE;
}

static gboolean local_finish(struct replica *replica, const GArray *changes, char **ret_layer,
                             guint64 *ret_layer_bytes, GError **error)
{
    guint64 bytes;
    if (!(replica->writer ? layer_writer_finish(replica->writer, changes, &bytes, error)
                          : finish_base(replica, &bytes, error)) ||
        !store_folder_sync(replica->folder, error))
        return FALSE;
    *ret_layer = g_strdup(replica->name);
    *ret_layer_bytes = bytes;
    return TRUE;
}

const struct replica_ops replica_local_ops = {
    .name = "local",
    .begin = local_begin,
    .lane_open = local_lane_open,
    .lane_close = local_lane_close,
    .lane_fd = local_lane_fd,
    .write = local_write,
    .submit = local_submit,
    .reap = local_reap,
    .zero = local_zero,
    .finish = local_finish,
    .abort = local_abort,
    .free = local_free,
};
