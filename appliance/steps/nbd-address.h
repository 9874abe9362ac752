/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where served disks are reached: chosen once for an operation, as machines have it in their
 * definitions. */

#include "base/error.h"

#include <gio/gio.h>
#include <sys/types.h>

struct nbd_address {
    char *host;   /* how the target calls this machine; NULL: a unix socket */
    guint16 port; /* 0: none was chosen yet */
    char *socket; /* path, or NULL */
};

void nbd_address_clear(struct nbd_address *address);

/* Reads and writes the file of the clone's folder. Loading gives *ret_known FALSE where there is
 * none. Errors: corrupt, replica. */
gboolean nbd_address_load(const char *folder, struct nbd_address *ret_address, gboolean *ret_known,
                          GError **error);
gboolean nbd_address_save(const char *folder, const struct nbd_address *address, GError **error);

/* The address of this machine that the host of a libvirt URI sees, by the route there; owned by the
 * caller. Error config: there is none. */
char *nbd_address_towards(const char *uri, GError **error);

/* The path of the socket for the clone's folder, in a folder that is made; owned by the caller. */
char *nbd_address_socket_path(const char *folder, GError **error);

/* A socket that listens there. A port of 0 is replaced by a free one. A unix socket belongs to the
 * user, whom alone it lets in. bind_host NULL: all addresses. Errors: conflict (the port is taken),
 * config. The caller owns the socket. */
GSocket *nbd_address_listen(struct nbd_address *address, const char *bind_host, uid_t user,
                            gid_t group, GError **error);
