/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who asks. There are three proofs: the unix socket's peer credentials, an API token, and the
 * cookie of a session. Only the last is sent by a browser without being asked, so only with it a
 * request that changes something has to show that a page of ours made it. */

#include "appliance/api/route.h"

#define IDENTITY_COOKIE "__Host-landfall"
#define IDENTITY_CSRF_HEADER "X-CSRF-Token"

enum identity_kind {
    IDENTITY_NOBODY,
    IDENTITY_SOCKET,
    IDENTITY_TOKEN,
    IDENTITY_SESSION,
};

struct identity {
    enum identity_kind kind;
    enum role role; /* of nobody: none */
    char *who;      /* NULL: nobody in particular */
    GBytes *hash;   /* what a token or session is known by */
    char *csrf;     /* of a session: what has to be in the header */
};

void identity_clear(struct identity *identity);

struct api;
struct state;

/* How long a session may be unused, and how long it lasts at most. */
gboolean identity_session_times(struct state *state, gint64 *ret_idle_us, gint64 *ret_life_us,
                                GError **error);

/* Fills request's identity; nobody in particular when it brings no proof. Error unauthenticated
 * when it brings one that does not hold. */
gboolean identity_find(struct request *request, GError **error);

/* Whether it still is what it was when it was found: for what goes on for long. */
gboolean identity_holds(struct api *api, const struct identity *identity);

/* Whether the request comes from no other site's page and, by session, carries the session's token.
 * To be asked of requests that change something. Error forbidden. */
gboolean identity_check_origin(const struct request *request, GError **error);
