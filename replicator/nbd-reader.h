/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads over one NBD connection that outlive it. When the connection is lost, or the server answers
 * a read with an error, the reader connects again with backoff and repeats what was not answered;
 * what was answered is not read again. It gives up after a time without a connection, or when one
 * read fails NBD_READER_TRIES times; a lost connection counts against the oldest read alone. Used
 * by one thread. */

#include "replicator/nbd-source.h"

#include <poll.h>

#define NBD_READER_TRIES 6u

/* One read. The caller fills the first three, and leaves all of it alone until it is answered. */
struct nbd_read {
    guint8 *buffer;
    guint64 offset_bytes;
    gsize length_bytes;

    /* The reader's. */
    struct nbd_reader *reader;
    GList link; /* in one of the reader's queues */
    guint failures;
    int errnum; /* of the last failure */
};

/* What a reader tells its owner, in the reader's thread. */
struct nbd_reader_owner {
    void *data;
    /* The read's buffer is filled. Runs inside libnbd: may not call the reader. */
    void (*answered)(void *data, struct nbd_read *read);
    /* For the operator: a connection was lost and made again. */
    void (*reconnected)(void *data, const char *message);
    /* A read was answered with an error and will be repeated. */
    void (*repeated)(void *data, const char *message);
};

/* Takes over the handle, which is connected. disk_bytes: a server that comes back with another size
 * is another disk, and an error. patience_s: it gives up after so long without a connection. source
 * is borrowed. */
struct nbd_reader *nbd_reader_new(const struct nbd_source *source, struct nbd_handle *handle,
                                  guint64 disk_bytes, guint patience_s,
                                  const struct nbd_reader_owner *owner);

/* Closes: politely when nothing is in flight. After it no buffer is touched any more. */
void nbd_reader_free(struct nbd_reader *reader);

/* Whether a new read may be started: there is a connection and nothing waits to be repeated. */
gboolean nbd_reader_is_ready(const struct nbd_reader *reader);

/* Reads that have not been answered, those that wait to be repeated included. */
guint nbd_reader_open_reads(const struct nbd_reader *reader);

/* Reads that the server may answer at any moment. */
guint nbd_reader_in_flight(const struct nbd_reader *reader);

/* Starts a read; only while nbd_reader_is_ready. */
void nbd_reader_start(struct nbd_reader *reader, struct nbd_read *read);

/* What to poll for; fd is -1 while there is nothing to wait for. */
struct pollfd nbd_reader_pollfd(const struct nbd_reader *reader);

/* When the next step is due at the latest: at most limit_ms from now. */
int nbd_reader_timeout_ms(const struct nbd_reader *reader, int limit_ms);

/* Goes on after a poll: takes answers, connects again, repeats. Error source: the reader gave up,
 * the message names the disk, the server and the cause. */
gboolean nbd_reader_step(struct nbd_reader *reader, short revents, GError **error);
