/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The source of a disk: an NBD export, reached by URI (nbd, nbds, nbd+unix, nbds+unix) or through a
 * command whose standard input and output speak NBD (ssh, say). */

#include "replicator/extent-list.h"
#include "replicator/status-answer.h"

#include <libnbd.h>

#define NBD_CONTEXT_ALLOCATION "base:allocation"

struct nbd_source {
    char *name;     /* of the disk, for errors */
    char *uri;      /* with a command: names the export only */
    char **command; /* or NULL */
};

/* Checks the URI without connecting. Error config says what is wrong with it. */
gboolean nbd_source_check(const struct nbd_source *source, GError **error);

/* Connects and negotiates; context is asked for, and may not be granted: nbd_can_meta_context
 * tells. NULL: a connection for reading alone. Waits at most 30 s, or until *cancelled is not 0.
 * The caller closes the handle with nbd_close. Errors: source (names the server), cancelled. */
struct nbd_handle *nbd_source_connect(const struct nbd_source *source, const char *context,
                                      const gint *cancelled, GError **error);

/* The beginning of nbd_source_connect: the caller drives the handle until nbd_aio_is_connecting
 * says no. NULL on failure, for which nbd_get_error has the words. The URI was checked before. */
struct nbd_handle *nbd_source_start_connecting(const struct nbd_source *source,
                                               const char *context);

/* Closes at once, and ends the command of the source if it has one. NULL is fine. */
void nbd_source_close(struct nbd_handle *handle);

/* Says goodbye, so that the server logs no lost connection, and closes. Waits at most a second; a
 * handle with requests in flight, or NULL, is only closed. */
void nbd_source_disconnect(struct nbd_handle *handle);

/* No answer for this long, with requests in flight: the connection is taken for lost. */
#define NBD_STALL_MS 60000

/* Drives the connection until something may have been answered, for a moment at most. answered_us:
 * g_get_monotonic_time of the latest answer, or of the first request. doing is for the error, as in
 * "read from". Errors: source when the connection is lost or stalls, cancelled. */
gboolean nbd_source_wait(const struct nbd_source *source, struct nbd_handle *handle,
                         const char *doing, gint64 answered_us, const gint *cancelled,
                         GError **error);

/* Size of the export in bytes. Errors: source; unsupported for sizes and block sizes that replicas
 * cannot have (not a multiple of 512 bytes, empty, above 64 TiB, blocks above 64 KiB). */
gboolean nbd_source_size(const struct nbd_source *source, struct nbd_handle *handle,
                         guint64 *ret_bytes, GError **error);

/* Whether a further connection to the export shows the disk that the first one did. Error source
 * names both sizes. */
gboolean nbd_source_check_size(const struct nbd_source *source, struct nbd_handle *handle,
                               guint64 disk_bytes, GError **error);

/* How many bytes one read of this server may have: a power of two from 64 KiB to REQUEST_BYTES. */
gsize nbd_source_request_bytes(struct nbd_handle *handle);

struct status_range {
    guint64 offset_bytes;
    guint64 length_bytes;
};

/* Asks for the status of the ranges (ascending, in bytes) with several requests in flight. The
 * answer is an array of struct status_extent in ascending order that covers the ranges; the caller
 * owns it. On failure *handle is closed and becomes NULL: requests in flight cannot be taken back.
 */
GArray *nbd_source_status(const struct nbd_source *source, struct nbd_handle **handle,
                          const char *context, const struct status_range *ranges, gsize range_count,
                          const gint *cancelled, GError **error);

/* Error source for a libnbd call that failed in this thread: prefix, libnbd's words, a hint. */
void nbd_source_error(const struct nbd_source *source, const char *doing, GError **error);
