/* SPDX-License-Identifier: Apache-2.0 */

/* /events: what happens, as Server-Sent Events. A stream is suspended in libmicrohttpd while there
 * is nothing to send. What a client does not take waits in a buffer with a limit; a client that is
 * slower than that is told so, and let go: it may come back and ask from its last event on. */

#include "appliance/api/api-error.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request-private.h"
#include "appliance/events/event-hub.h"
#include "base/json.h"

#include <string.h>

#define BUFFER_BYTES_MAX (256 * 1024)
#define HEARTBEAT_S 15
#define CHUNK_BYTES 4096
#define STREAMS_MAX 128

struct event_stream {
    struct request *request; /* a reference */
    GStrv topics;            /* NULL: all */
    GString *buffer;         /* not yet sent */
    guint subscription;
    guint heartbeat;
    gboolean suspended;
    gboolean ended; /* once the buffer is empty */
    GList link;     /* in the server's queue */
};

static void wake(struct event_stream *stream)
{
    if (!stream->suspended)
        return;
    stream->suspended = FALSE;
    connection_resume(stream->request->connection, stream->request->http);
}

static void end(struct event_stream *stream, const char *last_words)
{
    g_string_append(stream->buffer, last_words);
    stream->ended = TRUE;
    connection_set_deadline(stream->request->connection, CONNECTION_ANSWER_S);
    wake(stream);
}

static void on_event(const struct event *event, gpointer data)
{
    struct event_stream *stream = data;
    if (stream->ended ||
        (stream->topics && !g_strv_contains((const char *const *)stream->topics, event->topic)))
        return;
    if (stream->buffer->len > BUFFER_BYTES_MAX) {
        end(stream, "event: dropped\ndata: {\"reason\":\"the client is too slow\"}\n\n");
        return;
    }
    g_autofree char *text = json_object_to_text(event->object, FALSE);
    g_string_append_printf(stream->buffer, "id: %" G_GUINT64_FORMAT "\nevent: %s\ndata: %s\n\n",
                           event->id, event->topic, text);
    wake(stream);
}

/* A dead connection is noticed by writing, and a proxy in between does not time out. Who may no
 * longer read is told no more. */
static gboolean on_heartbeat(gpointer data)
{
    struct event_stream *stream = data;
    if (stream->ended)
        return G_SOURCE_CONTINUE;
    if (!identity_holds(stream->request->api, &stream->request->identity)) {
        end(stream, "event: dropped\ndata: {\"reason\":\"the authentication is over\"}\n\n");
        return G_SOURCE_CONTINUE;
    }
    if (stream->buffer->len == 0)
        g_string_append(stream->buffer, ":\n\n");
    wake(stream);
    return G_SOURCE_CONTINUE;
}

static ssize_t on_read(void *data, G_GNUC_UNUSED uint64_t position, char *target, size_t length)
{
    struct event_stream *stream = data;
    gsize bytes = MIN(length, stream->buffer->len);
    if (bytes == 0 && stream->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (bytes == 0) {
        stream->suspended = TRUE;
        MHD_suspend_connection(stream->request->http);
        return 0;
    }
    memcpy(target, stream->buffer->str, bytes);
    g_string_erase(stream->buffer, 0, (gssize)bytes);
    return (ssize_t)bytes;
}

static void on_free(void *data)
{
    struct event_stream *stream = data;
    struct api *api = stream->request->api;
    event_hub_unsubscribe(api->hub, stream->subscription);
    g_source_remove(stream->heartbeat);
    g_queue_unlink(&api->streams, &stream->link);
    g_strfreev(stream->topics);
    g_string_free(stream->buffer, TRUE);
    request_unref(stream->request);
    g_free(stream);
}

void event_streams_end(struct api *api)
{
    for (GList *link = api->streams.head; link; link = link->next)
        end(link->data, "");
}

static gboolean check_topics(const char *const *topics, GError **error)
{
    static const char *const known[] = {"host", "machine", "replication", "job", "alert", NULL};
    for (; topics && *topics; topics++) {
        if (g_strv_contains(known, *topics))
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "there are host, machine, replication, job and alert",
                           "there is no topic '%.64s'", *topics);
        return FALSE;
    }
    return TRUE;
}

/* What the client has missed; or that it has to look at everything. */
static void replay(struct event_stream *stream, const char *last_id)
{
    guint64 id;
    if (!last_id)
        return;
    if (!g_ascii_string_to_unsigned(last_id, 10, 0, G_MAXUINT64, &id, NULL) ||
        !event_hub_replay(stream->request->api->hub, id, on_event, stream))
        g_string_append(stream->buffer, "event: reset\ndata: {}\n\n");
}

static JsonObject *get_events(struct request *request, GError **error)
{
    struct api *api = request_api(request);
    const char *topics = request_query(request, "topics");
    g_auto(GStrv) words = topics ? g_strsplit(topics, ",", 16) : NULL;
    if (!check_topics((const char *const *)words, error))
        return NULL;
    if (api->streams.length >= STREAMS_MAX) {
        request_add_header(request, "Retry-After", "10");
        g_set_error(error, API_ERROR, API_ERROR_TOO_MANY, "%u clients read events already",
                    api->streams.length);
        return NULL;
    }
    struct event_stream *stream = g_new0(struct event_stream, 1);
    stream->request = request_ref(request);
    stream->topics = g_steal_pointer(&words);
    stream->buffer = g_string_new("retry: 3000\n\n");
    stream->subscription = event_hub_subscribe(api->hub, on_event, stream);
    stream->heartbeat = g_timeout_add_seconds(HEARTBEAT_S, on_heartbeat, stream);
    stream->link.data = stream;
    g_queue_push_tail_link(&api->streams, &stream->link);
    replay(stream, request_header(request, "Last-Event-ID"));
    request->is_stream = TRUE;
    request->response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES, on_read, stream, on_free);
    request_add_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
    return NULL;
}

const struct route routes_events[] = {
    {"GET", "/api/v1/events", ROLE_VIEWER, "topics", NULL, get_events},
    {NULL},
};
