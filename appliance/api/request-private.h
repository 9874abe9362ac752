/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of a request: for the files that take it from libmicrohttpd and give it back. */

#include "appliance/api/connection.h"
#include "appliance/api/identity.h"
#include "appliance/api/request.h"

enum request_state {
    REQUEST_GATHERING, /* head or body are still arriving */
    REQUEST_DEFERRED,  /* its handler works on */
    REQUEST_ANSWERED,  /* error, answer or response is what there is to say */
};

struct request {
    gint reference_count;
    struct api *api;             /* borrowed; NULL once the server is gone */
    struct MHD_Connection *http; /* borrowed; NULL once the exchange is over */
    struct connection *connection;
    char *method;
    char *path;
    const struct route *route; /* NULL: there is none */
    GStrv parameters;
    struct identity identity;
    GByteArray *body;
    guint64 body_bytes; /* that came, also those not kept */
    JsonObject *json;   /* the body */

    enum request_state state;
    gboolean suspended;
    gboolean is_stream; /* has no end in sight, and so no deadline */
    GList link;         /* while it is deferred, in the server's queue */

    GError *error;                 /* why it is refused, or what went wrong */
    JsonObject *answer;            /* NULL: no content */
    struct MHD_Response *response; /* instead of an answer in JSON */
    unsigned status;               /* 0: the usual one */
    GStrvBuilder *headers;         /* name, value, name, value … of the answer */
};

struct request *request_new(struct api *api, struct MHD_Connection *http, const char *method,
                            const char *path);
struct request *request_ref(struct request *request);
void request_unref(struct request *request);
