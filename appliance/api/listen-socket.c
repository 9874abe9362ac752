/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/listen-socket.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static int failed(int fd, const char *where, const char *hint, GError **error)
{
    landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno, hint, "cannot listen on %s",
                             where);
    if (fd >= 0)
        close(fd);
    return -1;
}

static gboolean somebody_listens(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    gboolean answered =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    if (fd >= 0)
        close(fd);
    return answered;
}

int listen_socket_unix(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "name a shorter one by --runtime-dir",
                           "the path %s is too long for a socket", path);
        return -1;
    }
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (somebody_listens(&address)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "end the other one, or name another folder by --runtime-dir",
                           "another daemon listens on %s", path);
        return -1;
    }
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(path, 0660) != 0 || listen(fd, BACKLOG) != 0)
        return failed(fd, path, "the folder has to be one that landfalld may write", error);
    return fd;
}
