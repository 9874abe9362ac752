/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/replications.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "appliance/state/machines.h"
#include "appliance/state/stores.h"
#include "base/error.h"

#define COLUMNS                                                                                    \
    "machine, store, state, paused, priority, interval_s, retain, exclude_disks, bandwidth, "      \
    "consistency, blackout, created_us, next_due_us, last_started_us, last_point, last_point_us, " \
    "last_duration_ms, failures, error, ever_committed"

struct state_replication *state_replication_new(void)
{
    return g_new0(struct state_replication, 1);
}

void state_replication_free(struct state_replication *replication)
{
    if (!replication)
        return;
    g_free(replication->store);
    g_free(replication->state);
    g_clear_pointer(&replication->exclude_disks, json_array_unref);
    g_free(replication->consistency);
    g_clear_pointer(&replication->blackout, json_array_unref);
    g_clear_pointer(&replication->error, json_object_unref);
    g_free(replication);
}

static gpointer read_replication(struct statement *query)
{
    struct state_replication *replication = state_replication_new();
    replication->machine = statement_read_int(query);
    replication->store = statement_read_text(query);
    replication->state = statement_read_text(query);
    replication->paused = statement_read_int(query) != 0;
    replication->priority = statement_read_int(query);
    replication->interval_s = statement_read_int(query);
    replication->retain = statement_read_int(query);
    replication->exclude_disks = statement_read_array(query);
    replication->bandwidth = statement_read_int(query);
    replication->consistency = statement_read_text(query);
    replication->blackout = statement_read_array(query);
    replication->created_us = statement_read_int(query);
    replication->next_due_us = statement_read_int(query);
    replication->last_started_us = statement_read_int(query);
    replication->last_point = statement_read_int(query);
    replication->last_point_us = statement_read_int(query);
    replication->last_duration_ms = statement_read_int(query);
    replication->failures = statement_read_int(query);
    replication->error = statement_read_object(query);
    replication->ever_committed = statement_read_int(query) != 0;
    return replication;
}

GPtrArray *state_replication_list(struct state *state, GError **error)
{
    struct statement *query =
        statement_new(state, "SELECT " COLUMNS " FROM replication ORDER BY machine");
    return statement_rows(query, read_replication, (GDestroyNotify)state_replication_free, error);
}

static gboolean missing(struct state *state, gint64 machine, GError **error)
{
    g_autofree char *called = state_machine_called(state, machine);
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall replicate starts it",
                       "machine %s is not replicated", called);
    return FALSE;
}

struct state_replication *state_replication_get(struct state *state, gint64 machine, GError **error)
{
    gpointer replication;
    struct statement *query =
        statement_new(state, "SELECT " COLUMNS " FROM replication WHERE machine = ?");
    statement_bind_int(query, machine);
    if (statement_one(query, read_replication, (GDestroyNotify)state_replication_free, &replication,
                      error) &&
        !replication)
        missing(state, machine, error);
    return replication;
}

/* Error missing for either: the foreign keys would only say that one of them is. */
static gboolean check_parts(struct state *state, const struct state_replication *replication,
                            GError **error)
{
    struct state_machine *machine = state_machine_get(state, replication->machine, error);
    struct state_store *store = machine ? state_store_get(state, replication->store, error) : NULL;
    gboolean ok = machine && store;
    state_machine_free(machine);
    state_store_free(store);
    return ok;
}

/* The operator's settings, in the order of the columns from store to blackout but for state. */
static void bind_settings(struct statement *statement, const struct state_replication *replication)
{
    statement_bind_text(statement, replication->store);
    statement_bind_int(statement, replication->paused ? 1 : 0);
    statement_bind_int(statement, replication->priority);
    statement_bind_int(statement, replication->interval_s);
    statement_bind_int(statement, replication->retain);
    statement_bind_array(statement, replication->exclude_disks);
    statement_bind_int(statement, replication->bandwidth);
    statement_bind_text(statement, replication->consistency);
    statement_bind_array(statement, replication->blackout);
}

static gboolean insert_replication(struct state *state, const struct state_replication *replication,
                                   GError **error)
{
    struct statement *insert = statement_new(
        state, "INSERT INTO replication (store, paused, priority, interval_s, retain, "
               "exclude_disks, bandwidth, consistency, blackout, machine, state, created_us) "
               "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    bind_settings(insert, replication);
    statement_bind_int(insert, replication->machine);
    statement_bind_text(insert, replication->state);
    statement_bind_int(insert, replication->created_us);
    if (!statement_done(insert, error))
        return FALSE;
    if (state_changed_rows(state) == 1)
        return TRUE;
    g_autofree char *called = state_machine_called(state, replication->machine);
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "landfall settings changes how",
                       "machine %s is replicated already", called);
    return FALSE;
}

gboolean state_replication_add(struct state *state, const char *who,
                               struct state_replication *replication, JsonObject *detail,
                               GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    if (replication->created_us == 0)
        replication->created_us = state_now_us();
    gboolean ok =
        check_parts(state, replication, error) && insert_replication(state, replication, error) &&
        state_replication_progress(state, replication, error) &&
        state_audit_machine(state, who, "replication.add", replication->machine, detail, error);
    return state_end(state, ok, error);
}

static gboolean update_settings(struct state *state, const struct state_replication *replication,
                                GError **error)
{
    struct statement *update = statement_new(
        state, "UPDATE replication SET store = ?, paused = ?, priority = ?, interval_s = ?, "
               "retain = ?, exclude_disks = ?, bandwidth = ?, consistency = ?, blackout = ? "
               "WHERE machine = ?");
    bind_settings(update, replication);
    statement_bind_int(update, replication->machine);
    return statement_done(update, error) &&
           (state_changed_rows(state) == 1 || missing(state, replication->machine, error));
}

gboolean state_replication_change(struct state *state, const char *who, const char *action,
                                  const struct state_replication *replication, JsonObject *detail,
                                  GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = check_parts(state, replication, error) &&
                  update_settings(state, replication, error) &&
                  state_audit_machine(state, who, action, replication->machine, detail, error);
    return state_end(state, ok, error);
}

gboolean state_replication_progress(struct state *state,
                                    const struct state_replication *replication, GError **error)
{
    struct statement *update =
        statement_new(state, "UPDATE replication SET state = ?, paused = ?, next_due_us = ?, "
                             "last_started_us = ?, last_point = ?, last_point_us = ?, "
                             "last_duration_ms = ?, failures = ?, error = ?, "
                             "ever_committed = ? WHERE machine = ?");
    statement_bind_text(update, replication->state);
    statement_bind_int(update, replication->paused ? 1 : 0);
    statement_bind_int_or_null(update, replication->next_due_us);
    statement_bind_int_or_null(update, replication->last_started_us);
    statement_bind_int_or_null(update, replication->last_point);
    statement_bind_int_or_null(update, replication->last_point_us);
    statement_bind_int_or_null(update, replication->last_duration_ms);
    statement_bind_int(update, replication->failures);
    statement_bind_object(update, replication->error);
    statement_bind_int(update, replication->ever_committed ? 1 : 0);
    statement_bind_int(update, replication->machine);
    return statement_done(update, error) &&
           (state_changed_rows(state) == 1 || missing(state, replication->machine, error));
}

gboolean state_replication_turn(struct state *state, gint64 machine, gint64 to, GError **error)
{
    struct statement *update =
        statement_new(state, "UPDATE OR IGNORE replication SET machine = ? WHERE machine = ?");
    statement_bind_int(update, to);
    statement_bind_int(update, machine);
    if (!statement_done(update, error))
        return FALSE;
    if (state_changed_rows(state) == 1)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "landfall stop ends one of the two",
                       "machine %" G_GINT64_FORMAT " is replicated already, or %" G_GINT64_FORMAT
                       " is not",
                       to, machine);
    return FALSE;
}

static gboolean delete_replication(struct state *state, gint64 machine, GError **error)
{
    struct statement *removal = statement_new(state, "DELETE FROM replication WHERE machine = ?");
    statement_bind_int(removal, machine);
    return statement_done(removal, error) &&
           (state_changed_rows(state) == 1 || missing(state, machine, error));
}

gboolean state_replication_remove(struct state *state, const char *who, gint64 machine,
                                  JsonObject *detail, GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok =
        delete_replication(state, machine, error) &&
        (!who || state_audit_machine(state, who, "replication.remove", machine, detail, error));
    return state_end(state, ok, error);
}

gboolean state_replication_check_none(struct state *state, const char *host, const char *store,
                                      GError **error)
{
    g_autofree char *machine = NULL;
    struct statement *query = statement_new(
        state, "SELECT machine.name FROM replication JOIN machine ON machine.id = machine "
               "WHERE host = ? OR store = ? ORDER BY machine.name LIMIT 1");
    statement_bind_text(query, host);
    statement_bind_text(query, store);
    if (statement_row(query))
        machine = statement_read_text(query);
    if (!statement_done(query, error))
        return FALSE;
    if (!machine)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "stop its replication first: landfall stop",
                       host ? "machine '%s' of host '%s' is replicated"
                            : "machine '%s' is replicated to store '%s'",
                       machine, host ? host : store);
    return FALSE;
}
