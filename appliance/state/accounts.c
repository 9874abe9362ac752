/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/accounts.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define COLUMNS                                                                                    \
    "name, role, salt, hash, scrypt_n, scrypt_r, scrypt_p, added_us, password_us, seen_us"

void state_account_free(struct state_account *account)
{
    if (!account)
        return;
    g_free(account->name);
    g_free(account->role);
    g_free(account);
}

/* What has another length than it was written with stays zeros, which is nobody's hash. */
static void read_bytes(struct statement *query, guint8 bytes[STATE_PASSWORD_BYTES])
{
    g_autoptr(GBytes) blob = statement_read_blob(query);
    if (blob && g_bytes_get_size(blob) == STATE_PASSWORD_BYTES)
        memcpy(bytes, g_bytes_get_data(blob, NULL), STATE_PASSWORD_BYTES);
}

static gpointer read_account(struct statement *query)
{
    struct state_account *account = g_new0(struct state_account, 1);
    account->name = statement_read_text(query);
    account->role = statement_read_text(query);
    read_bytes(query, account->password.salt);
    read_bytes(query, account->password.hash);
    account->password.n = (guint64)statement_read_int(query);
    account->password.r = (guint64)statement_read_int(query);
    account->password.p = (guint64)statement_read_int(query);
    account->added_us = statement_read_int(query);
    account->password_us = statement_read_int(query);
    account->seen_us = statement_read_int(query);
    return account;
}

GPtrArray *state_account_list(struct state *state, GError **error)
{
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM account ORDER BY name");
    return statement_rows(query, read_account, (GDestroyNotify)state_account_free, error);
}

static gboolean missing(const char *name, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall account list shows the accounts",
                       "there is no account '%.64s'", name);
    return FALSE;
}

struct state_account *state_account_get(struct state *state, const char *name, GError **error)
{
    gpointer account;
    struct statement *query =
        statement_new(state, "SELECT " COLUMNS " FROM account WHERE name = ?");
    statement_bind_text(query, name);
    if (statement_one(query, read_account, (GDestroyNotify)state_account_free, &account, error) &&
        !account)
        missing(name, error);
    return account;
}

static gboolean note(struct state *state, const char *who, const char *action, const char *name,
                     const char *role, gboolean password, GError **error)
{
    g_autofree char *object = g_strconcat("account/", name, NULL);
    g_autoptr(JsonObject) detail = json_object_new();
    json_set_optional_string(detail, "role", role);
    if (password)
        json_object_set_boolean_member(detail, "password_set", TRUE);
    return state_audit(state, who, action, object, detail, error);
}

static gboolean check_role(const char *role, GError **error)
{
    if (g_str_equal(role, "viewer") || g_str_equal(role, "operator"))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use viewer or operator",
                       "there is no role '%.64s'", role);
    return FALSE;
}

static void bind_password(struct statement *statement, const struct state_password *password)
{
    statement_bind_blob(statement, password->salt, STATE_PASSWORD_BYTES);
    statement_bind_blob(statement, password->hash, STATE_PASSWORD_BYTES);
    statement_bind_int(statement, (gint64)password->n);
    statement_bind_int(statement, (gint64)password->r);
    statement_bind_int(statement, (gint64)password->p);
    statement_bind_int(statement, state_now_us());
}

static gboolean run(struct state *state, const char *sql, GError **error)
{
    return statement_done(statement_new(state, sql), error);
}

static gboolean insert_account(struct state *state, const char *name, const char *role,
                               const struct state_password *password, GError **error)
{
    struct statement *insert = statement_new(
        state, "INSERT INTO account (name, role, salt, hash, scrypt_n, scrypt_r, scrypt_p, "
               "password_us, added_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    statement_bind_text(insert, name);
    statement_bind_text(insert, role);
    bind_password(insert, password);
    statement_bind_int(insert, state_now_us());
    if (!statement_done(insert, error))
        return FALSE;
    if (state_changed_rows(state) == 1)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "choose another name, or change that one",
                       "there is an account '%s' already", name);
    return FALSE;
}

gboolean state_account_add(struct state *state, const char *who, const char *name, const char *role,
                           const struct state_password *password, GError **error)
{
    if (!state_check_name("account", name, error) || !check_role(role, error) ||
        !state_begin(state, error))
        return FALSE;
    gboolean ok = insert_account(state, name, role, password, error) &&
                  run(state, "DELETE FROM setup_code", error) &&
                  note(state, who, "account.add", name, role, FALSE, error);
    return state_end(state, ok, error);
}

/* Root on the unix socket could mend it, but whoever is far away could not. */
static gboolean check_operator_left(struct state *state, GError **error)
{
    gint64 operators = 0;
    struct statement *query =
        statement_new(state, "SELECT count(*) FROM account WHERE role = 'operator'");
    if (statement_row(query))
        operators = statement_read_int(query);
    if (!statement_done(query, error))
        return FALSE;
    if (operators > 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "make another account operator first",
                       "no operator would be left");
    return FALSE;
}

static gboolean update_role(struct state *state, const char *name, const char *role, GError **error)
{
    struct statement *update =
        statement_new(state, "UPDATE account SET role = coalesce(?, role) WHERE name = ?");
    statement_bind_text(update, role);
    statement_bind_text(update, name);
    return statement_done(update, error) &&
           (state_changed_rows(state) == 1 || missing(name, error));
}

static gboolean update_password(struct state *state, const char *name,
                                const struct state_password *password, GError **error)
{
    struct statement *update =
        statement_new(state, "UPDATE account SET salt = ?, hash = ?, scrypt_n = ?, scrypt_r = ?, "
                             "scrypt_p = ?, password_us = ? WHERE name = ?");
    bind_password(update, password);
    statement_bind_text(update, name);
    if (!statement_done(update, error))
        return FALSE;
    struct statement *removal = statement_new(state, "DELETE FROM session WHERE account = ?");
    statement_bind_text(removal, name);
    return statement_done(removal, error);
}

gboolean state_account_change(struct state *state, const char *who, const char *name,
                              const char *role, const struct state_password *password,
                              GError **error)
{
    if ((role && !check_role(role, error)) || !state_begin(state, error))
        return FALSE;
    gboolean ok = update_role(state, name, role, error) &&
                  (!role || check_operator_left(state, error)) &&
                  (!password || update_password(state, name, password, error)) &&
                  note(state, who, "account.change", name, role, password != NULL, error);
    return state_end(state, ok, error);
}

static gboolean delete_account(struct state *state, const char *name, GError **error)
{
    struct statement *removal = statement_new(state, "DELETE FROM account WHERE name = ?");
    statement_bind_text(removal, name);
    return statement_done(removal, error) &&
           (state_changed_rows(state) == 1 || missing(name, error));
}

gboolean state_account_remove(struct state *state, const char *who, const char *name,
                              GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = delete_account(state, name, error) && check_operator_left(state, error) &&
                  note(state, who, "account.remove", name, NULL, FALSE, error);
    return state_end(state, ok, error);
}

gboolean state_setup_code_set(struct state *state, GBytes *hash, GError **error)
{
    struct statement *insert = statement_new(
        state, "INSERT OR REPLACE INTO setup_code (id, hash, made_us) VALUES (1, ?, ?)");
    statement_bind_blob(insert, g_bytes_get_data(hash, NULL), g_bytes_get_size(hash));
    statement_bind_int(insert, state_now_us());
    return statement_done(insert, error);
}

gboolean state_setup_code_get(struct state *state, GBytes **ret_hash, GError **error)
{
    g_autoptr(GBytes) hash = NULL;
    struct statement *query = statement_new(state, "SELECT hash FROM setup_code");
    if (statement_row(query))
        hash = statement_read_blob(query);
    if (!statement_done(query, error))
        return FALSE;
    *ret_hash = g_steal_pointer(&hash);
    return TRUE;
}
