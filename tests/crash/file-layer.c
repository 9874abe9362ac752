/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/file-layer.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static GMutex lock;
static struct disk_log *record; /* under lock, as all below; NULL: only pass calls on */
static GHashTable *open_files;  /* descriptor → node */
static guint fail_after;        /* operations still to succeed */
static int fail_errnum;         /* 0: none fails */
static guint failures;

/* The linker's names of the functions that are taken over. */
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_close(int fd);
int __wrap_close(int fd);
ssize_t __real_pwrite64(int fd, const void *data, size_t length, off64_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off64_t offset);
int __real_ftruncate64(int fd, off64_t length);
int __wrap_ftruncate64(int fd, off64_t length);
int __real_fallocate64(int fd, int mode, off64_t offset, off64_t length);
int __wrap_fallocate64(int fd, int mode, off64_t offset, off64_t length);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);

void file_layer_record(struct disk_log *to)
{
    g_mutex_lock(&lock);
    g_assert_null(record);
    record = to;
    open_files = g_hash_table_new(NULL, NULL);
    fail_errnum = 0;
    failures = 0;
    g_mutex_unlock(&lock);
}

void file_layer_stop(void)
{
    g_mutex_lock(&lock);
    g_assert_nonnull(record);
    record = NULL;
    g_clear_pointer(&open_files, g_hash_table_unref);
    fail_errnum = 0;
    g_mutex_unlock(&lock);
}

void file_layer_fail_after(guint count, int errnum)
{
    g_mutex_lock(&lock);
    fail_after = count;
    fail_errnum = errnum;
    g_mutex_unlock(&lock);
}

guint file_layer_failures(void)
{
    return failures;
}

/* Under lock: the node of a descriptor, -1 when nothing is recorded of it. */
static int node_of(int fd)
{
    gpointer node;
    if (!record || !g_hash_table_lookup_extended(open_files, GINT_TO_POINTER(fd), NULL, &node))
        return -1;
    return GPOINTER_TO_INT(node);
}

/* Under lock: whether the operation is to fail, with errno set. Once the time has come, all do. */
static gboolean fails(void)
{
    if (!fail_errnum)
        return FALSE;
    if (fail_after > 0) {
        fail_after--;
        return FALSE;
    }
    failures++;
    errno = fail_errnum;
    return TRUE;
}

/* Under lock: notes an opened file. */
static void opened(const char *path, int flags, int fd)
{
    int node = disk_log_find(record, path);
    gboolean fresh = node < 0 && (flags & O_CREAT);
    if (fresh)
        node = disk_log_create(record, path, FALSE);
    if (node < 0)
        return; /* elsewhere */
    if (!fresh && (flags & O_TRUNC))
        disk_log_resize(record, node, 0);
    g_hash_table_insert(open_files, GINT_TO_POINTER(fd), GINT_TO_POINTER(node));
}

/* Under lock: whether path is the recorded folder or below it. */
static gboolean is_ours(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    return record && (disk_log_find(record, folder) >= 0 || disk_log_find(record, path) >= 0);
}

int __wrap_open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    int fd = -1;
    g_mutex_lock(&lock);
    gboolean ours = is_ours(path);
    if (!ours || !(flags & (O_CREAT | O_TRUNC)) || !fails())
        fd = __real_open64(path, flags, mode);
    if (ours && fd >= 0)
        opened(path, flags, fd);
    g_mutex_unlock(&lock);
    return fd;
}

int __wrap_close(int fd)
{
    g_mutex_lock(&lock);
    if (record)
        g_hash_table_remove(open_files, GINT_TO_POINTER(fd));
    g_mutex_unlock(&lock);
    return __real_close(fd);
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    g_mutex_lock(&lock);
    int node = node_of(fd);
    ssize_t n = node >= 0 && fails() ? -1 : __real_pwrite64(fd, data, length, offset);
    if (node >= 0 && n > 0)
        disk_log_write(record, node, (guint64)offset, data, (gsize)n);
    g_mutex_unlock(&lock);
    return n;
}

int __wrap_ftruncate64(int fd, off64_t length)
{
    g_mutex_lock(&lock);
    int node = node_of(fd);
    int result = node >= 0 && fails() ? -1 : __real_ftruncate64(fd, length);
    if (node >= 0 && result == 0)
        disk_log_resize(record, node, (guint64)length);
    g_mutex_unlock(&lock);
    return result;
}

int __wrap_fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    g_mutex_lock(&lock);
    int node = node_of(fd);
    int result = node >= 0 && fails() ? -1 : __real_fallocate64(fd, mode, offset, length);
    if (node >= 0 && result == 0 && mode == 0) { /* room behind the end of the file */
        disk_log_resize(record, node, (guint64)(offset + length));
    } else if (node >= 0 && result == 0) {
        g_assert_cmpint(mode, ==, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
        disk_log_zero(record, node, (guint64)offset, (guint64)length);
    }
    g_mutex_unlock(&lock);
    return result;
}

static int sync_file(int fd, gboolean data_only)
{
    g_mutex_lock(&lock);
    int node = node_of(fd);
    int result = node >= 0 && fails() ? -1 : data_only ? __real_fdatasync(fd) : __real_fsync(fd);
    if (node >= 0 && result == 0)
        disk_log_sync(record, node, data_only);
    g_mutex_unlock(&lock);
    return result;
}

int __wrap_fsync(int fd)
{
    return sync_file(fd, FALSE);
}

int __wrap_fdatasync(int fd)
{
    return sync_file(fd, TRUE);
}

int __wrap_rename(const char *from, const char *to)
{
    g_mutex_lock(&lock);
    gboolean ours = is_ours(from);
    int result = ours && fails() ? -1 : __real_rename(from, to);
    if (ours && result == 0)
        disk_log_rename(record, from, to);
    g_mutex_unlock(&lock);
    return result;
}

/* Removing never fails: a file system that cannot write any more still lets go of files. */
int __wrap_unlink(const char *path)
{
    g_mutex_lock(&lock);
    int result = __real_unlink(path);
    if (result == 0 && is_ours(path))
        disk_log_remove(record, path);
    g_mutex_unlock(&lock);
    return result;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    g_mutex_lock(&lock);
    gboolean ours = is_ours(path);
    int result = ours && fails() ? -1 : __real_mkdir(path, mode);
    if (ours && result == 0)
        disk_log_create(record, path, TRUE);
    g_mutex_unlock(&lock);
    return result;
}

int __wrap_rmdir(const char *path)
{
    g_mutex_lock(&lock);
    int result = __real_rmdir(path);
    if (result == 0 && is_ours(path))
        disk_log_remove(record, path);
    g_mutex_unlock(&lock);
    return result;
}

/* Under lock: what is queued and not yet handed to the kernel. A write that is to fail becomes one
 * that does: to no file. */
static void take_queue(struct io_uring *ring)
{
    for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
        struct io_uring_sqe *sqe = &ring->sq.sqes[i & ring->sq.ring_mask];
        int node = node_of(sqe->fd);
        if (node < 0)
            continue;
        /* Whoever queues anything else teaches it to this layer first. */
        g_assert_true(sqe->opcode == IORING_OP_WRITE || sqe->opcode == IORING_OP_WRITE_FIXED);
        g_assert_false(sqe->flags & IOSQE_FIXED_FILE);
        if (fails())
            sqe->fd = -1;
        else
            disk_log_write(record, node, sqe->off, (const void *)(gsize)sqe->addr, sqe->len);
    }
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
    g_mutex_lock(&lock);
    if (record)
        take_queue(ring);
    g_mutex_unlock(&lock);
    return __real_io_uring_submit(ring);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count)
{
    g_mutex_lock(&lock);
    if (record)
        take_queue(ring);
    g_mutex_unlock(&lock);
    return __real_io_uring_submit_and_wait(ring, count);
}
