/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/cli/event-stream.c: the same events come out however the bytes are cut. */

#include "appliance/cli/event-stream.h"

#include <string.h>

static void note(void *data, const char *id, const char *name, const char *text)
{
    g_string_append_printf(data, "[%s|%s|%s]", id, name, text);
}

static char *read_in_pieces(const char *bytes, gsize piece)
{
    GString *seen = g_string_new(NULL);
    struct event_stream *stream = event_stream_new(note, seen);
    gsize length = strlen(bytes);
    for (gsize at = 0; at < length; at += piece)
        g_assert_true(event_stream_feed(stream, bytes + at, MIN(piece, length - at)));
    event_stream_free(stream);
    return g_string_free(seen, FALSE);
}

static void test_pieces(void)
{
    static const char bytes[] = ": hello\n\n"
                                "id: 7\nevent: job\ndata: {\"a\":\n"
                                "data: 1}\n\n"
                                "event: machine\r\ndata:{}\r\n\r\n"
                                "event: nothing\n\n"
                                "retry: 100\ndata\ndata: x:y\nid\n\n"
                                "data: not ended";
    for (gsize piece = 1; piece <= sizeof bytes; piece++) {
        g_autofree char *seen = read_in_pieces(bytes, piece);
        g_assert_cmpstr(seen, ==, "[7|job|{\"a\":\n1}][7|machine|{}][||x:y]");
    }
}

/* A line that never ends, and data lines without an end of the event, fill no memory. */
static void test_too_long(void)
{
    g_autofree char *line = g_strnfill(1000, 'x');
    g_autofree char *field = g_strconcat("data: ", line, "\n", NULL);
    const char *const endless[] = {line, field};
    for (gsize i = 0; i < G_N_ELEMENTS(endless); i++) {
        g_autoptr(GString) seen = g_string_new(NULL);
        struct event_stream *stream = event_stream_new(note, seen);
        guint fed = 0;
        while (fed < 2000 && event_stream_feed(stream, endless[i], strlen(endless[i])))
            fed++;
        g_assert_cmpuint(fed, <, 2000);
        g_assert_cmpuint(fed, >, 500);
        event_stream_free(stream);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/event-stream/pieces", test_pieces);
    g_test_add_func("/event-stream/too-long", test_too_long);
    return g_test_run();
}
