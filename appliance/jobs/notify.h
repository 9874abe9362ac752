/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Telling the outside world: a POST of JSON to a URL, or a mail through sendmail. Neither waits on
 * the main thread. */

#include <gio/gio.h>
#include <json-glib/json-glib.h>

enum { NOTIFY_WEBHOOK = 1, NOTIFY_MAIL = 2 };

struct notification {
    char *webhook; /* URL, or NULL */
    char *mail_to; /* addresses, or NULL */
    char *subject; /* one line */
    char *body;
    JsonObject *json; /* what the webhook gets */
    unsigned went;    /* NOTIFY_…: set on the way */
};

void notification_free(struct notification *notification);

/* Takes the notification; once cancellable is cancelled the answer is G_IO_ERROR_CANCELLED.
 * notify_finish tells in the callback whether all of it went; an error says what did not, and
 * *ret_went (NOTIFY_…) what did. */
void notify_async(struct notification *notification, GCancellable *cancellable,
                  GAsyncReadyCallback callback, gpointer data);
gboolean notify_finish(GAsyncResult *result, unsigned *ret_went, GError **error);
