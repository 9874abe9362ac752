/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The server as its handlers see it. */

#include "appliance/api/api.h"

struct api {
    struct state *state; /* borrowed, as are the others */
    struct event_hub *hub;
    char *socket_path;      /* set once */
    struct listener *local; /* the unix socket */
    GQueue deferred;        /* struct request */
};

void api_count_request(struct api *api, const char *method, unsigned status);
