/* SPDX-License-Identifier: Apache-2.0 */
/* How the caller reaches an export of QEMU's NBD server at a unix socket of the host: by the socket
 * itself when the host is this one, by ssh and netcat otherwise. */
#include "snapshot/snapshot-private.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/un.h>

/* The command that carries bytes between its standard input and output and the socket, as one word
 * for ssh. It has to end when its input does, or closing a connection waits for ever; netcats that
 * do not by themselves take -q, and one can ask which kind it is. */
static char *netcat_command(const struct snapshot_host *host, const char *socket_path)
{
    g_autofree char *path = g_shell_quote(socket_path);
    g_autofree char *netcat = g_shell_quote(host->netcat);
    g_autofree char *script =
        g_strdup_printf("if %s -q 2>&1 | grep -q 'requires an argument'; then exec %s -q 0 -U %s; "
                        "else exec %s -U %s; fi",
                        netcat, netcat, path, netcat, path);
    g_autofree char *quoted = g_shell_quote(script);
    return g_strdup_printf("sh -c %s", quoted);
}

void snapshot_endpoint_fill(const struct snapshot_host *host, const char *socket_path,
                            struct snapshot_disk *disk)
{
    g_autofree char *export = g_uri_escape_string(disk->name, NULL, FALSE);
    g_autofree char *path = g_strdup_printf("/%s", export);
    if (host->local) {
        g_autofree char *socket = g_uri_escape_string(socket_path, "/", FALSE);
        g_autofree char *query = g_strdup_printf("socket=%s", socket);
        disk->nbd_uri =
            g_uri_join(G_URI_FLAGS_ENCODED, "nbd+unix", NULL, "", -1, path, query, NULL);
        return;
    }
    g_autofree char *command = netcat_command(host, socket_path);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_addv(builder, (const char **)host->ssh);
    g_strv_builder_add(builder, command);
    disk->nbd_command = g_strv_builder_end(builder);
    disk->nbd_uri = g_uri_join(G_URI_FLAGS_ENCODED, "nbd", NULL, "", -1, path, NULL, NULL);
}

gboolean snapshot_endpoint_fits(const char *folder, const char *name, GError **error)
{
    gsize length_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (strlen(folder) + 1 + strlen(name) <= length_max)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "set a socket folder with a shorter path",
                       "socket %s/%s: a path this long (over %" G_GSIZE_FORMAT
                       " bytes) cannot be a socket's",
                       folder, name, length_max);
    return FALSE;
}

gboolean snapshot_endpoint_check(const struct snapshot_host *host, const char *socket_path,
                                 GError **error)
{
    if (!host->local)
        return TRUE;
    g_autoptr(GError) reason = NULL;
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(socket_path);
    g_autoptr(GSocketConnection) connection =
        g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, &reason);
    if (connection)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "QEMU made the socket, but this user may not connect: run as root, or set a "
                       "socket folder both this user and libvirt-qemu can use",
                       "socket %s: %s", socket_path, reason->message);
    return FALSE;
}
