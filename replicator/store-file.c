/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/store-file.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some file systems refuse one call of 2 GiB or more; no single call here comes near it. */
#define IO_BYTES_MAX (64u << 20)

#define LOCK_RETRY_US 20000

static gboolean failed(GError **error, const char *doing, const char *name)
{
    landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot %s %s", doing,
                             name);
    return FALSE;
}

int store_file_open(const char *path, int flags, GError **error)
{
    int fd = open(path, flags | O_CLOEXEC, 0640);
    if (fd < 0)
        failed(error, flags & O_CREAT ? "create" : "open", path);
    return fd;
}

gboolean store_file_read(int fd, const char *name, void *data, gsize length_bytes,
                         guint64 offset_bytes, GError **error)
{
    guint8 *to = data;
    while (length_bytes > 0) {
        gssize n = pread(fd, to, MIN(length_bytes, IO_BYTES_MAX), (off_t)offset_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(error, "read", name);
        if (n == 0) {
            landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                               "restore the file, or go back to a recovery point that is whole",
                               "%s ends early: no data at byte %" G_GUINT64_FORMAT, name,
                               offset_bytes);
            return FALSE;
        }
        to += n;
        offset_bytes += (guint64)n;
        length_bytes -= (gsize)n;
    }
    return TRUE;
}

gboolean store_file_write(int fd, const char *name, const void *data, gsize length_bytes,
                          guint64 offset_bytes, GError **error)
{
    const guint8 *from = data;
    while (length_bytes > 0) {
        gssize n = pwrite(fd, from, MIN(length_bytes, IO_BYTES_MAX), (off_t)offset_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return failed(error, "write", name);
        from += n;
        offset_bytes += (guint64)n;
        length_bytes -= (gsize)n;
    }
    return TRUE;
}

gboolean store_file_truncate(int fd, const char *name, guint64 length_bytes, GError **error)
{
    if (ftruncate(fd, (off_t)length_bytes) < 0)
        return failed(error, "set the size of", name);
    return TRUE;
}

gboolean store_file_size(int fd, const char *name, guint64 *ret_bytes, GError **error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return failed(error, "look at", name);
    *ret_bytes = (guint64)status.st_size;
    return TRUE;
}

gboolean store_file_reserve(int fd, guint64 from_bytes, guint64 to_bytes)
{
    return fallocate(fd, 0, (off_t)from_bytes, (off_t)(to_bytes - from_bytes)) == 0;
}

gboolean store_file_punch(int fd, const char *name, guint64 offset_bytes, guint64 length_bytes,
                          GError **error)
{
    static const guint8 zeros[65536];
    if (length_bytes == 0 || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                       (off_t)offset_bytes, (off_t)length_bytes) == 0)
        return TRUE;
    if (errno != EOPNOTSUPP)
        return failed(error, "punch a hole in", name);
    while (length_bytes > 0) {
        gsize n = (gsize)MIN(length_bytes, sizeof zeros);
        if (!store_file_write(fd, name, zeros, n, offset_bytes, error))
            return FALSE;
        offset_bytes += n;
        length_bytes -= n;
    }
    return TRUE;
}

gboolean store_file_sync(int fd, const char *name, GError **error)
{
    if (fdatasync(fd) < 0)
        return failed(error, "sync", name);
    return TRUE;
}

gboolean store_file_sync_size(int fd, const char *name, GError **error)
{
    if (fsync(fd) < 0)
        return failed(error, "sync", name);
    return TRUE;
}

gboolean store_folder_sync(const char *path, GError **error)
{
    int fd = store_file_open(path, O_RDONLY | O_DIRECTORY, error);
    if (fd < 0)
        return FALSE;
    gboolean ok = store_file_sync_size(fd, path, error);
    close(fd);
    return ok;
}

/* Not GDir, which takes an error of the disk for the end of the list. */
GPtrArray *store_folder_list(const char *path, GError **error)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    if (!folder) {
        failed(error, "open", path);
        return NULL;
    }
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (errno = 0; (entry = readdir(folder)); errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            g_ptr_array_add(names, g_strdup(entry->d_name));
    if (errno) {
        failed(error, "list", path);
        g_clear_pointer(&names, g_ptr_array_unref);
    }
    closedir(folder);
    return names;
}

gboolean store_folder_create(const char *path, GError **error)
{
    struct stat status;
    if (mkdir(path, 0750) < 0 && errno != EEXIST) {
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno,
                                 errno == ENOENT ? "make the folder above it first, or mount what "
                                                   "should be there"
                                                 : NULL,
                                 "cannot create the folder %s", path);
        return FALSE;
    }
    if (stat(path, &status) < 0)
        return failed(error, "look at", path);
    if (!S_ISDIR(status.st_mode)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "name a folder, or a path that is free",
                           "%s is not a folder", path);
        return FALSE;
    }
    return TRUE;
}

gboolean store_file_replace(const char *path, const char *text, gsize length_bytes, GError **error)
{
    g_autofree char *fresh = g_strconcat(path, ".tmp", NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = store_file_open(fresh, O_WRONLY | O_CREAT | O_TRUNC, error);
    if (fd < 0)
        return FALSE;
    gboolean ok = store_file_write(fd, fresh, text, length_bytes, 0, error) &&
                  store_file_sync(fd, fresh, error);
    close(fd);
    if (ok && rename(fresh, path) < 0)
        ok = failed(error, "rename to", path);
    if (!ok) {
        unlink(fresh);
        return FALSE;
    }
    return store_folder_sync(folder, error);
}

char *store_file_load(const char *path, gsize limit_bytes, gsize *ret_length_bytes, GError **error)
{
    guint64 size_bytes;
    int fd = store_file_open(path, O_RDONLY, error);
    if (fd < 0)
        return NULL;
    g_autofree char *text = NULL;
    gboolean ok = store_file_size(fd, path, &size_bytes, error);
    if (ok && size_bytes > limit_bytes) {
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, NULL,
                           "%s has %" G_GUINT64_FORMAT " bytes, more than such a file can have",
                           path, size_bytes);
        ok = FALSE;
    }
    if (ok) {
        text = g_malloc((gsize)size_bytes + 1);
        text[size_bytes] = '\0';
        ok = store_file_read(fd, path, text, (gsize)size_bytes, 0, error);
    }
    close(fd);
    if (!ok)
        return NULL;
    *ret_length_bytes = (gsize)size_bytes;
    return g_steal_pointer(&text);
}

gboolean store_file_exists(const char *path, gboolean *ret_exists, GError **error)
{
    struct stat status;
    *ret_exists = stat(path, &status) == 0;
    return *ret_exists || errno == ENOENT || errno == ENOTDIR || failed(error, "look at", path);
}

gboolean store_file_remove(const char *path, GError **error)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return failed(error, "remove", path);
    return TRUE;
}

gboolean store_file_lock(int fd, gboolean shared, unsigned wait_ms)
{
    gint64 deadline_us = g_get_monotonic_time() + (gint64)wait_ms * 1000;
    while (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || g_get_monotonic_time() >= deadline_us)
            return FALSE;
        g_usleep(LOCK_RETRY_US);
    }
    return TRUE;
}
