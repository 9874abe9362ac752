/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sockets that listen. */

#include <glib.h>

/* A unix socket at path, for the owner and the group of this process. Whatever dead socket a killed
 * daemon left there is removed; a live one is error conflict. -1 on failure. */
int listen_socket_unix(const char *path, GError **error);

/* A TCP socket at where, "ADDRESS:PORT" ("[::1]:8443", "0.0.0.0:8443"; port 0: any that is free).
 * *ret_where gets the address and port that it has; the caller owns it. -1 on failure. */
int listen_socket_tcp(const char *where, char **ret_where, GError **error);
