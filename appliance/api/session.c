/* SPDX-License-Identifier: Apache-2.0 */

/* /session and /setup: logging in and out, and the very first account. */

#include "appliance/api/api-error.h"
#include "appliance/api/api-private.h"
#include "appliance/api/client-secret.h"
#include "appliance/api/lockout.h"
#include "appliance/api/password.h"
#include "appliance/api/request-private.h"
#include "appliance/state/sessions.h"
#include "base/json.h"

#define FIRST_ACCOUNT "admin"

static const char *const kind_names[] = {
    [IDENTITY_NOBODY] = "nobody",
    [IDENTITY_SOCKET] = "socket",
    [IDENTITY_TOKEN] = "token",
    [IDENTITY_SESSION] = "session",
};

static JsonObject *get_session(struct request *request, GError **error)
{
    const struct identity *identity = &request->identity;
    JsonObject *answer = json_object_new();
    (void)error;
    json_object_set_string_member(answer, "who", identity->who);
    json_object_set_string_member(answer, "role", role_name(identity->role));
    json_object_set_string_member(answer, "kind", kind_names[identity->kind]);
    json_set_optional_string(answer, "csrf_token", identity->csrf);
    return answer;
}

static void set_cookie(struct request *request, const char *secret, gint64 seconds)
{
    g_autofree char *cookie = g_strdup_printf(
        IDENTITY_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%" G_GINT64_FORMAT,
        secret, seconds);
    request_add_header(request, MHD_HTTP_HEADER_SET_COOKIE, cookie);
}

/* --- logging in --- */

/* The password was right. */
static JsonObject *begin_session(struct request *request, const char *name, GError **error)
{
    struct state *state = request_api(request)->state;
    gint64 idle_us, life_us;
    g_autofree char *secret = client_secret_new("", error);
    struct state_account *account = secret ? state_account_get(state, name, error) : NULL;
    if (!account)
        return NULL;
    g_autofree char *role = g_strdup(account->role);
    g_autofree char *csrf = client_secret_csrf(secret);
    g_autoptr(GBytes) hash = client_secret_hash(secret);
    state_account_free(account);
    if (!lockout_succeeded(request, name, error) ||
        !identity_session_times(state, &idle_us, &life_us, error) ||
        !state_session_add(state, hash, name, request_address(request), idle_us, life_us, error))
        return NULL;
    set_cookie(request, secret, life_us / G_USEC_PER_SEC);
    request_set_status(request, 201);
    JsonObject *answer = json_object_new();
    json_object_set_string_member(answer, "who", name);
    json_object_set_string_member(answer, "role", role);
    json_object_set_string_member(answer, "kind", kind_names[IDENTITY_SESSION]);
    json_object_set_string_member(answer, "csrf_token", csrf);
    return answer;
}

static void on_verified(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct request *request = data;
    g_autoptr(GError) error = NULL;
    JsonObject *answer = NULL;
    gboolean right = FALSE;
    if (password_verify_finish(result, &right, &error) && request_api(request)) {
        if (right)
            answer = begin_session(
                request, json_object_get_string_member(request_body(request), "name"), &error);
        else
            g_set_error(&error, API_ERROR, API_ERROR_UNAUTHENTICATED,
                        "name or password is not right");
    }
    request_finish(request, answer, error);
}

static JsonObject *log_in(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *name, *password;
    g_autoptr(GError) none = NULL;
    if (!json_member_string(body, "name", LANDFALL_ERROR_CONFIG, &name, error) ||
        !json_member_string(body, "password", LANDFALL_ERROR_CONFIG, &password, error) ||
        !password_is_idle(request, error) || !lockout_try(request, name, error))
        return NULL;
    struct state_account *account = state_account_get(request_api(request)->state, name, &none);
    if (!account && !g_error_matches(none, LANDFALL_ERROR, LANDFALL_ERROR_MISSING)) {
        g_propagate_error(error, g_steal_pointer(&none));
        return NULL;
    }
    request_defer(request);
    password_verify(password, account ? &account->password : NULL, on_verified, request);
    state_account_free(account);
    return NULL;
}

static JsonObject *log_out(struct request *request, GError **error)
{
    const struct identity *identity = &request->identity;
    if (identity->kind != IDENTITY_SESSION) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, NULL, "%s has no session to end",
                           identity->who);
        return NULL;
    }
    if (state_session_remove(request_api(request)->state, identity->who, identity->hash, error))
        set_cookie(request, "", 0);
    return NULL;
}

/* --- the first account --- */

static void on_hashed(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct request *request = data;
    g_autoptr(GError) error = NULL;
    JsonObject *answer = NULL;
    struct state_password password;
    if (password_hash_finish(result, &password, &error) && request_api(request) &&
        state_account_add(request_api(request)->state, "setup", FIRST_ACCOUNT,
                          role_name(ROLE_OPERATOR), &password, &error) &&
        lockout_succeeded(request, "setup", &error)) {
        answer = json_object_new();
        json_object_set_string_member(answer, "name", FIRST_ACCOUNT);
        json_object_set_string_member(answer, "role", role_name(ROLE_OPERATOR));
    }
    request_finish(request, answer, error);
}

static gboolean check_code(struct request *request, const char *code, GError **error)
{
    g_autoptr(GBytes) expected = NULL;
    g_autoptr(GBytes) given = client_secret_hash_code(code);
    if (!state_setup_code_get(request_api(request)->state, &expected, error))
        return FALSE;
    if (!expected) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "log in: POST /api/v1/session",
                           "the set-up is done already");
        return FALSE;
    }
    if (client_secret_hash_equal(expected, given))
        return TRUE;
    g_set_error(error, API_ERROR, API_ERROR_UNAUTHENTICATED, "the set-up code is not right");
    return FALSE;
}

static JsonObject *set_up(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *code, *password;
    if (!json_member_string(body, "code", LANDFALL_ERROR_CONFIG, &code, error) ||
        !json_member_string(body, "password", LANDFALL_ERROR_CONFIG, &password, error) ||
        !password_is_idle(request, error) || !lockout_try(request, "setup", error) ||
        !check_code(request, code, error) || !password_check(password, FIRST_ACCOUNT, error))
        return NULL;
    request_set_status(request, 201);
    request_defer(request);
    password_hash(password, on_hashed, request);
    return NULL;
}

const struct route routes_session[] = {
    {"POST", "/api/v1/setup", ROLE_NONE, NULL, "code password", set_up},
    {"GET", "/api/v1/session", ROLE_VIEWER, NULL, NULL, get_session},
    {"POST", "/api/v1/session", ROLE_NONE, NULL, "name password", log_in},
    {"DELETE", "/api/v1/session", ROLE_VIEWER, NULL, NULL, log_out},
    {NULL},
};
