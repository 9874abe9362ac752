/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/event-stream.h"

#include <string.h>

#define EVENT_BYTES_MAX (1024u * 1024u)

struct event_stream {
    event_stream_func on_event;
    void *data;
    GString *line; /* begun, not ended */
    GString *id;   /* stays from event to event */
    GString *name;
    GString *text;
};

struct event_stream *event_stream_new(event_stream_func on_event, void *data)
{
    struct event_stream *stream = g_new0(struct event_stream, 1);
    stream->on_event = on_event;
    stream->data = data;
    stream->line = g_string_new(NULL);
    stream->id = g_string_new(NULL);
    stream->name = g_string_new(NULL);
    stream->text = g_string_new(NULL);
    return stream;
}

void event_stream_free(struct event_stream *stream)
{
    if (!stream)
        return;
    g_string_free(stream->line, TRUE);
    g_string_free(stream->id, TRUE);
    g_string_free(stream->name, TRUE);
    g_string_free(stream->text, TRUE);
    g_free(stream);
}

/* An empty line: what was collected is an event, unless it has no data. */
static void dispatch(struct event_stream *stream)
{
    if (stream->text->len > 0)
        stream->on_event(stream->data, stream->id->str, stream->name->str, stream->text->str);
    g_string_truncate(stream->name, 0);
    g_string_truncate(stream->text, 0);
}

static void take_line(struct event_stream *stream, const char *line)
{
    if (*line == '\0') {
        dispatch(stream);
        return;
    }
    const char *colon = strchrnul(line, ':');
    const char *value = *colon ? colon + 1 : colon;
    gsize length = (gsize)(colon - line);
    if (*value == ' ')
        value++;
    if (length == 4 && strncmp(line, "data", length) == 0)
        g_string_append_printf(stream->text, "%s%s", stream->text->len ? "\n" : "", value);
    else if (length == 5 && strncmp(line, "event", length) == 0)
        g_string_assign(stream->name, value);
    else if (length == 2 && strncmp(line, "id", length) == 0)
        g_string_assign(stream->id, value);
}

gboolean event_stream_feed(struct event_stream *stream, const char *bytes, gsize length)
{
    while (length > 0) {
        const char *end = memchr(bytes, '\n', length);
        gsize piece = end ? (gsize)(end - bytes) : length;
        if (stream->line->len + stream->text->len + piece > EVENT_BYTES_MAX)
            return FALSE;
        g_string_append_len(stream->line, bytes, (gssize)piece);
        if (!end)
            return TRUE;
        if (stream->line->len > 0 && stream->line->str[stream->line->len - 1] == '\r')
            g_string_truncate(stream->line, stream->line->len - 1);
        take_line(stream, stream->line->str);
        g_string_truncate(stream->line, 0);
        bytes += piece + 1;
        length -= piece + 1;
    }
    return TRUE;
}
