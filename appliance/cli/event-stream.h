/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Server-sent events taken apart: bytes go in as they come, whole events come out. What is read is
 * what landfalld sends: fields event, data and id, comments, and lines that end in LF or CRLF. */

#include <glib.h>

struct event_stream;

/* One event; strings are borrowed for the call. id and name may be "". */
typedef void (*event_stream_func)(void *data, const char *id, const char *name, const char *text);

struct event_stream *event_stream_new(event_stream_func on_event, void *data);
void event_stream_free(struct event_stream *stream);

/* FALSE when an event or a line is longer than any that landfalld sends. */
gboolean event_stream_feed(struct event_stream *stream, const char *bytes, gsize length);
