/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the server knows of a client's connection, from accept to close, and how long it lets it
 * take. libmicrohttpd's own timeout ends with each byte that arrives; a deadline here is for the
 * request as a whole, so a client that sends a byte now and then is cut all the same. */

#include <glib.h>
#include <microhttpd.h>

#define CONNECTION_REQUEST_S 20 /* to send a request, from accept or the end of the one before */
#define CONNECTION_ANSWER_S 60  /* to take an answer */
#define CONNECTION_IDLE_S 60    /* without a byte either way */

struct connection {
    int fd;             /* of libmicrohttpd; only ever shut down here */
    char *address;      /* set once: without the port, or "socket" */
    char *socket_user;  /* set once: the name of a user whom the unix socket proves, or NULL */
    gint64 deadline_us; /* monotonic; 0: none */
    GSource *source;    /* set once: of the listener, borrowed */
    GList link;         /* in the listener's queue */
};

struct connection *connection_new(struct MHD_Connection *http, GSource *source, gboolean is_unix);
void connection_free(struct connection *connection);

/* The one behind a request. Borrowed. */
struct connection *connection_of(struct MHD_Connection *http);

/* Goes on with a suspended connection in the loop's next turn: libmicrohttpd does not notice by
 * itself when it has no thread. */
void connection_resume(struct connection *connection, struct MHD_Connection *http);

/* seconds from now; 0: no deadline. */
void connection_set_deadline(struct connection *connection, unsigned seconds);

/* Shuts down those of the queue whose deadline is over; libmicrohttpd sees the end and closes them.
 */
void connections_cut_late(GQueue *connections);
