/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/sessions.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "base/json.h"

#define LOCKOUTS_KEPT 10000

void state_session_free(struct state_session *session)
{
    if (!session)
        return;
    g_free(session->account);
    g_free(session->role);
    g_free(session);
}

static void bind_hash(struct statement *statement, GBytes *hash)
{
    statement_bind_blob(statement, g_bytes_get_data(hash, NULL), g_bytes_get_size(hash));
}

static gboolean forget_old(struct state *state, gint64 now_us, gint64 idle_us, gint64 life_us,
                           GError **error)
{
    struct statement *removal =
        statement_new(state, "DELETE FROM session WHERE seen_us < ? OR started_us < ?");
    statement_bind_int(removal, now_us - idle_us);
    statement_bind_int(removal, now_us - life_us);
    return statement_done(removal, error);
}

static gboolean insert_session(struct state *state, GBytes *hash, const char *account,
                               const char *address, gint64 now_us, GError **error)
{
    struct statement *insert =
        statement_new(state, "INSERT INTO session (hash, account, address, started_us, seen_us) "
                             "VALUES (?, ?, ?, ?, ?)");
    bind_hash(insert, hash);
    statement_bind_text(insert, account);
    statement_bind_text(insert, address);
    statement_bind_int(insert, now_us);
    statement_bind_int(insert, now_us);
    if (!statement_done(insert, error))
        return FALSE;
    struct statement *seen = statement_new(state, "UPDATE account SET seen_us = ? WHERE name = ?");
    statement_bind_int(seen, now_us);
    statement_bind_text(seen, account);
    return statement_done(seen, error);
}

static gboolean note(struct state *state, const char *action, const char *account,
                     const char *address, GError **error)
{
    g_autofree char *object = g_strconcat("account/", account, NULL);
    g_autoptr(JsonObject) detail = json_object_new();
    json_set_optional_string(detail, "address", address);
    return state_audit(state, account, action, object, detail, error);
}

gboolean state_session_add(struct state *state, GBytes *hash, const char *account,
                           const char *address, gint64 idle_us, gint64 life_us, GError **error)
{
    gint64 now_us = state_now_us();
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = forget_old(state, now_us, idle_us, life_us, error) &&
                  insert_session(state, hash, account, address, now_us, error) &&
                  note(state, "session.add", account, address, error);
    return state_end(state, ok, error);
}

gboolean state_session_find(struct state *state, GBytes *hash, struct state_session **ret_session,
                            GError **error)
{
    struct state_session *session = NULL;
    struct statement *query =
        statement_new(state, "SELECT account, role, started_us, session.seen_us "
                             "FROM session JOIN account ON account.name = account "
                             "WHERE session.hash = ?");
    bind_hash(query, hash);
    if (statement_row(query)) {
        session = g_new0(struct state_session, 1);
        session->account = statement_read_text(query);
        session->role = statement_read_text(query);
        session->started_us = statement_read_int(query);
        session->seen_us = statement_read_int(query);
    }
    if (!statement_done(query, error)) {
        state_session_free(session);
        return FALSE;
    }
    *ret_session = session;
    return TRUE;
}

gboolean state_session_touch(struct state *state, GBytes *hash, GError **error)
{
    struct statement *update =
        statement_new(state, "UPDATE session SET seen_us = ? WHERE hash = ?");
    statement_bind_int(update, state_now_us());
    bind_hash(update, hash);
    return statement_done(update, error);
}

gboolean state_session_remove(struct state *state, const char *who, GBytes *hash, GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    struct statement *removal = statement_new(state, "DELETE FROM session WHERE hash = ?");
    bind_hash(removal, hash);
    gboolean ok = statement_done(removal, error) && note(state, "session.remove", who, NULL, error);
    return state_end(state, ok, error);
}

gboolean state_lockout_get(struct state *state, const char *key, struct state_lockout *ret_lockout,
                           GError **error)
{
    struct state_lockout lockout = {0};
    struct statement *query =
        statement_new(state, "SELECT failures, last_us, until_us FROM lockout WHERE key = ?");
    statement_bind_text(query, key);
    if (statement_row(query)) {
        lockout.failures = statement_read_int(query);
        lockout.last_us = statement_read_int(query);
        lockout.until_us = statement_read_int(query);
    }
    if (!statement_done(query, error))
        return FALSE;
    *ret_lockout = lockout;
    return TRUE;
}

static gboolean insert_lockout(struct state *state, const char *key,
                               const struct state_lockout *lockout, GError **error)
{
    struct statement *insert = statement_new(
        state,
        "INSERT OR REPLACE INTO lockout (key, failures, last_us, until_us) VALUES (?, ?, ?, ?)");
    statement_bind_text(insert, key);
    statement_bind_int(insert, lockout->failures);
    statement_bind_int(insert, lockout->last_us);
    statement_bind_int(insert, lockout->until_us);
    if (!statement_done(insert, error))
        return FALSE;
    struct statement *forget =
        statement_new(state, "DELETE FROM lockout WHERE key IN (SELECT key FROM lockout "
                             "ORDER BY until_us DESC, last_us DESC LIMIT -1 OFFSET ?)");
    statement_bind_int(forget, LOCKOUTS_KEPT);
    return statement_done(forget, error);
}

gboolean state_lockout_set(struct state *state, const char *who, const char *key,
                           const struct state_lockout *lockout, GError **error)
{
    g_autoptr(JsonObject) detail = json_object_new();
    json_object_set_int_member(detail, "failures", lockout->failures);
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = insert_lockout(state, key, lockout, error) &&
                  (lockout->until_us <= lockout->last_us ||
                   state_audit(state, who, "login.lock", key, detail, error));
    return state_end(state, ok, error);
}

gboolean state_lockout_clear(struct state *state, const char *key, GError **error)
{
    struct statement *removal = statement_new(state, "DELETE FROM lockout WHERE key = ?");
    statement_bind_text(removal, key);
    return statement_done(removal, error);
}
