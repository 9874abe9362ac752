/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/jobs.h"
#include "appliance/state/database.h"
#include "base/error.h"

#define EVENTS_MAX 200
#define PRUNE_MAX 200

#define COLUMNS                                                                                    \
    "id, kind, machine, parameters, state, who, attempt, queued_us, started_us, ended_us, step, "  \
    "done_bytes, total_bytes, rate, result, error, child_pid, child_start"

void state_job_free(struct state_job *job)
{
    if (!job)
        return;
    g_free(job->kind);
    g_clear_pointer(&job->parameters, json_object_unref);
    g_free(job->state);
    g_free(job->who);
    g_free(job->step);
    g_clear_pointer(&job->result, json_object_unref);
    g_clear_pointer(&job->error, json_object_unref);
    g_free(job);
}

static gpointer read_job(struct statement *query)
{
    struct state_job *job = g_new0(struct state_job, 1);
    job->id = statement_read_int(query);
    job->kind = statement_read_text(query);
    job->machine = statement_read_int(query);
    job->parameters = statement_read_object(query);
    job->state = statement_read_text(query);
    job->who = statement_read_text(query);
    job->attempt = statement_read_int(query);
    job->queued_us = statement_read_int(query);
    job->started_us = statement_read_int(query);
    job->ended_us = statement_read_int(query);
    job->step = statement_read_text(query);
    job->done_bytes = statement_read_int(query);
    job->total_bytes = statement_read_int(query);
    job->rate = statement_read_int(query);
    job->result = statement_read_object(query);
    job->error = statement_read_object(query);
    job->child_pid = statement_read_int(query);
    job->child_start = statement_read_int(query);
    return job;
}

/* --- one job -------------------------------------------------------------------------------------
 */

gboolean state_job_add(struct state *state, struct state_job *job, GError **error)
{
    struct statement *query = statement_new(
        state, "INSERT INTO job (kind, machine, parameters, state, who, attempt, queued_us, "
               "started_us, child_pid, child_start) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
               "RETURNING id");
    statement_bind_text(query, job->kind);
    statement_bind_int(query, job->machine);
    statement_bind_object(query, job->parameters);
    statement_bind_text(query, job->state);
    statement_bind_text(query, job->who);
    statement_bind_int(query, job->attempt);
    statement_bind_int(query, job->queued_us);
    statement_bind_int_or_null(query, job->started_us);
    statement_bind_int_or_null(query, job->child_pid);
    statement_bind_int_or_null(query, job->child_start);
    gint64 id = statement_row(query) ? statement_read_int(query) : 0;
    if (!statement_done(query, error))
        return FALSE;
    job->id = id;
    return TRUE;
}

gboolean state_job_start(struct state *state, const struct state_job *job, GError **error)
{
    struct statement *query =
        statement_new(state, "UPDATE job SET state = 'running', started_us = ?, child_pid = ?, "
                             "child_start = ? WHERE id = ? AND state = 'queued'");
    statement_bind_int(query, job->started_us);
    statement_bind_int_or_null(query, job->child_pid);
    statement_bind_int_or_null(query, job->child_start);
    statement_bind_int(query, job->id);
    return statement_done(query, error);
}

gboolean state_job_set_child(struct state *state, const struct state_job *job, GError **error)
{
    struct statement *query =
        statement_new(state, "UPDATE job SET child_pid = ?, child_start = ? WHERE id = ?");
    statement_bind_int_or_null(query, job->child_pid);
    statement_bind_int_or_null(query, job->child_start);
    statement_bind_int(query, job->id);
    return statement_done(query, error);
}

gboolean state_job_requeue(struct state *state, const struct state_job *job, GError **error)
{
    struct statement *query = statement_new(
        state, "UPDATE job SET state = 'queued', attempt = ?, error = ?, started_us = NULL, "
               "child_pid = NULL, child_start = NULL WHERE id = ? AND state = 'running'");
    statement_bind_int(query, job->attempt);
    statement_bind_object(query, job->error);
    statement_bind_int(query, job->id);
    return statement_done(query, error);
}

gboolean state_job_set_parameters(struct state *state, gint64 id, JsonObject *parameters,
                                  GError **error)
{
    struct statement *query = statement_new(state, "UPDATE job SET parameters = ? WHERE id = ?");
    statement_bind_object(query, parameters);
    statement_bind_int(query, id);
    return statement_done(query, error);
}

gboolean state_job_set_progress(struct state *state, const struct state_job *job, GError **error)
{
    struct statement *query = statement_new(state, "UPDATE job SET step = ?, done_bytes = ?, "
                                                   "total_bytes = ?, rate = ? WHERE id = ?");
    statement_bind_text(query, job->step);
    statement_bind_int(query, job->done_bytes);
    statement_bind_int(query, job->total_bytes);
    statement_bind_int(query, job->rate);
    statement_bind_int(query, job->id);
    return statement_done(query, error);
}

gboolean state_job_end(struct state *state, gint64 id, const char *job_state, JsonObject *result,
                       JsonObject *reason, GError **error)
{
    struct statement *query = statement_new(
        state, "UPDATE job SET state = ?, ended_us = ?, result = ?, error = ?, child_pid = NULL, "
               "child_start = NULL WHERE id = ? AND state IN ('queued', 'running')");
    statement_bind_text(query, job_state);
    statement_bind_int(query, state_now_us());
    statement_bind_object(query, result);
    statement_bind_object(query, reason);
    statement_bind_int(query, id);
    return statement_done(query, error);
}

struct state_job *state_job_get(struct state *state, gint64 id, GError **error)
{
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM job WHERE id = ?");
    statement_bind_int(query, id);
    struct state_job *job = statement_row(query) ? read_job(query) : NULL;
    if (!statement_done(query, error)) {
        state_job_free(job);
        return NULL;
    }
    if (!job)
        landfall_error_set(error, LANDFALL_ERROR_MISSING,
                           "`landfall job list` shows those there "
                           "are; old ones are pruned",
                           "there is no job %" G_GINT64_FORMAT, id);
    return job;
}

/* --- many ----------------------------------------------------------------------------------------
 */

static GPtrArray *read_jobs(struct statement *query, GError **error)
{
    return statement_rows(query, read_job, (GDestroyNotify)state_job_free, error);
}

GPtrArray *state_job_list(struct state *state, const struct state_job_filter *filter,
                          GError **error)
{
    struct statement *query = statement_new(
        state, "SELECT " COLUMNS " FROM job WHERE (?1 = 0 OR machine = ?1) AND "
               "(?2 IS NULL OR state = ?2) AND (?3 = 0 OR id < ?3) ORDER BY id DESC LIMIT ?4");
    statement_bind_int(query, filter->machine);
    statement_bind_text(query, filter->state);
    statement_bind_int(query, filter->before);
    statement_bind_int(query, filter->limit ? (gint64)filter->limit : -1);
    return read_jobs(query, error);
}

GPtrArray *state_job_list_unfinished(struct state *state, GError **error)
{
    return read_jobs(statement_new(state, "SELECT " COLUMNS " FROM job WHERE state IN "
                                          "('queued', 'running') ORDER BY id"),
                     error);
}

gboolean state_job_prune(struct state *state, gint64 before_us, guint keep, guint *ret_removed,
                         GError **error)
{
    struct statement *query = statement_new(
        state, "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE ended_us IS NOT NULL AND "
               "(ended_us < ? OR id <= (SELECT id FROM job WHERE ended_us IS NOT NULL "
               "ORDER BY id DESC LIMIT 1 OFFSET ?)) ORDER BY id LIMIT ?)");
    statement_bind_int(query, before_us);
    statement_bind_int(query, keep);
    statement_bind_int(query, PRUNE_MAX);
    if (!statement_done(query, error))
        return FALSE;
    *ret_removed = (guint)state_changed_rows(state);
    return TRUE;
}

/* --- events --------------------------------------------------------------------------------------
 */

gboolean state_job_event_add(struct state *state, gint64 job, gint64 at_us, JsonObject *event,
                             GError **error)
{
    struct statement *query = statement_new(
        state, "INSERT INTO job_event (job, seq, at_us, event) VALUES (?1, (SELECT "
               "coalesce(max(seq), 0) + 1 FROM job_event WHERE job = ?1), ?2, ?3) RETURNING seq");
    statement_bind_int(query, job);
    statement_bind_int(query, at_us);
    statement_bind_object(query, event);
    gint64 seq = statement_row(query) ? statement_read_int(query) : 0;
    if (!statement_done(query, error))
        return FALSE;
    if (seq <= EVENTS_MAX)
        return TRUE;
    struct statement *trim =
        statement_new(state, "DELETE FROM job_event WHERE job = ? AND seq <= ?");
    statement_bind_int(trim, job);
    statement_bind_int(trim, seq - EVENTS_MAX);
    return statement_done(trim, error);
}

JsonArray *state_job_event_list(struct state *state, gint64 job, GError **error)
{
    g_autoptr(JsonArray) events = json_array_new();
    struct statement *query =
        statement_new(state, "SELECT seq, at_us, event FROM job_event WHERE job = ? ORDER BY seq");
    statement_bind_int(query, job);
    while (statement_row(query)) {
        gint64 seq = statement_read_int(query), at_us = statement_read_int(query);
        g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(at_us / G_USEC_PER_SEC);
        g_autofree char *text = g_date_time_format_iso8601(at);
        JsonObject *event = statement_read_object(query);
        if (!event)
            break;
        json_object_set_int_member(event, "seq", seq);
        json_object_set_string_member(event, "at", text);
        json_array_add_object_element(events, event);
    }
    return statement_done(query, error) ? g_steal_pointer(&events) : NULL;
}
