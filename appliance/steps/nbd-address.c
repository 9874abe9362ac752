/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/nbd-address.h"
#include "base/json.h"
#include "replicator/sealed-json.h"
#include "replicator/store-file.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define ADDRESS_FILE "nbd.json"
/* From NBD's own port on: as many operations as may serve at a time. */
#define PORT_FIRST 10809u
#define PORT_COUNT 191u
#define SOCKETS_FOLDER "landfall-nbd"
#define BACKLOG 16

static const struct sealed_kind address_kind = {
    .noun = "address of served disks",
    .format = "landfall-nbd-address",
    .version = 1,
    .hint = "the machine's definition at the target has the address: undo the operation",
};

void nbd_address_clear(struct nbd_address *address)
{
    g_clear_pointer(&address->host, g_free);
    g_clear_pointer(&address->socket, g_free);
}

gboolean nbd_address_load(const char *folder, struct nbd_address *ret_address, gboolean *ret_known,
                          GError **error)
{
    g_autofree char *path = g_build_filename(folder, ADDRESS_FILE, NULL);
    const char *host = NULL, *socket = NULL;
    guint64 port = 0;
    gboolean exists;
    *ret_known = FALSE;
    if (!store_file_exists(path, &exists, error))
        return FALSE;
    if (!exists)
        return TRUE;
    g_autoptr(JsonObject) object = sealed_json_load(path, &address_kind, error);
    if (!object || !json_optional_string(object, "host", LANDFALL_ERROR_CORRUPT, &host, error) ||
        !json_optional_string(object, "socket", LANDFALL_ERROR_CORRUPT, &socket, error) ||
        !json_optional_uint(object, "port", LANDFALL_ERROR_CORRUPT, &port, error))
        return FALSE;
    *ret_known = TRUE;
    *ret_address = (struct nbd_address){g_strdup(host), (guint16)port, g_strdup(socket)};
    return TRUE;
}

gboolean nbd_address_save(const char *folder, const struct nbd_address *address, GError **error)
{
    g_autofree char *path = g_build_filename(folder, ADDRESS_FILE, NULL);
    g_autoptr(JsonObject) object = json_object_new();
    if (address->host) {
        json_object_set_string_member(object, "host", address->host);
        json_object_set_int_member(object, "port", address->port);
    } else {
        json_object_set_string_member(object, "socket", address->socket);
    }
    return sealed_json_write(path, &address_kind, object, error);
}

static gboolean no_route(const char *host, const char *why, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "set the address of this machine by which the target reaches it",
                       "it cannot be told which address host %s reaches this machine by: %s", host,
                       why);
    return FALSE;
}

/* Connecting a datagram socket sends nothing, and shows the address that would be used. */
static char *local_address(GInetAddress *there, GError **error)
{
    g_autoptr(GSocket) socket = g_socket_new(g_inet_address_get_family(there),
                                             G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, error);
    g_autoptr(GSocketAddress) far = g_inet_socket_address_new(there, PORT_FIRST);
    if (!socket || !g_socket_connect(socket, far, NULL, error))
        return NULL;
    g_autoptr(GSocketAddress) near = g_socket_get_local_address(socket, error);
    return near ? g_inet_address_to_string(
                      g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(near)))
                : NULL;
}

char *nbd_address_towards(const char *uri, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GUri) parsed = g_uri_parse(uri, G_URI_FLAGS_NONE, NULL);
    const char *host = parsed ? g_uri_get_host(parsed) : NULL;
    if (!host || !*host) {
        no_route(uri, "its URI names no host", error);
        return NULL;
    }
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    GList *addresses = g_resolver_lookup_by_name(resolver, host, NULL, &cause);
    char *found = addresses ? local_address(addresses->data, &cause) : NULL;
    g_resolver_free_addresses(addresses);
    if (!found)
        no_route(host, cause->message, error);
    return found;
}

/* A path of a socket is short, and that of a store may be long. */
char *nbd_address_socket_path(const char *folder, GError **error)
{
    const char *above = geteuid() == 0 ? "/run" : g_get_user_runtime_dir();
    g_autofree char *sockets = g_build_filename(above, SOCKETS_FOLDER, NULL);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, folder, -1);
    g_autofree char *name = g_strdup_printf("%.16s.sock", sum);
    if (g_mkdir_with_parents(sockets, 0711) == 0)
        return g_build_filename(sockets, name, NULL);
    landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno, NULL, "cannot make folder %s",
                             sockets);
    return NULL;
}

/* Without the option, which an accepted connection inherits, QEMU's answers wait for the other
 * side's acknowledgement of the answer before: 40 ms for each, several for a write of the guest's.
 */
static gboolean listen_without_delay(GSocket *socket, GSocketAddress *address, GError **error)
{
    return g_socket_bind(socket, address, TRUE, error) &&
           g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, error) &&
           g_socket_listen(socket, error);
}

static GSocket *listen_at_port(const char *host, guint16 port, GError **error)
{
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string(host, port);
    if (!address) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "it is no address");
        return NULL;
    }
    g_autoptr(GSocket) socket = g_socket_new(g_socket_address_get_family(address),
                                             G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, error);
    if (!socket)
        return NULL;
    g_socket_set_listen_backlog(socket, BACKLOG);
    return listen_without_delay(socket, address, error) ? g_steal_pointer(&socket) : NULL;
}

static GSocket *listen_tcp(struct nbd_address *address, const char *bind_host, GError **error)
{
    g_autoptr(GError) cause = NULL;
    const char *host = bind_host ? bind_host : "0.0.0.0";
    guint first = address->port ? address->port : PORT_FIRST;
    guint count = address->port ? 1 : PORT_COUNT;
    for (guint port = first; port < first + count; port++) {
        g_clear_error(&cause);
        GSocket *socket = listen_at_port(host, (guint16)port, &cause);
        if (socket) {
            address->port = (guint16)port;
            return socket;
        }
        if (!g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE))
            break;
    }
    gboolean taken = g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
    landfall_error_set(error, taken ? LANDFALL_ERROR_CONFLICT : LANDFALL_ERROR_CONFIG,
                       taken ? "`ss -ltnp` shows who listens there" : NULL,
                       "cannot serve disks at %s, port %u%s: %s", host, first,
                       count > 1 ? " and those after it" : "", cause->message);
    return NULL;
}

static GSocket *listen_unix(const struct nbd_address *address, uid_t user, gid_t group,
                            GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GSocketAddress) path = g_unix_socket_address_new(address->socket);
    g_autoptr(GSocket) socket =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &cause);
    if (socket) {
        unlink(address->socket); /* of a server that was killed */
        g_socket_set_listen_backlog(socket, BACKLOG);
    }
    /* Nobody gets in before it listens. */
    if (socket && g_socket_bind(socket, path, FALSE, &cause)) {
        if (chmod(address->socket, 0600) == 0 &&
            (user == geteuid() || chown(address->socket, user, group) == 0)) {
            if (g_socket_listen(socket, &cause))
                return g_steal_pointer(&socket);
        } else {
            g_set_error(&cause, G_IO_ERROR, g_io_error_from_errno(errno), "%s", g_strerror(errno));
        }
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "run landfalld as root",
                       "cannot serve disks at socket %s: %s", address->socket, cause->message);
    return NULL;
}

GSocket *nbd_address_listen(struct nbd_address *address, const char *bind_host, uid_t user,
                            gid_t group, GError **error)
{
    return address->host ? listen_tcp(address, bind_host, error)
                         : listen_unix(address, user, group, error);
}
