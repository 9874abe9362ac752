/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/listen-socket.h"
#include "base/error.h"

#include <errno.h>
#include <gio/gio.h>
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

static GSocketAddress *parse_address(const char *where, GError **error)
{
    g_autoptr(GSocketConnectable) parsed = g_network_address_parse(where, 0, NULL);
    g_autoptr(GSocketAddress) address = NULL;
    if (parsed && strchr(where, ':')) {
        GNetworkAddress *network = G_NETWORK_ADDRESS(parsed);
        address = g_inet_socket_address_new_from_string(g_network_address_get_hostname(network),
                                                        g_network_address_get_port(network));
    }
    if (!address)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "such as 0.0.0.0:8443, [::]:8443, or 0 for no HTTPS",
                           "'%s' is not an address and a port", where);
    return g_steal_pointer(&address);
}

static char *describe(int fd)
{
    struct sockaddr_storage native;
    socklen_t length = sizeof(native);
    if (getsockname(fd, (struct sockaddr *)&native, &length) != 0)
        return g_strdup("?");
    g_autoptr(GSocketAddress) address = g_socket_address_new_from_native(&native, length);
    return g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(address));
}

int listen_socket_tcp(const char *where, char **ret_where, GError **error)
{
    struct sockaddr_storage native;
    const int yes = 1;
    g_autoptr(GSocketAddress) address = parse_address(where, error);
    if (!address || !g_socket_address_to_native(address, &native, sizeof(native), error))
        return -1;
    socklen_t length = (socklen_t)g_socket_address_get_native_size(address);
    int fd = socket(native.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(fd, (const struct sockaddr *)&native, length) != 0 || listen(fd, BACKLOG) != 0)
        return failed(fd, where, "name another by --listen, or end what listens there", error);
    *ret_where = describe(fd);
    return fd;
}
