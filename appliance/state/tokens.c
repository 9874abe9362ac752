/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/tokens.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "base/error.h"
#include "base/json.h"

#define COLUMNS "id, name, role, added_us, added_by, expires_us, seen_us"

void state_token_free(struct state_token *token)
{
    if (!token)
        return;
    g_free(token->name);
    g_free(token->role);
    g_free(token->added_by);
    g_free(token);
}

static gpointer read_token(struct statement *query)
{
    struct state_token *token = g_new0(struct state_token, 1);
    token->id = statement_read_int(query);
    token->name = statement_read_text(query);
    token->role = statement_read_text(query);
    token->added_us = statement_read_int(query);
    token->added_by = statement_read_text(query);
    token->expires_us = statement_read_int(query);
    token->seen_us = statement_read_int(query);
    return token;
}

GPtrArray *state_token_list(struct state *state, GError **error)
{
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM token ORDER BY id");
    return statement_rows(query, read_token, (GDestroyNotify)state_token_free, error);
}

static gboolean note(struct state *state, const char *who, const char *action, gint64 id,
                     const char *name, const char *role, GError **error)
{
    g_autofree char *object = g_strdup_printf("token/%" G_GINT64_FORMAT, id);
    g_autoptr(JsonObject) detail = json_object_new();
    json_set_optional_string(detail, "name", name);
    json_set_optional_string(detail, "role", role);
    return state_audit(state, who, action, object, detail, error);
}

static gboolean insert_token(struct state *state, struct state_token *token, GBytes *hash,
                             GError **error)
{
    struct statement *insert =
        statement_new(state, "INSERT INTO token (name, role, hash, added_us, added_by, expires_us) "
                             "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id");
    statement_bind_text(insert, token->name);
    statement_bind_text(insert, token->role);
    statement_bind_blob(insert, g_bytes_get_data(hash, NULL), g_bytes_get_size(hash));
    statement_bind_int(insert, state_now_us());
    statement_bind_text(insert, token->added_by);
    statement_bind_int_or_null(insert, token->expires_us);
    gint64 id = statement_row(insert) ? statement_read_int(insert) : 0;
    if (!statement_done(insert, error))
        return FALSE;
    token->id = id;
    if (!id)
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "choose another name, or remove that one",
                           "there is a token '%s' already", token->name);
    return id != 0;
}

gboolean state_token_add(struct state *state, struct state_token *token, GBytes *hash,
                         GError **error)
{
    if (!state_check_name("token", token->name, error) || !state_begin(state, error))
        return FALSE;
    gboolean ok =
        insert_token(state, token, hash, error) &&
        note(state, token->added_by, "token.add", token->id, token->name, token->role, error);
    return state_end(state, ok, error);
}

gboolean state_token_find(struct state *state, GBytes *hash, struct state_token **ret_token,
                          GError **error)
{
    gpointer token;
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM token WHERE hash = ?");
    statement_bind_blob(query, g_bytes_get_data(hash, NULL), g_bytes_get_size(hash));
    if (!statement_one(query, read_token, (GDestroyNotify)state_token_free, &token, error))
        return FALSE;
    *ret_token = token;
    return TRUE;
}

gboolean state_token_touch(struct state *state, gint64 id, GError **error)
{
    struct statement *update = statement_new(state, "UPDATE token SET seen_us = ? WHERE id = ?");
    statement_bind_int(update, state_now_us());
    statement_bind_int(update, id);
    return statement_done(update, error);
}

static gboolean delete_token(struct state *state, gint64 id, GError **error)
{
    struct statement *removal = statement_new(state, "DELETE FROM token WHERE id = ?");
    statement_bind_int(removal, id);
    if (!statement_done(removal, error))
        return FALSE;
    if (state_changed_rows(state) == 1)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall token list shows the tokens",
                       "there is no token %" G_GINT64_FORMAT, id);
    return FALSE;
}

gboolean state_token_remove(struct state *state, const char *who, gint64 id, GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok =
        delete_token(state, id, error) && note(state, who, "token.remove", id, NULL, NULL, error);
    return state_end(state, ok, error);
}
