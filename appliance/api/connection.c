/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/connection.h"

#include <gio/gio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Root and the user that the daemon runs as may do everything on this machine anyway; anybody else
 * whom the folder's mode lets in proves himself as over the network. */
static char *user_of_socket(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return NULL;
    if (peer.uid == 0)
        return g_strdup("root");
    return peer.uid == geteuid() ? g_strdup(g_get_user_name()) : NULL;
}

static char *address_of(struct MHD_Connection *http)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    gsize length = sizeof(struct sockaddr_in);
    if (!info || !info->client_addr)
        return g_strdup("unknown");
    if (info->client_addr->sa_family == AF_INET6)
        length = sizeof(struct sockaddr_in6);
    g_autoptr(GSocketAddress) address = g_socket_address_new_from_native(info->client_addr, length);
    if (!G_IS_INET_SOCKET_ADDRESS(address))
        return g_strdup("unknown");
    return g_inet_address_to_string(
        g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address)));
}

struct connection *connection_new(struct MHD_Connection *http, GSource *source, gboolean is_unix)
{
    struct connection *connection = g_new0(struct connection, 1);
    connection->fd = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->address = is_unix ? g_strdup("socket") : address_of(http);
    connection->socket_user = is_unix ? user_of_socket(connection->fd) : NULL;
    connection->source = source;
    connection->link.data = connection;
    connection_set_deadline(connection, CONNECTION_REQUEST_S);
    return connection;
}

void connection_free(struct connection *connection)
{
    g_free(connection->address);
    g_free(connection->socket_user);
    g_free(connection);
}

struct connection *connection_of(struct MHD_Connection *http)
{
    return MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void connection_resume(struct connection *connection, struct MHD_Connection *http)
{
    MHD_resume_connection(http);
    g_source_set_ready_time(connection->source, 0);
}

void connection_set_deadline(struct connection *connection, unsigned seconds)
{
    connection->deadline_us =
        seconds ? g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC : 0;
}

void connections_cut_late(GQueue *connections)
{
    gint64 now_us = g_get_monotonic_time();
    for (GList *link = connections->head; link; link = link->next) {
        struct connection *connection = link->data;
        if (connection->deadline_us && now_us >= connection->deadline_us) {
            shutdown(connection->fd, SHUT_RDWR);
            connection_set_deadline(connection, 0);
        }
    }
}
