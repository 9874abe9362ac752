/* SPDX-License-Identifier: Apache-2.0 */

/* A lock is an flock on a file whose text names the holder. The kernel lets go of it when the
 * holder ends, however it ends; the text is for people only and may be stale. */

#include "base/error.h"
#include "replicator/store-file.h"
#include "replicator/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define HOLDER_BYTES_MAX 256u

struct store_lock {
    int fd;
};

static void report_holder(int fd, const char *path, GError **error)
{
    char holder[HOLDER_BYTES_MAX + 1] = "";
    gssize n = pread(fd, holder, HOLDER_BYTES_MAX, 0);
    holder[MAX(n, 0)] = '\0';
    g_strstrip(holder);
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "wait for it to end, or end it; it lets go by itself when it ends",
                       "%s is held by %s", path, holder[0] ? holder : "another process");
}

struct store_lock *store_lock_take(const char *path, unsigned wait_ms, GError **error)
{
    int fd = store_file_open(path, O_RDWR | O_CREAT, error);
    if (fd < 0)
        return NULL;
    if (!store_file_lock(fd, FALSE, wait_ms)) {
        if (errno == EWOULDBLOCK)
            report_holder(fd, path, error);
        else
            landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot lock %s",
                                     path);
        close(fd);
        return NULL;
    }
    g_autofree char *holder = g_strdup_printf("process %d (%s)\n", (int)getpid(), g_get_prgname());
    /* A full disk must not keep anybody from opening the store: the text is only for people. */
    if (ftruncate(fd, 0) == 0 && !store_file_write(fd, path, holder, strlen(holder), 0, NULL))
        g_debug("%s: cannot note the holder", path);
    struct store_lock *lock = g_new0(struct store_lock, 1);
    lock->fd = fd;
    return lock;
}

void store_lock_free(struct store_lock *lock)
{
    if (!lock)
        return;
    close(lock->fd);
    g_free(lock);
}
