/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who asks. There are three proofs: the unix socket's peer credentials, an API token, and the
 * cookie of a session. Only the last is sent by a browser without being asked, so only with it a
 * request that changes something has to show that a page of ours made it. */

#include "appliance/api/route.h"

struct identity {
    char *who; /* owned; NULL: nobody in particular */
    enum role role;
    gboolean by_session;
    char *account; /* owned; with by_session */
};

void identity_clear(struct identity *identity);

/* Fills request's identity; nobody in particular when it brings no proof. Error unauthenticated
 * when it brings one that does not hold. */
gboolean identity_find(struct request *request, GError **error);

/* Whether the request comes from no other site's page and, by session, carries the session's token.
 * To be asked of requests that change something. Error forbidden. */
gboolean identity_check_origin(const struct request *request, GError **error);
