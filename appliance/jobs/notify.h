/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Telling the outside world: a POST of JSON to a URL, or a mail through sendmail. Neither waits on
 * the main thread. */

#include <gio/gio.h>
#include <json-glib/json-glib.h>

struct notification {
    char *webhook; /* URL, or NULL */
    char *mail_to; /* addresses, or NULL */
    char *subject; /* one line */
    char *body;
    JsonObject *json; /* what the webhook gets */
};

void notification_free(struct notification *notification);

/* Takes the notification; once cancellable is cancelled the answer is G_IO_ERROR_CANCELLED.
 * notify_finish tells in the callback whether all of it went; an error says
 * what did not. */
void notify_async(struct notification *notification, GCancellable *cancellable,
                  GAsyncReadyCallback callback, gpointer data);
gboolean notify_finish(GAsyncResult *result, GError **error);
