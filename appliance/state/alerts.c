/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/alerts.h"
#include "appliance/state/database.h"

void state_alert_free(struct state_alert *alert)
{
    if (!alert)
        return;
    g_free(alert->kind);
    g_free(alert->object);
    g_free(alert->severity);
    g_free(alert->state);
    g_free(alert->message);
    g_free(alert->hint);
    g_free(alert->notify_error);
    g_free(alert);
}

gboolean state_alert_raise(struct state *state, const struct state_alert_words *words,
                           gboolean *ret_changed, GError **error)
{
    struct statement *query = statement_new(
        state,
        "INSERT INTO alert (key, kind, object, severity, state, raised_us, message, hint, pending, "
        "retry_us) VALUES (?1 || '/' || ?2, ?1, ?2, ?3, 'raised', ?4, ?5, ?6, 'raised', ?4) "
        "ON CONFLICT (key) DO UPDATE SET severity = ?3, state = 'raised', raised_us = ?4, "
        "resolved_us = NULL, message = ?5, hint = ?6, pending = 'raised', tries = 0, "
        "retry_us = ?4, notify_error = NULL WHERE state = 'resolved'");
    statement_bind_text(query, words->kind);
    statement_bind_text(query, words->object);
    statement_bind_text(query, words->severity);
    statement_bind_int(query, state_now_us());
    statement_bind_text(query, words->message);
    statement_bind_text(query, words->hint);
    if (!statement_done(query, error))
        return FALSE;
    *ret_changed = state_changed_rows(state) > 0;
    return TRUE;
}

/* An alert that nobody has been told of is resolved in silence. */
gboolean state_alert_resolve(struct state *state, const char *kind, const char *object,
                             gboolean *ret_changed, GError **error)
{
    struct statement *query = statement_new(
        state, "UPDATE alert SET state = 'resolved', resolved_us = ?3, retry_us = ?3, tries = 0, "
               "pending = CASE WHEN pending = 'raised' AND tries = 0 THEN NULL ELSE 'resolved' END "
               "WHERE kind = ?1 AND object = ?2 AND state = 'raised'");
    statement_bind_text(query, kind);
    statement_bind_text(query, object);
    statement_bind_int(query, state_now_us());
    if (!statement_done(query, error))
        return FALSE;
    *ret_changed = state_changed_rows(state) > 0;
    return TRUE;
}

static gpointer read_alert(struct statement *query)
{
    struct state_alert *alert = g_new0(struct state_alert, 1);
    alert->kind = statement_read_text(query);
    alert->object = statement_read_text(query);
    alert->severity = statement_read_text(query);
    alert->state = statement_read_text(query);
    alert->message = statement_read_text(query);
    alert->hint = statement_read_text(query);
    alert->raised_us = statement_read_int(query);
    alert->resolved_us = statement_read_int(query);
    alert->tries = statement_read_int(query);
    alert->notified_us = statement_read_int(query);
    alert->notify_error = statement_read_text(query);
    return alert;
}

GPtrArray *state_alert_list(struct state *state, GError **error)
{
    struct statement *query = statement_new(
        state,
        "SELECT kind, object, severity, state, message, hint, raised_us, resolved_us, tries, "
        "notified_us, notify_error FROM alert ORDER BY state = 'resolved', raised_us DESC");
    return statement_rows(query, read_alert, (GDestroyNotify)state_alert_free, error);
}

static gboolean next_retry(struct state *state, gint64 *ret_next_us, GError **error)
{
    struct statement *query =
        statement_new(state, "SELECT min(retry_us) FROM alert WHERE pending IS NOT NULL");
    gint64 next_us = statement_row(query) ? statement_read_int(query) : 0;
    if (!statement_done(query, error))
        return FALSE;
    *ret_next_us = next_us ? next_us : G_MAXINT64;
    return TRUE;
}

/* Counted before it is tried: from here on somebody may have heard of it. */
static gboolean count_try(struct state *state, struct state_alert *alert, gint64 again_us,
                          GError **error)
{
    struct statement *query =
        statement_new(state, "UPDATE alert SET tries = tries + 1, retry_us = ? WHERE kind = ? AND "
                             "object = ?");
    alert->tries++;
    statement_bind_int(query, again_us);
    statement_bind_text(query, alert->kind);
    statement_bind_text(query, alert->object);
    return statement_done(query, error);
}

struct state_alert *state_alert_take_pending(struct state *state, gint64 now_us, gint64 again_us,
                                             gint64 *ret_next_us, GError **error)
{
    struct statement *query = statement_new(
        state, "SELECT kind, object, severity, pending, message, hint, raised_us, resolved_us, "
               "tries, notified_us, notify_error FROM alert WHERE pending IS NOT NULL AND "
               "retry_us <= ? ORDER BY retry_us LIMIT 1");
    statement_bind_int(query, now_us);
    struct state_alert *alert = statement_row(query) ? read_alert(query) : NULL;
    if (statement_done(query, error) && (!alert || count_try(state, alert, again_us, error)) &&
        next_retry(state, ret_next_us, error))
        return alert;
    state_alert_free(alert);
    return NULL;
}

gboolean state_alert_told(struct state *state, const struct state_alert *alert, const char *failure,
                          gint64 retry_us, GError **error)
{
    struct statement *query =
        statement_new(state, "UPDATE alert SET notify_error = ?4, retry_us = ?5, "
                             "notified_us = coalesce(?6, notified_us), "
                             "pending = CASE WHEN ?5 IS NULL THEN NULL ELSE pending END "
                             "WHERE kind = ?1 AND object = ?2 AND pending = ?3");
    statement_bind_text(query, alert->kind);
    statement_bind_text(query, alert->object);
    statement_bind_text(query, alert->state);
    statement_bind_text(query, failure);
    statement_bind_int_or_null(query, retry_us);
    statement_bind_int_or_null(query, failure ? 0 : state_now_us());
    return statement_done(query, error);
}
