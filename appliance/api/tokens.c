/* SPDX-License-Identifier: Apache-2.0 */

/* /tokens: the programs, and other machines, that may use the API. */

#include "appliance/state/tokens.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/client-secret.h"
#include "appliance/api/request.h"
#include "base/json.h"

#define TOKEN_PREFIX "landfall_"
#define TOKEN_LIFE_MAX_S (10LL * 366 * 24 * 3600)

static JsonObject *token_to_json(gconstpointer row)
{
    const struct state_token *token = row;
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", token->id);
    json_object_set_string_member(object, "name", token->name);
    json_object_set_string_member(object, "role", token->role);
    json_object_set_string_member(object, "created_by", token->added_by);
    json_set_time(object, "created_at", token->added_us);
    json_set_time(object, "expires_at", token->expires_us);
    json_set_time(object, "used_at", token->seen_us);
    return object;
}

static JsonObject *list_tokens(struct request *request, GError **error)
{
    g_autoptr(GPtrArray) tokens = state_token_list(request_api(request)->state, error);
    return answer_rows(tokens, token_to_json);
}

/* The only answer that has the token itself in it. */
static JsonObject *token_answer(const struct state_token *token, const char *secret)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", token->id);
    json_object_set_string_member(object, "name", token->name);
    json_object_set_string_member(object, "role", token->role);
    json_set_time(object, "expires_at", token->expires_us);
    json_object_set_string_member(object, "token", secret);
    return object;
}

static JsonObject *add_token(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *name, *role = role_name(ROLE_VIEWER);
    guint64 expires_s = 0;
    if (!json_member_string(body, "name", LANDFALL_ERROR_CONFIG, &name, error) ||
        !json_optional_string(body, "role", LANDFALL_ERROR_CONFIG, &role, error) ||
        !json_optional_uint(body, "expires_s", LANDFALL_ERROR_CONFIG, &expires_s, error) ||
        !role_check(role, error))
        return NULL;
    if (expires_s > TOKEN_LIFE_MAX_S) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "0 is never",
                           "a token cannot expire later than in %lld seconds", TOKEN_LIFE_MAX_S);
        return NULL;
    }
    struct state_token token = {
        .name = (char *)name,
        .role = (char *)role,
        .added_by = (char *)request_who(request),
        .expires_us = expires_s ? state_now_us() + (gint64)expires_s * G_USEC_PER_SEC : 0,
    };
    g_autofree char *secret = client_secret_new(TOKEN_PREFIX, error);
    g_autoptr(GBytes) hash = secret ? client_secret_hash(secret) : NULL;
    if (!hash || !state_token_add(request_api(request)->state, &token, hash, error))
        return NULL;
    request_set_status(request, 201);
    return token_answer(&token, secret);
}

static JsonObject *remove_token(struct request *request, GError **error)
{
    gint64 id;
    if (request_id(request, 0, &id, error))
        state_token_remove(request_api(request)->state, request_who(request), id, error);
    return NULL;
}

const struct route routes_tokens[] = {
    {"GET", "/api/v1/tokens", ROLE_OPERATOR, NULL, NULL, list_tokens},
    {"POST", "/api/v1/tokens", ROLE_OPERATOR, NULL, "name role expires_s", add_token},
    {"DELETE", "/api/v1/tokens/{id}", ROLE_OPERATOR, NULL, NULL, remove_token},
    {NULL},
};
