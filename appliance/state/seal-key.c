/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/seal-key.h"
#include "base/error.h"
#include "replicator/store-file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean failed(GError **error, const char *doing, const char *path)
{
    landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno,
                             "--key-file names the file with the key", "cannot %s the key %s",
                             doing, path);
    return FALSE;
}

/* Complete and durable before it has its name: what is sealed by half a key is lost. */
static gboolean write_key(const char *path, const guint8 *key, GError **error)
{
    g_autofree char *fresh = g_strconcat(path, ".tmp", NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(error, "create", path);
    gboolean ok = store_file_write(fd, fresh, key, STATE_KEY_BYTES, 0, error) &&
                  store_file_sync(fd, fresh, error);
    close(fd);
    if (ok && rename(fresh, path) < 0)
        ok = failed(error, "create", path);
    if (!ok)
        unlink(fresh);
    return ok && store_folder_sync(folder, error);
}

static gboolean make_key(const char *path, guint8 *key, GError **error)
{
    if (RAND_bytes(key, (int)STATE_KEY_BYTES) == 1)
        return write_key(path, key, error);
    landfall_error_set(error, LANDFALL_ERROR_INTERNAL, NULL, "there are no random numbers");
    return FALSE;
}

/* Nobody else may read it, and it is of a size that no other file here has by chance. */
static gboolean check_file(int fd, const char *path, GError **error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return failed(error, "look at", path);
    if (!S_ISREG(status.st_mode) || status.st_size != STATE_KEY_BYTES) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "restore the file from a backup: nothing else opens the secrets",
                           "%s is no key: it is not a file of %u bytes", path, STATE_KEY_BYTES);
        return FALSE;
    }
    if (status.st_mode & 077) {
        g_autofree char *hint = g_strdup_printf("chmod 600 %s", path);
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint,
                           "the key %s may be read by others: its mode is %03o", path,
                           status.st_mode & 0777);
        return FALSE;
    }
    return TRUE;
}

gboolean seal_key_load(const char *path, gboolean create, guint8 key[STATE_KEY_BYTES],
                       GError **error)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && create)
        return make_key(path, key, error);
    if (fd < 0)
        return failed(error, "open", path);
    gboolean ok =
        check_file(fd, path, error) && store_file_read(fd, path, key, STATE_KEY_BYTES, 0, error);
    close(fd);
    return ok;
}
