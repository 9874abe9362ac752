/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The server as its handlers see it. */

#include "appliance/api/api.h"

struct api {
    struct state *state; /* borrowed, as are the others */
    struct event_hub *hub;
    struct inventory *inventory;
    struct scheduler *scheduler;
    struct failovers *failovers;
    char *socket_path;      /* set once */
    struct listener *local; /* the unix socket */
    struct listener *https; /* or NULL */
    char *https_address;
    struct certificate *certificate;
    struct metrics *metrics;
    GQueue deferred; /* struct request */
    GQueue streams;  /* struct event_stream */
};

/* Lets the readers of events go. */
void event_streams_end(struct api *api);
