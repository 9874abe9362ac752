/* SPDX-License-Identifier: Apache-2.0 */

/* /accounts: the people who may use the API. */

#include "appliance/state/accounts.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/password.h"
#include "appliance/api/request.h"
#include "base/json.h"

static JsonObject *account_to_json(gconstpointer row)
{
    const struct state_account *account = row;
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", account->name);
    json_object_set_string_member(object, "role", account->role);
    json_set_time(object, "created_at", account->added_us);
    json_set_time(object, "password_set_at", account->password_us);
    json_set_time(object, "used_at", account->seen_us);
    return object;
}

static JsonObject *list_accounts(struct request *request, GError **error)
{
    g_autoptr(GPtrArray) accounts = state_account_list(request_api(request)->state, error);
    return answer_rows(accounts, account_to_json);
}

static JsonObject *show_account(struct request *request, const char *name, GError **error)
{
    struct state_account *account = state_account_get(request_api(request)->state, name, error);
    JsonObject *object = account ? account_to_json(account) : NULL;
    state_account_free(account);
    return object;
}

/* What a new account is called stands in the body, and what another one is called in the path. What
 * the body has was looked at before the password was hashed. */
static const char *name_of(const struct request *request)
{
    JsonObject *body = request_body(request);
    return json_object_has_member(body, "name") ? json_object_get_string_member(body, "name")
                                                : request_parameter(request, 0);
}

/* password may be NULL, for an account that is there. */
static JsonObject *save(struct request *request, const struct state_password *password,
                        GError **error)
{
    struct state *state = request_api(request)->state;
    JsonObject *body = request_body(request);
    const char *who = request_who(request), *name = name_of(request), *role = NULL;
    if (!json_optional_string(body, "role", LANDFALL_ERROR_CONFIG, &role, error))
        return NULL;
    gboolean ok = json_object_has_member(body, "name")
                      ? state_account_add(state, who, name, role ? role : role_name(ROLE_VIEWER),
                                          password, error)
                      : state_account_change(state, who, name, role, password, error);
    return ok ? show_account(request, name, error) : NULL;
}

static void on_hashed(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct request *request = data;
    g_autoptr(GError) error = NULL;
    JsonObject *answer = NULL;
    struct state_password password;
    if (password_hash_finish(result, &password, &error) && request_api(request))
        answer = save(request, &password, &error);
    request_finish(request, answer, error);
}

static JsonObject *add_account(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *name, *password, *role = NULL;
    if (!json_member_string(body, "name", LANDFALL_ERROR_CONFIG, &name, error) ||
        !json_member_string(body, "password", LANDFALL_ERROR_CONFIG, &password, error) ||
        !json_optional_string(body, "role", LANDFALL_ERROR_CONFIG, &role, error) ||
        !role_check(role, error) || !state_check_name("account", name, error) ||
        !password_check(password, name, error) || !password_is_idle(request, error))
        return NULL;
    request_set_status(request, 201);
    request_defer(request);
    password_hash(password, on_hashed, request);
    return NULL;
}

static JsonObject *change_account(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    const char *name = request_parameter(request, 0), *password = NULL, *role = NULL;
    if (!json_optional_string(body, "password", LANDFALL_ERROR_CONFIG, &password, error) ||
        !json_optional_string(body, "role", LANDFALL_ERROR_CONFIG, &role, error) ||
        !role_check(role, error))
        return NULL;
    if (!password)
        return save(request, NULL, error);
    if (!password_check(password, name, error) || !password_is_idle(request, error))
        return NULL;
    request_defer(request);
    password_hash(password, on_hashed, request);
    return NULL;
}

static JsonObject *remove_account(struct request *request, GError **error)
{
    state_account_remove(request_api(request)->state, request_who(request),
                         request_parameter(request, 0), error);
    return NULL;
}

const struct route routes_accounts[] = {
    {"GET", "/api/v1/accounts", ROLE_OPERATOR, NULL, NULL, list_accounts},
    {"POST", "/api/v1/accounts", ROLE_OPERATOR, NULL, "name role password", add_account},
    {"PATCH", "/api/v1/accounts/{name}", ROLE_OPERATOR, NULL, "role password", change_account},
    {"DELETE", "/api/v1/accounts/{name}", ROLE_OPERATOR, NULL, NULL, remove_account},
    {NULL},
};
