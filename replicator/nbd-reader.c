/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/nbd-reader.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>

#define BACKOFF_FIRST_MS 100u
#define BACKOFF_LAST_MS 2000u

struct nbd_reader {
    const struct nbd_source *source; /* set once */
    guint64 disk_bytes;              /* set once */
    guint patience_s;                /* set once: without a connection */
    struct nbd_reader_owner owner;   /* set once */
    struct nbd_handle *handle;       /* NULL: to be made at retry_us */
    gboolean connected;              /* the handle's handshake is over */
    GQueue in_flight;                /* struct nbd_read */
    GQueue again;                    /* struct nbd_read, to be repeated at retry_us */
    guint attempts;                  /* in a row that brought no answer */
    gint64 retry_us;
    gint64 lost_us;     /* since when there has been no connection; 0: there is one */
    gint64 answered_us; /* the last sign of life */
    char *lost_cause;   /* why it was lost */
    char *last_cause;   /* why there is no new one */
};

struct nbd_reader *nbd_reader_new(const struct nbd_source *source, struct nbd_handle *handle,
                                  guint64 disk_bytes, guint patience_s,
                                  const struct nbd_reader_owner *owner)
{
    struct nbd_reader *reader = g_new0(struct nbd_reader, 1);
    reader->source = source;
    reader->handle = handle;
    reader->connected = TRUE;
    reader->disk_bytes = disk_bytes;
    reader->patience_s = patience_s;
    reader->owner = *owner;
    g_queue_init(&reader->in_flight);
    g_queue_init(&reader->again);
    return reader;
}

void nbd_reader_free(struct nbd_reader *reader)
{
    if (!reader)
        return;
    nbd_source_disconnect(reader->handle);
    g_free(reader->lost_cause);
    g_free(reader->last_cause);
    g_free(reader);
}

gboolean nbd_reader_is_ready(const struct nbd_reader *reader)
{
    return reader->connected && reader->again.length == 0;
}

guint nbd_reader_open_reads(const struct nbd_reader *reader)
{
    return reader->in_flight.length + reader->again.length;
}

guint nbd_reader_in_flight(const struct nbd_reader *reader)
{
    return reader->in_flight.length;
}

/* --- trouble -------------------------------------------------------------------------------------
 */

static void back_off(struct nbd_reader *reader)
{
    guint delay_ms = BACKOFF_FIRST_MS << MIN(reader->attempts, 8);
    reader->attempts++;
    reader->retry_us =
        g_get_monotonic_time() + (gint64)MIN(delay_ms, BACKOFF_LAST_MS) * G_TIME_SPAN_MILLISECOND;
}

static void read_failed(struct nbd_reader *reader, struct nbd_read *read, int errnum)
{
    if (errnum != ENOTCONN)
        read->failures++;
    read->errnum = errnum;
    g_queue_unlink(&reader->in_flight, &read->link);
    g_queue_push_tail_link(&reader->again, &read->link);
}

/* cause is in libnbd's words, or ours; NULL: libnbd's last. */
static void lose_connection(struct nbd_reader *reader, const char *cause)
{
    const char *detail = cause ? cause : nbd_get_error();
    gboolean was_connected = reader->connected;
    g_free(reader->last_cause);
    reader->last_cause = g_strdup(detail ? detail : "the server closed the connection");
    /* A closed handle answers nothing any more and leaves the buffers alone. */
    nbd_source_close(reader->handle);
    reader->handle = NULL;
    reader->connected = FALSE;
    while (reader->in_flight.length > 0)
        read_failed(reader, g_queue_peek_head(&reader->in_flight), ENOTCONN);
    /* The oldest read alone may be what ends the connection; the others only were in flight, and
     * on a bad line are again and again while those before them are answered. */
    if (was_connected && reader->again.length > 0)
        ((struct nbd_read *)g_queue_peek_head(&reader->again))->failures++;
    if (!reader->lost_us) {
        reader->lost_us = g_get_monotonic_time();
        g_free(reader->lost_cause);
        reader->lost_cause = g_strdup(reader->last_cause);
    }
    back_off(reader);
}

static gboolean give_up_connection(const struct nbd_reader *reader, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "check that the machine still runs, that the NBD server runs and that this "
                       "machine reaches it; the recovery points made so far are whole",
                       "disk %s: lost the connection to %s, and no new one for %u s: %s",
                       reader->source->name, reader->source->uri, reader->patience_s,
                       reader->last_cause);
    return FALSE;
}

static gboolean give_up_read(const struct nbd_reader *reader, const struct nbd_read *read,
                             GError **error)
{
    landfall_error_set(
        error, LANDFALL_ERROR_SOURCE,
        "look at the source's disk and at its NBD server; the recovery points made so far are "
        "whole",
        "disk %s: cannot read %" G_GSIZE_FORMAT " bytes at byte %" G_GUINT64_FORMAT
        " of %s, tried %u times: %s",
        reader->source->name, read->length_bytes, read->offset_bytes, reader->source->uri,
        read->failures,
        read->errnum == ENOTCONN && reader->lost_cause ? reader->lost_cause
                                                       : g_strerror(read->errnum));
    return FALSE;
}

/* --- reading -------------------------------------------------------------------------------------
 */

static int read_answered(void *data, int *errnum)
{
    struct nbd_read *read = data;
    struct nbd_reader *reader = read->reader;
    reader->answered_us = g_get_monotonic_time();
    if (*errnum) {
        read_failed(reader, read, *errnum);
        return 1;
    }
    reader->attempts = 0;
    g_queue_unlink(&reader->in_flight, &read->link);
    reader->owner.answered(reader->owner.data, read);
    return 1;
}

static void send_read(struct nbd_reader *reader, struct nbd_read *read)
{
    nbd_completion_callback done = {.callback = read_answered, .user_data = read};
    if (reader->in_flight.length == 0)
        reader->answered_us = g_get_monotonic_time();
    g_queue_push_tail_link(&reader->in_flight, &read->link);
    if (nbd_aio_pread(reader->handle, read->buffer, read->length_bytes, read->offset_bytes, done,
                      0) < 0)
        lose_connection(reader, NULL);
}

void nbd_reader_start(struct nbd_reader *reader, struct nbd_read *read)
{
    g_assert(nbd_reader_is_ready(reader));
    read->reader = reader;
    read->link = (GList){.data = read};
    read->failures = 0;
    send_read(reader, read);
}

static gboolean repeat_reads(struct nbd_reader *reader, GError **error)
{
    guint n = reader->again.length;
    for (guint i = 0; i < n && reader->connected; i++) {
        struct nbd_read *read = g_queue_peek_head(&reader->again);
        if (read->failures >= NBD_READER_TRIES)
            return give_up_read(reader, read, error);
        g_queue_unlink(&reader->again, &read->link);
        send_read(reader, read);
    }
    return TRUE;
}

/* --- connecting ----------------------------------------------------------------------------------
 */

static gboolean finish_connecting(struct nbd_reader *reader, GError **error)
{
    if (!nbd_source_check_size(reader->source, reader->handle, reader->disk_bytes, error))
        return FALSE;
    g_autofree char *message = g_strdup_printf(
        "lost the connection to %s (%s) and made a new one after %.1f s; %u reads are repeated",
        reader->source->uri, reader->lost_cause,
        (double)(g_get_monotonic_time() - reader->lost_us) / G_USEC_PER_SEC, reader->again.length);
    reader->connected = TRUE;
    reader->lost_us = 0;
    reader->owner.reconnected(reader->owner.data, message);
    return TRUE;
}

static gboolean go_on_connecting(struct nbd_reader *reader, GError **error)
{
    gint64 now_us = g_get_monotonic_time();
    if (reader->handle && nbd_aio_is_ready(reader->handle) == 1)
        return finish_connecting(reader, error);
    if (reader->handle && nbd_aio_is_connecting(reader->handle) != 1)
        lose_connection(reader, NULL);
    if (now_us - reader->lost_us > reader->patience_s * G_TIME_SPAN_SECOND)
        return give_up_connection(reader, error);
    if (!reader->handle && now_us >= reader->retry_us) {
        reader->handle = nbd_source_start_connecting(reader->source, NULL);
        if (!reader->handle)
            lose_connection(reader, NULL);
    }
    return TRUE;
}

static gboolean is_gone(const struct nbd_reader *reader)
{
    return nbd_aio_is_dead(reader->handle) != 0 || nbd_aio_is_closed(reader->handle) != 0;
}

static gboolean is_stalled(const struct nbd_reader *reader)
{
    return reader->in_flight.length > 0 &&
           g_get_monotonic_time() - reader->answered_us > NBD_STALL_MS * G_TIME_SPAN_MILLISECOND;
}

/* --- waiting -------------------------------------------------------------------------------------
 */

struct pollfd nbd_reader_pollfd(const struct nbd_reader *reader)
{
    struct pollfd fd = {.fd = -1};
    if (reader->handle && (!reader->connected || reader->in_flight.length > 0)) {
        unsigned direction = nbd_aio_get_direction(reader->handle);
        fd.fd = nbd_aio_get_fd(reader->handle);
        fd.events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                            (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
    }
    return fd;
}

int nbd_reader_timeout_ms(const struct nbd_reader *reader, int limit_ms)
{
    gint64 wait_us = reader->retry_us - g_get_monotonic_time();
    gboolean waits = !reader->handle || (reader->connected && reader->again.length > 0);
    if (!waits)
        return limit_ms;
    return (int)CLAMP(wait_us / G_TIME_SPAN_MILLISECOND + 1, 1, limit_ms);
}

/* The return values of libnbd's notify functions do not matter: the handle's state says it all. */
static void notify(struct nbd_handle *handle, short revents)
{
    unsigned direction = nbd_aio_get_direction(handle);
    if ((revents & (POLLIN | POLLHUP | POLLERR)) && (direction & LIBNBD_AIO_DIRECTION_READ))
        nbd_aio_notify_read(handle);
    else if ((revents & (POLLOUT | POLLERR)) && (direction & LIBNBD_AIO_DIRECTION_WRITE))
        nbd_aio_notify_write(handle);
}

gboolean nbd_reader_step(struct nbd_reader *reader, short revents, GError **error)
{
    guint waiting = reader->again.length;
    if (reader->handle && revents)
        notify(reader->handle, revents);
    if (!reader->connected)
        return go_on_connecting(reader, error);
    if (is_gone(reader)) {
        lose_connection(reader, NULL);
    } else if (is_stalled(reader)) {
        g_autofree char *cause = g_strdup_printf("no answer for %d s", NBD_STALL_MS / 1000);
        lose_connection(reader, cause);
    } else if (reader->again.length > waiting) {
        const struct nbd_read *read = g_queue_peek_tail(&reader->again);
        g_autofree char *message =
            g_strdup_printf("%s answered a read at byte %" G_GUINT64_FORMAT " with: %s",
                            reader->source->uri, read->offset_bytes, g_strerror(read->errnum));
        reader->owner.repeated(reader->owner.data, message);
        if (waiting == 0)
            back_off(reader);
    } else if (waiting > 0 && g_get_monotonic_time() >= reader->retry_us) {
        return repeat_reads(reader, error);
    }
    return TRUE;
}
