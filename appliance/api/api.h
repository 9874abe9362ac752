/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The API of landfalld: HTTP on a unix socket and, with TLS, on the network. All of it runs in the
 * main loop of the process; see this folder's part of the room's README. */

#include <glib.h>

struct api_options {
    struct state *state; /* borrowed, as are the others */
    struct event_hub *hub;
    struct inventory *inventory;
    struct scheduler *scheduler;
    struct failovers *failovers;
    const char *state_dir;   /* of the key and certificate of HTTPS */
    const char *runtime_dir; /* of the socket landfalld.sock */
    const char *listen;      /* for HTTPS: "ADDRESS:PORT", or "0": no HTTPS */
};

struct api;
struct certificate;

/* Serves from the return on, whenever the main loop runs. */
struct api *api_new(const struct api_options *options, GError **error);

/* Where HTTPS is, "127.0.0.1:8443", and what its certificate looks like; NULL: there is none.
 * Borrowed. */
const char *api_https_address(const struct api *api);
const struct certificate *api_https_certificate(const struct api *api);

/* On the very first start, the code that makes the first account; NULL otherwise. It is told once
 * and kept nowhere. The caller owns it. */
gboolean api_first_start(struct api *api, char **ret_code, GError **error);

/* Ends what is under way with an answer that says so, and closes. NULL is fine. */
void api_free(struct api *api);
