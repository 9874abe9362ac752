/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The client of landfalld's API, over its unix socket or over HTTPS. Whatever goes wrong becomes an
 * error with a code and a hint: the daemon's own ones as they were, those of the way to it with
 * what the operator can do about it. */

#include "base/error.h"

#include <json-glib/json-glib.h>

#define CLIENT_SOCKET_DEFAULT "/run/landfall/landfalld.sock"

struct client_options {
    const char *socket;     /* path; used when url is NULL */
    const char *url;        /* "https://host:8443", or NULL */
    const char *token_file; /* with url; may be NULL */
    const char *ca_file;    /* with url: who vouches for the certificate; NULL: the system's */
    const char *pin;        /* with url: "sha256//…" of the certificate's public key, or NULL */
};

struct client;

/* Copies the options. */
struct client *client_new(const struct client_options *options, GError **error);
void client_free(struct client *client);

/* One request below /api/v1, path with its first slash; body may be NULL. Returns the answer, an
 * empty object when it has no content. The caller owns it. */
JsonObject *client_call(struct client *client, const char *method, const char *path,
                        JsonObject *body, GError **error);

/* What stands at the path, which need not be JSON. The caller owns it. */
GBytes *client_fetch(struct client *client, const char *path, GError **error);

/* Callbacks of client_follow; each may end the stream by returning FALSE. */
struct client_observer {
    void *data;

    /* Once, when the daemon has begun to send: what happens from here on is in the stream.
     * client_call may be used on the same client. */
    gboolean (*on_open)(void *data);

    /* id and topic are borrowed for the call. */
    gboolean (*on_event)(void *data, const char *topic, JsonObject *event);

    /* Asked now and then, also when nothing comes. */
    gboolean (*go_on)(void *data);
};

/* Reads server-sent events until an observer's callback returns FALSE, which is TRUE; the end of
 * the stream for any other reason is an error. */
gboolean client_follow(struct client *client, const char *path,
                       const struct client_observer *observer, GError **error);
