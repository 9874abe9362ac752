/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/identity.h"
#include "appliance/api/api-error.h"
#include "appliance/api/request-private.h"

void identity_clear(struct identity *identity)
{
    g_free(identity->who);
    g_free(identity->account);
}

gboolean identity_find(struct request *request, GError **error)
{
    struct identity *identity = &request->identity;
    const char *user = request->connection->socket_user;
    (void)error;
    if (user) {
        identity->who = g_strconcat("socket:", user, NULL);
        identity->role = ROLE_OPERATOR;
    }
    return TRUE;
}

gboolean identity_check_origin(const struct request *request, GError **error)
{
    (void)request;
    (void)error;
    return TRUE;
}
