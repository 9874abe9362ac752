/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/identity.h"
#include "appliance/api/api-error.h"
#include "appliance/api/api-private.h"
#include "appliance/api/client-secret.h"
#include "appliance/api/request-private.h"
#include "appliance/state/sessions.h"
#include "appliance/state/settings.h"
#include "appliance/state/tokens.h"

/* That something was used is written down at most so often. */
#define TOUCH_US (10 * G_USEC_PER_SEC)

void identity_clear(struct identity *identity)
{
    g_free(identity->who);
    g_free(identity->csrf);
    g_clear_pointer(&identity->hash, g_bytes_unref);
}

static gboolean refuse(GError **error, const char *message)
{
    g_set_error_literal(error, API_ERROR, API_ERROR_UNAUTHENTICATED, message);
    return FALSE;
}

/* --- tokens --- */

static gboolean use_token(struct request *request, const struct state_token *token, GBytes *hash,
                          GError **error)
{
    struct identity *identity = &request->identity;
    gint64 now_us = state_now_us();
    if (token->expires_us && token->expires_us <= now_us)
        return refuse(error, "the token has expired");
    if (token->seen_us < now_us - TOUCH_US &&
        !state_token_touch(request->api->state, token->id, error))
        return FALSE;
    if (!role_from_name(token->role, &identity->role))
        return refuse(error, "the token has no role");
    identity->kind = IDENTITY_TOKEN;
    identity->hash = g_bytes_ref(hash);
    identity->who = g_strconcat("token:", token->name, NULL);
    return TRUE;
}

static gboolean find_token(struct request *request, const char *authorization, GError **error)
{
    struct state_token *token = NULL;
    if (g_ascii_strncasecmp(authorization, "Bearer ", 7) != 0)
        return refuse(error, "only tokens are taken in the header Authorization");
    g_autoptr(GBytes) hash = client_secret_hash(authorization + 7);
    if (!state_token_find(request->api->state, hash, &token, error))
        return FALSE;
    gboolean ok = token ? use_token(request, token, hash, error)
                        : refuse(error, "there is no such token, or no longer");
    state_token_free(token);
    return ok;
}

/* --- sessions --- */

gboolean identity_session_times(struct state *state, gint64 *ret_idle_us, gint64 *ret_life_us,
                                GError **error)
{
    gint64 idle_s, life_s;
    if (!state_setting_int(state, "session_idle_s", &idle_s, error) ||
        !state_setting_int(state, "session_life_s", &life_s, error))
        return FALSE;
    *ret_idle_us = idle_s * G_USEC_PER_SEC;
    *ret_life_us = life_s * G_USEC_PER_SEC;
    return TRUE;
}

static gboolean session_lives(struct state *state, const struct state_session *session,
                              gboolean *ret_lives, GError **error)
{
    gint64 now_us = state_now_us(), idle_us, life_us;
    if (!identity_session_times(state, &idle_us, &life_us, error))
        return FALSE;
    *ret_lives = session->seen_us + idle_us > now_us && session->started_us + life_us > now_us;
    return TRUE;
}

static gboolean use_session(struct request *request, const struct state_session *session,
                            const char *secret, GBytes *hash, GError **error)
{
    struct identity *identity = &request->identity;
    gboolean lives = FALSE;
    if (!session_lives(request->api->state, session, &lives, error))
        return FALSE;
    if (!lives)
        return TRUE; /* as if there were none */
    if (session->seen_us < state_now_us() - TOUCH_US &&
        !state_session_touch(request->api->state, hash, error))
        return FALSE;
    if (!role_from_name(session->role, &identity->role))
        return TRUE;
    identity->kind = IDENTITY_SESSION;
    identity->who = g_strdup(session->account);
    identity->csrf = client_secret_csrf(secret);
    identity->hash = g_bytes_ref(hash);
    return TRUE;
}

/* A cookie that is worth nothing any more is no error: the browser sends it with the next login. */
static gboolean find_session(struct request *request, const char *secret, GError **error)
{
    struct state_session *session = NULL;
    g_autoptr(GBytes) hash = client_secret_hash(secret);
    if (!state_session_find(request->api->state, hash, &session, error))
        return FALSE;
    gboolean ok = !session || use_session(request, session, secret, hash, error);
    state_session_free(session);
    return ok;
}

gboolean identity_find(struct request *request, GError **error)
{
    struct identity *identity = &request->identity;
    const char *user = request->connection->socket_user;
    const char *authorization = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    const char *cookie =
        MHD_lookup_connection_value(request->http, MHD_COOKIE_KIND, IDENTITY_COOKIE);
    if (user) {
        identity->kind = IDENTITY_SOCKET;
        identity->who = g_strconcat("socket:", user, NULL);
        identity->role = ROLE_OPERATOR;
        return TRUE;
    }
    if (authorization)
        return find_token(request, authorization, error);
    return !cookie || find_session(request, cookie, error);
}

/* --- later --- */

static gboolean token_holds(struct state *state, GBytes *hash)
{
    struct state_token *token = NULL;
    gboolean holds = state_token_find(state, hash, &token, NULL) && token &&
                     (!token->expires_us || token->expires_us > state_now_us());
    state_token_free(token);
    return holds;
}

static gboolean session_holds(struct state *state, GBytes *hash)
{
    struct state_session *session = NULL;
    gboolean lives = FALSE;
    gboolean holds = state_session_find(state, hash, &session, NULL) && session &&
                     session_lives(state, session, &lives, NULL) && lives;
    state_session_free(session);
    return holds;
}

gboolean identity_holds(struct api *api, const struct identity *identity)
{
    switch (identity->kind) {
    case IDENTITY_TOKEN:
        return token_holds(api->state, identity->hash);
    case IDENTITY_SESSION:
        return session_holds(api->state, identity->hash);
    default:
        return TRUE;
    }
}

/* --- where a browser's request comes from --- */

static gboolean forbid(GError **error, const char *message)
{
    g_set_error_literal(error, API_ERROR, API_ERROR_FORBIDDEN, message);
    return FALSE;
}

gboolean identity_check_origin(const struct request *request, GError **error)
{
    const struct identity *identity = &request->identity;
    const char *site = request_header(request, "Sec-Fetch-Site");
    const char *origin = request_header(request, MHD_HTTP_HEADER_ORIGIN);
    const char *host = request_header(request, MHD_HTTP_HEADER_HOST);
    const char *csrf = request_header(request, IDENTITY_CSRF_HEADER);
    g_autofree char *own = g_strconcat("https://", host ? host : "", NULL);
    if (identity->kind == IDENTITY_SOCKET || identity->kind == IDENTITY_TOKEN)
        return TRUE; /* no browser sends these by itself */
    if (site && !g_str_equal(site, "same-origin") && !g_str_equal(site, "none"))
        return forbid(error, "the request comes from another site's page");
    if (origin && g_ascii_strcasecmp(origin, own) != 0)
        return forbid(error, "the request comes from a page of another origin");
    if (identity->kind == IDENTITY_SESSION && (!csrf || !client_secret_equal(csrf, identity->csrf)))
        return forbid(error,
                      "the header " IDENTITY_CSRF_HEADER " does not hold the session's csrf_token");
    return TRUE;
}
