/* SPDX-License-Identifier: Apache-2.0 */

/* /accounts and /tokens: who may use the API, people and programs. */

#include "appliance/state/accounts.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/client-secret.h"
#include "appliance/api/password.h"
#include "appliance/api/request.h"
#include "appliance/state/tokens.h"
#include "base/json.h"

#define TOKEN_PREFIX "landfall_"
#define TOKEN_LIFE_MAX_S (10LL * 366 * 24 * 3600)

static JsonObject *account_to_json(const struct state_account *account)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", account->name);
    json_object_set_string_member(object, "role", account->role);
    answer_set_time(object, "created_at", account->added_us);
    answer_set_time(object, "password_set_at", account->password_us);
    answer_set_time(object, "used_at", account->seen_us);
    return object;
}

static JsonObject *list_accounts(struct request *request, GError **error)
{
    g_autoptr(GPtrArray) accounts = state_account_list(request_api(request)->state, error);
    if (!accounts)
        return NULL;
    JsonArray *items = json_array_new();
    for (guint i = 0; i < accounts->len; i++)
        json_array_add_object_element(items, account_to_json(accounts->pdata[i]));
    return answer_list(items, 0);
}

static JsonObject *show_account(struct request *request, const char *name, GError **error)
{
    struct state_account *account = state_account_get(request_api(request)->state, name, error);
    JsonObject *object = account ? account_to_json(account) : NULL;
    state_account_free(account);
    return object;
}

/* The name and the role were looked at before the password was hashed. */
static const char *name_of(const struct request *request)
{
    JsonObject *body = request_body(request);
    return json_object_has_member(body, "name") ? json_object_get_string_member(body, "name")
                                                : request_parameter(request, 0);
}

static const char *role_of(const struct request *request, const char *fallback)
{
    json_optional_string(request_body(request), "role", LANDFALL_ERROR_CONFIG, &fallback, NULL);
    return fallback;
}

static void on_added(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct request *request = data;
    g_autoptr(GError) error = NULL;
    JsonObject *answer = NULL;
    struct state_password password;
    const char *name = name_of(request);
    if (password_hash_finish(result, &password, &error) && request_api(request) &&
        state_account_add(request_api(request)->state, request_who(request), name,
                          role_of(request, role_name(ROLE_VIEWER)), &password, &error))
        answer = show_account(request, name, &error);
    request_finish(request, answer, error);
}

static void on_changed(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct request *request = data;
    g_autoptr(GError) error = NULL;
    JsonObject *answer = NULL;
    struct state_password password;
    const char *name = name_of(request);
    if (password_hash_finish(result, &password, &error) && request_api(request) &&
        state_account_change(request_api(request)->state, request_who(request), name,
                             role_of(request, NULL), &password, &error))
        answer = show_account(request, name, &error);
    request_finish(request, answer, error);
}

static gboolean check_role(const char *name, GError **error)
{
    enum role role;
    if (!name || role_from_name(name, &role))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use viewer or operator",
                       "there is no role '%.64s'", name);
    return FALSE;
}

static JsonObject *add_account(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *name, *password, *role = NULL;
    if (!json_member_string(body, "name", LANDFALL_ERROR_CONFIG, &name, error) ||
        !json_member_string(body, "password", LANDFALL_ERROR_CONFIG, &password, error) ||
        !json_optional_string(body, "role", LANDFALL_ERROR_CONFIG, &role, error) ||
        !check_role(role, error) || !state_check_name("account", name, error) ||
        !password_check(password, name, error) || !password_is_idle(request, error))
        return NULL;
    request_set_status(request, 201);
    request_defer(request);
    password_hash(password, on_added, request);
    return NULL;
}

static JsonObject *change_account(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *name = request_parameter(request, 0), *password = NULL, *role = NULL;
    if (!json_optional_string(body, "password", LANDFALL_ERROR_CONFIG, &password, error) ||
        !json_optional_string(body, "role", LANDFALL_ERROR_CONFIG, &role, error) ||
        !check_role(role, error))
        return NULL;
    if (!password) {
        gboolean ok = state_account_change(request_api(request)->state, request_who(request), name,
                                           role, NULL, error);
        return ok ? show_account(request, name, error) : NULL;
    }
    if (!password_check(password, name, error) || !password_is_idle(request, error))
        return NULL;
    request_defer(request);
    password_hash(password, on_changed, request);
    return NULL;
}

static JsonObject *remove_account(struct request *request, GError **error)
{
    state_account_remove(request_api(request)->state, request_who(request),
                         request_parameter(request, 0), error);
    return NULL;
}

/* --- tokens --- */

static JsonObject *token_to_json(const struct state_token *token)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", token->id);
    json_object_set_string_member(object, "name", token->name);
    json_object_set_string_member(object, "role", token->role);
    json_object_set_string_member(object, "created_by", token->added_by);
    answer_set_time(object, "created_at", token->added_us);
    answer_set_time(object, "expires_at", token->expires_us);
    answer_set_time(object, "used_at", token->seen_us);
    return object;
}

static JsonObject *list_tokens(struct request *request, GError **error)
{
    g_autoptr(GPtrArray) tokens = state_token_list(request_api(request)->state, error);
    if (!tokens)
        return NULL;
    JsonArray *items = json_array_new();
    for (guint i = 0; i < tokens->len; i++)
        json_array_add_object_element(items, token_to_json(tokens->pdata[i]));
    return answer_list(items, 0);
}

/* The only answer that has the token itself in it. */
static JsonObject *token_answer(gint64 id, const char *name, const char *role, gint64 expires_us,
                                const char *secret)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", id);
    json_object_set_string_member(object, "name", name);
    json_object_set_string_member(object, "role", role);
    answer_set_time(object, "expires_at", expires_us);
    json_object_set_string_member(object, "token", secret);
    return object;
}

static JsonObject *add_token(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *name, *role = role_name(ROLE_VIEWER);
    guint64 expires_s = 0;
    gint64 id;
    if (!json_member_string(body, "name", LANDFALL_ERROR_CONFIG, &name, error) ||
        !json_optional_string(body, "role", LANDFALL_ERROR_CONFIG, &role, error) ||
        !json_optional_uint(body, "expires_s", LANDFALL_ERROR_CONFIG, &expires_s, error) ||
        !check_role(role, error))
        return NULL;
    if (expires_s > TOKEN_LIFE_MAX_S) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "0 is never",
                           "a token cannot expire later than in %lld seconds", TOKEN_LIFE_MAX_S);
        return NULL;
    }
    gint64 expires_us = expires_s ? state_now_us() + (gint64)expires_s * G_USEC_PER_SEC : 0;
    g_autofree char *secret = client_secret_new(TOKEN_PREFIX, error);
    g_autoptr(GBytes) hash = secret ? client_secret_hash(secret) : NULL;
    if (!hash || !state_token_add(request_api(request)->state, request_who(request), name, role,
                                  hash, expires_us, &id, error))
        return NULL;
    request_set_status(request, 201);
    return token_answer(id, name, role, expires_us, secret);
}

static JsonObject *remove_token(struct request *request, GError **error)
{
    gint64 id;
    if (request_id(request, 0, &id, error))
        state_token_remove(request_api(request)->state, request_who(request), id, error);
    return NULL;
}

const struct route routes_accounts[] = {
    {"GET", "/api/v1/accounts", ROLE_OPERATOR, NULL, NULL, list_accounts},
    {"POST", "/api/v1/accounts", ROLE_OPERATOR, NULL, "name role password", add_account},
    {"PATCH", "/api/v1/accounts/{name}", ROLE_OPERATOR, NULL, "role password", change_account},
    {"DELETE", "/api/v1/accounts/{name}", ROLE_OPERATOR, NULL, NULL, remove_account},
    {"GET", "/api/v1/tokens", ROLE_OPERATOR, NULL, NULL, list_tokens},
    {"POST", "/api/v1/tokens", ROLE_OPERATOR, NULL, "name role expires_s", add_token},
    {"DELETE", "/api/v1/tokens/{id}", ROLE_OPERATOR, NULL, NULL, remove_token},
    {NULL},
};
