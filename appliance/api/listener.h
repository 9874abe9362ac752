/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One libmicrohttpd daemon on one listening socket, driven by the main loop of the process: it has
 * no threads of its own. */

#include "appliance/api/connection.h"

struct api;

struct listener_options {
    const char *key_pem; /* both NULL: plain HTTP; only for the unix socket */
    const char *certificate_pem;
    gboolean is_unix;
    unsigned connections_max;
    unsigned connections_per_address_max; /* 0: no limit */
};

struct listener;

/* socket_fd listens; it is taken. Requests go to exchange_handle with api, which is borrowed. */
struct listener *listener_new(struct api *api, int socket_fd,
                              const struct listener_options *options, GError **error);

/* No request may be suspended any more. */
void listener_free(struct listener *listener);
