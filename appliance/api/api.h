/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The API of landfalld: HTTP on a unix socket and, with TLS, on the network. All of it runs in the
 * main loop of the process; see this folder's part of the room's README. */

#include <glib.h>

struct api_options {
    struct state *state; /* borrowed, as are the others */
    struct event_hub *hub;
    const char *runtime_dir; /* of the socket landfalld.sock */
};

struct api;

/* Serves from the return on, whenever the main loop runs. */
struct api *api_new(const struct api_options *options, GError **error);

/* Ends what is under way with an answer that says so, and closes. NULL is fine. */
void api_free(struct api *api);
