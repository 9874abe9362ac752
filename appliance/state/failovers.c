/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/failovers.h"
#include "appliance/state/database.h"
#include "base/error.h"

#include <string.h>

#define COLUMNS                                                                                    \
    "id, kind, machine, subject, job, target, recovery_point, state, verdict, who, options, "      \
    "error, asked_us, started_us, ended_us, due_us"
#define OPEN "('waiting', 'running', 'returning', 'live', 'stuck')"
#define PRUNE_MAX 200

static const char *const words[] = {
    [FAILOVER_WAITING] = "waiting",     [FAILOVER_RUNNING] = "running",
    [FAILOVER_RETURNING] = "returning", [FAILOVER_LIVE] = "live",
    [FAILOVER_STUCK] = "stuck",         [FAILOVER_DONE] = "done",
    [FAILOVER_UNDONE] = "undone",       [FAILOVER_FAILED] = "failed",
    [FAILOVER_CANCELLED] = "cancelled",
};

const char *state_failover_word(enum state_failover_state state)
{
    return words[state];
}

gboolean state_failover_is_open(enum state_failover_state state)
{
    return state <= FAILOVER_STUCK;
}

void state_failover_free(struct state_failover *failover)
{
    if (!failover)
        return;
    g_free(failover->kind);
    g_free(failover->target);
    g_free(failover->verdict);
    g_free(failover->who);
    g_clear_pointer(&failover->options, json_object_unref);
    g_clear_pointer(&failover->error, json_object_unref);
    g_free(failover);
}

static enum state_failover_state read_state(struct statement *query)
{
    g_autofree char *word = statement_read_text(query);
    enum state_failover_state state = FAILOVER_WAITING;
    while (state < FAILOVER_CANCELLED && g_strcmp0(words[state], word) != 0)
        state++;
    return state;
}

static gpointer read_failover(struct statement *query)
{
    struct state_failover *failover = g_new0(struct state_failover, 1);
    failover->id = statement_read_int(query);
    failover->kind = statement_read_text(query);
    failover->machine = statement_read_int(query);
    failover->subject = statement_read_int(query);
    failover->job = statement_read_int(query);
    failover->target = statement_read_text(query);
    failover->recovery_point = statement_read_int(query);
    failover->state = read_state(query);
    failover->verdict = statement_read_text(query);
    failover->who = statement_read_text(query);
    failover->options = statement_read_object(query);
    failover->error = statement_read_object(query);
    failover->asked_us = statement_read_int(query);
    failover->started_us = statement_read_int(query);
    failover->ended_us = statement_read_int(query);
    failover->due_us = statement_read_int(query);
    return failover;
}

/* --- one -----------------------------------------------------------------------------------------
 */

static gboolean missing(gint64 id, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_MISSING,
                       "landfall report and landfall test list "
                       "show those of a machine",
                       "there is no operation %" G_GINT64_FORMAT, id);
    return FALSE;
}

gboolean state_failover_add(struct state *state, struct state_failover *failover, GError **error)
{
    if (failover->subject) {
        struct state_failover *subject = state_failover_get(state, failover->subject, error);
        if (!subject)
            return FALSE;
        state_failover_free(subject);
    }
    struct statement *query = statement_new(
        state, "INSERT INTO failover (kind, machine, subject, job, target, recovery_point, state, "
               "verdict, who, options, error, asked_us, started_us, ended_us, due_us) "
               "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id");
    statement_bind_text(query, failover->kind);
    statement_bind_int(query, failover->machine);
    statement_bind_int_or_null(query, failover->subject);
    statement_bind_int(query, failover->job);
    statement_bind_text(query, failover->target);
    statement_bind_int_or_null(query, failover->recovery_point);
    statement_bind_text(query, words[failover->state]);
    statement_bind_text(query, failover->verdict);
    statement_bind_text(query, failover->who);
    statement_bind_object(query, failover->options);
    statement_bind_object(query, failover->error);
    statement_bind_int(query, failover->asked_us);
    statement_bind_int_or_null(query, failover->started_us);
    statement_bind_int_or_null(query, failover->ended_us);
    statement_bind_int_or_null(query, failover->due_us);
    gint64 id = statement_row(query) ? statement_read_int(query) : 0;
    if (!statement_done(query, error))
        return FALSE;
    failover->id = id;
    return TRUE;
}

gboolean state_failover_save(struct state *state, const struct state_failover *failover,
                             GError **error)
{
    struct statement *query = statement_new(
        state, "UPDATE failover SET job = ?, recovery_point = ?, state = ?, verdict = ?, "
               "error = ?, started_us = ?, ended_us = ?, due_us = ? WHERE id = ?");
    statement_bind_int(query, failover->job);
    statement_bind_int_or_null(query, failover->recovery_point);
    statement_bind_text(query, words[failover->state]);
    statement_bind_text(query, failover->verdict);
    statement_bind_object(query, failover->error);
    statement_bind_int_or_null(query, failover->started_us);
    statement_bind_int_or_null(query, failover->ended_us);
    statement_bind_int_or_null(query, failover->due_us);
    statement_bind_int(query, failover->id);
    return statement_done(query, error) &&
           (state_changed_rows(state) == 1 || missing(failover->id, error));
}

struct state_failover *state_failover_get(struct state *state, gint64 id, GError **error)
{
    gpointer failover;
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM failover WHERE id = ?");
    statement_bind_int(query, id);
    if (statement_one(query, read_failover, (GDestroyNotify)state_failover_free, &failover,
                      error) &&
        !failover)
        missing(id, error);
    return failover;
}

/* --- many ----------------------------------------------------------------------------------------
 */

GPtrArray *state_failover_list(struct state *state, const struct state_failover_filter *filter,
                               GError **error)
{
    struct statement *query = statement_new(
        state, "SELECT " COLUMNS " FROM failover WHERE (?1 = 0 OR machine = ?1) AND "
               "(?2 = 0 OR subject = ?2) AND (?3 IS NULL OR kind = ?3) AND "
               "(?4 = 0 OR state IN " OPEN ") AND (?5 = 0 OR id < ?5) ORDER BY id DESC LIMIT ?6");
    statement_bind_int(query, filter->machine);
    statement_bind_int(query, filter->subject);
    statement_bind_text(query, filter->kind);
    statement_bind_int(query, filter->open ? 1 : 0);
    statement_bind_int(query, filter->before);
    statement_bind_int(query, filter->limit ? (gint64)filter->limit : -1);
    return statement_rows(query, read_failover, (GDestroyNotify)state_failover_free, error);
}

gboolean state_failover_last_passed(struct state *state, gint64 machine, gint64 *ret_at_us,
                                    gint64 *ret_recovery_point, GError **error)
{
    gint64 at_us = 0, recovery_point = 0;
    struct statement *query = statement_new(
        state, "SELECT started_us, recovery_point FROM failover WHERE machine = ? AND "
               "kind = 'test' AND verdict = 'passed' ORDER BY id DESC LIMIT 1");
    statement_bind_int(query, machine);
    if (statement_row(query)) {
        at_us = statement_read_int(query);
        recovery_point = statement_read_int(query);
    }
    if (!statement_done(query, error))
        return FALSE;
    *ret_at_us = at_us;
    *ret_recovery_point = recovery_point;
    return TRUE;
}

/* By family: what ends a test or a move goes with it, so that a report is whole or not there. */
GArray *state_failover_prune(struct state *state, gint64 before_us, guint keep, GError **error)
{
    g_autoptr(GArray) removed = g_array_new(FALSE, FALSE, sizeof(gint64));
    struct statement *query = statement_new(
        state,
        "WITH needed (id) AS ("
        " SELECT max(id) FROM failover GROUP BY machine, kind UNION"
        " SELECT max(id) FROM failover WHERE kind = 'test' AND verdict = 'passed' GROUP BY machine"
        " UNION SELECT max(id) FROM failover WHERE kind = 'reverse' AND state = 'done'"
        "  GROUP BY machine, json_extract(options, '$.machine_there') UNION"
        " SELECT json_extract(options, '$.home') FROM failover UNION"
        " SELECT failover FROM rehearsal), "
        "family (root, stays) AS ("
        " SELECT coalesce(subject, id), state IN " OPEN
        " OR id IN (SELECT id FROM needed WHERE id NOT NULL)"
        "  OR NOT (coalesce(ended_us, asked_us) < ?1 OR id <= coalesce((SELECT id FROM failover"
        "   WHERE state NOT IN " OPEN " ORDER BY id DESC LIMIT 1 OFFSET ?2), 0)) FROM failover) "
        "DELETE FROM failover WHERE coalesce(subject, id) IN (SELECT root FROM family"
        " GROUP BY root HAVING max(stays) = 0 ORDER BY root LIMIT ?3) RETURNING id");
    statement_bind_int(query, before_us);
    statement_bind_int(query, keep);
    statement_bind_int(query, PRUNE_MAX);
    while (statement_row(query)) {
        gint64 id = statement_read_int(query);
        g_array_append_val(removed, id);
    }
    return statement_done(query, error) ? g_steal_pointer(&removed) : NULL;
}

/* --- the journal ---------------------------------------------------------------------------------
 */

void state_failover_step_free(struct state_failover_step *step)
{
    if (!step)
        return;
    g_free(step->step);
    g_clear_pointer(&step->result, json_object_unref);
    g_clear_pointer(&step->error, json_object_unref);
    g_free(step);
}

GPtrArray *state_failover_steps(struct state *state, gint64 failover, GError **error)
{
    g_autoptr(GPtrArray) steps =
        g_ptr_array_new_with_free_func((GDestroyNotify)state_failover_step_free);
    struct statement *query =
        statement_new(state, "SELECT seq, step, begun_us, ended_us, result, error FROM "
                             "failover_step WHERE failover = ? ORDER BY seq");
    statement_bind_int(query, failover);
    while (statement_row(query)) {
        struct state_failover_step *step = g_new0(struct state_failover_step, 1);
        step->seq = statement_read_int(query);
        step->step = statement_read_text(query);
        step->begun_us = statement_read_int(query);
        step->ended_us = statement_read_int(query);
        step->result = statement_read_object(query);
        step->error = statement_read_object(query);
        g_ptr_array_add(steps, step);
    }
    return statement_done(query, error) ? g_steal_pointer(&steps) : NULL;
}

gboolean state_failover_step_begin(struct state *state, gint64 failover, const char *step,
                                   gint64 *ret_seq, GError **error)
{
    struct statement *query = statement_new(
        state, "INSERT INTO failover_step (failover, seq, step, begun_us) VALUES (?1, (SELECT "
               "coalesce(max(seq), 0) + 1 FROM failover_step WHERE failover = ?1), ?2, ?3) "
               "RETURNING seq");
    statement_bind_int(query, failover);
    statement_bind_text(query, step);
    statement_bind_int(query, state_now_us());
    gint64 seq = statement_row(query) ? statement_read_int(query) : 0;
    if (!statement_done(query, error))
        return FALSE;
    *ret_seq = seq;
    return TRUE;
}

gboolean state_failover_step_end(struct state *state, gint64 failover, gint64 seq,
                                 JsonObject *result, JsonObject *reason, GError **error)
{
    struct statement *query =
        statement_new(state, "UPDATE failover_step SET ended_us = ?, result = ?, error = ? "
                             "WHERE failover = ? AND seq = ?");
    statement_bind_int(query, state_now_us());
    statement_bind_object(query, result);
    statement_bind_object(query, reason);
    statement_bind_int(query, failover);
    statement_bind_int(query, seq);
    return statement_done(query, error);
}

static gboolean add_facts(struct state *state, gint64 failover, JsonObject *facts, GError **error)
{
    g_autoptr(GPtrArray) steps = state_failover_steps(state, failover, error);
    for (guint i = 0; steps && i < steps->len; i++) {
        const struct state_failover_step *step = steps->pdata[i];
        if (step->result)
            json_object_set_object_member(facts, step->step, json_object_ref(step->result));
    }
    return steps != NULL;
}

JsonObject *state_failover_facts(struct state *state, const struct state_failover *failover,
                                 GError **error)
{
    g_autoptr(JsonObject) facts = json_object_new();
    if ((failover->subject && !add_facts(state, failover->subject, facts, error)) ||
        !add_facts(state, failover->id, facts, error))
        return NULL;
    return g_steal_pointer(&facts);
}

/* --- us ------------------------------------------------------------------------------------------
 */

char *state_appliance_id(struct state *state, GError **error)
{
    g_autofree char *id = NULL;
    struct statement *query = statement_new(state, "SELECT id FROM appliance");
    if (statement_row(query))
        id = statement_read_text(query);
    return statement_done(query, error) ? g_steal_pointer(&id) : NULL;
}
