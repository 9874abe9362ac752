/* SPDX-License-Identifier: Apache-2.0 */

/* A lock is an flock on a file whose text names the holder. The kernel lets go of it when the
 * holder ends, however it ends; the text is for people only and may be stale. It is a line for
 * people and a line with 32 hexadecimal digits, XXH3-128 of the first with its end; or nothing. */

#include "base/error.h"
#include "replicator/block-hash.h"
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

/* What stands in the file, cut at HOLDER_BYTES_MAX; one read, so that it is all of one holder's. */
static char *read_holder(int fd)
{
    char holder[HOLDER_BYTES_MAX + 1];
    gssize n = pread(fd, holder, HOLDER_BYTES_MAX, 0);
    return g_strndup(holder, (gsize)MAX(n, 0));
}

/* Takes the process's line. */
static char *seal_holder(const char *line)
{
    struct block_hash checksum = block_hash_bytes(line, strlen(line), 0);
    g_autofree char *hex = block_hash_to_hex(&checksum);
    return g_strconcat(line, hex, "\n", NULL);
}

static void report_holder(int fd, const char *path, GError **error)
{
    g_autofree char *holder = read_holder(fd);
    *strchrnul(holder, '\n') = '\0';
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "wait for it to end, or end it; it lets go by itself when it ends",
                       "%s is held by %s", path, holder[0] ? holder : "another process");
}

gboolean store_lock_check(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return TRUE;
    if (fd < 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot open %s",
                                 path);
        return FALSE;
    }
    g_autofree char *holder = read_holder(fd);
    close(fd);
    const char *end = strchr(holder, '\n');
    g_autofree char *line = g_strndup(holder, end ? (gsize)(end + 1 - holder) : 0);
    g_autofree char *sealed = seal_holder(line);
    if (holder[0] == '\0' || strcmp(holder, sealed) == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                       "nothing needs the text: the next cycle writes it anew",
                       "lock %s: its text is not what a holder left there", path);
    return FALSE;
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
    g_autofree char *line = g_strdup_printf("process %d (%.63s) on %.63s\n", (int)getpid(),
                                            g_get_prgname(), g_get_host_name());
    g_autofree char *holder = seal_holder(line);
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
