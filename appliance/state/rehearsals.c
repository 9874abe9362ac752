/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/rehearsals.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "appliance/state/machines.h"
#include "base/error.h"

#define COLUMNS "machine, who, plan, next_us, failover"

void state_rehearsal_free(struct state_rehearsal *rehearsal)
{
    if (!rehearsal)
        return;
    g_free(rehearsal->who);
    g_clear_pointer(&rehearsal->plan, json_object_unref);
    g_free(rehearsal);
}

static gpointer read_rehearsal(struct statement *query)
{
    struct state_rehearsal *rehearsal = g_new0(struct state_rehearsal, 1);
    rehearsal->machine = statement_read_int(query);
    rehearsal->who = statement_read_text(query);
    rehearsal->plan = statement_read_object(query);
    rehearsal->next_us = statement_read_int(query);
    rehearsal->failover = statement_read_int(query);
    return rehearsal;
}

GPtrArray *state_rehearsal_list(struct state *state, GError **error)
{
    struct statement *query =
        statement_new(state, "SELECT " COLUMNS " FROM rehearsal ORDER BY machine");
    return statement_rows(query, read_rehearsal, (GDestroyNotify)state_rehearsal_free, error);
}

static gboolean missing(struct state *state, gint64 machine, GError **error)
{
    g_autofree char *called = state_machine_called(state, machine);
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall rehearsal set makes one",
                       "machine %s has no rehearsal", called);
    return FALSE;
}

struct state_rehearsal *state_rehearsal_get(struct state *state, gint64 machine, GError **error)
{
    gpointer rehearsal;
    struct statement *query =
        statement_new(state, "SELECT " COLUMNS " FROM rehearsal WHERE machine = ?");
    statement_bind_int(query, machine);
    if (statement_one(query, read_rehearsal, (GDestroyNotify)state_rehearsal_free, &rehearsal,
                      error) &&
        !rehearsal)
        missing(state, machine, error);
    return rehearsal;
}

static gboolean write_rehearsal(struct state *state, const struct state_rehearsal *rehearsal,
                                GError **error)
{
    struct statement *insert = statement_new(
        state, "INSERT INTO rehearsal (machine, who, plan, next_us) VALUES (?, ?, ?, ?) "
               "ON CONFLICT (machine) DO UPDATE SET who = excluded.who, plan = excluded.plan, "
               "next_us = excluded.next_us");
    statement_bind_int(insert, rehearsal->machine);
    statement_bind_text(insert, rehearsal->who);
    statement_bind_object(insert, rehearsal->plan);
    statement_bind_int(insert, rehearsal->next_us);
    return statement_done(insert, error);
}

gboolean state_rehearsal_set(struct state *state, const struct state_rehearsal *rehearsal,
                             GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    struct state_machine *machine = state_machine_get(state, rehearsal->machine, error);
    gboolean ok = machine && write_rehearsal(state, rehearsal, error) &&
                  state_audit_machine(state, rehearsal->who, "rehearsal.set", rehearsal->machine,
                                      rehearsal->plan, error);
    state_machine_free(machine);
    return state_end(state, ok, error);
}

gboolean state_rehearsal_progress(struct state *state, const struct state_rehearsal *rehearsal,
                                  GError **error)
{
    struct statement *update =
        statement_new(state, "UPDATE rehearsal SET next_us = ?, failover = ? WHERE machine = ?");
    statement_bind_int(update, rehearsal->next_us);
    statement_bind_int_or_null(update, rehearsal->failover);
    statement_bind_int(update, rehearsal->machine);
    return statement_done(update, error) &&
           (state_changed_rows(state) == 1 || missing(state, rehearsal->machine, error));
}

static gboolean delete_rehearsal(struct state *state, gint64 machine, GError **error)
{
    struct statement *removal = statement_new(state, "DELETE FROM rehearsal WHERE machine = ?");
    statement_bind_int(removal, machine);
    return statement_done(removal, error) &&
           (state_changed_rows(state) == 1 || missing(state, machine, error));
}

gboolean state_rehearsal_remove(struct state *state, const char *who, gint64 machine,
                                GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = delete_rehearsal(state, machine, error) &&
                  state_audit_machine(state, who, "rehearsal.remove", machine, NULL, error);
    return state_end(state, ok, error);
}
