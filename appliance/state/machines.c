/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/machines.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "base/error.h"

#define COLUMNS "id, host, uuid, name, power, facts, first_seen_us, seen_us, gone_us"

void state_machine_free(struct state_machine *machine)
{
    if (!machine)
        return;
    g_free(machine->host);
    g_free(machine->uuid);
    g_free(machine->name);
    g_free(machine->power);
    g_clear_pointer(&machine->facts, json_object_unref);
    g_free(machine);
}

static gpointer read_machine(struct statement *query)
{
    struct state_machine *machine = g_new0(struct state_machine, 1);
    machine->id = statement_read_int(query);
    machine->host = statement_read_text(query);
    machine->uuid = statement_read_text(query);
    machine->name = statement_read_text(query);
    machine->power = statement_read_text(query);
    machine->facts = statement_read_object(query);
    machine->first_seen_us = statement_read_int(query);
    machine->seen_us = statement_read_int(query);
    machine->gone_us = statement_read_int(query);
    return machine;
}

#define CHOSEN                                                                                     \
    "FROM machine WHERE (?1 IS NULL OR host = ?1) AND (?2 IS NULL OR ?2 IN (name, uuid, "          \
    "host || '/' || name, host || '/' || uuid)) "

GPtrArray *state_machine_list(struct state *state, const char *host, const char *name,
                              GError **error)
{
    struct statement *query =
        statement_new(state, "SELECT " COLUMNS " " CHOSEN "ORDER BY host, name, id");
    statement_bind_text(query, host);
    statement_bind_text(query, name);
    return statement_rows(query, read_machine, (GDestroyNotify)state_machine_free, error);
}

GPtrArray *state_machine_page(struct state *state, const char *host, const char *name,
                              gint64 before, guint limit, GError **error)
{
    struct statement *query = statement_new(
        state, "SELECT " COLUMNS " " CHOSEN "AND (?3 = 0 OR id < ?3) ORDER BY id DESC LIMIT ?4");
    statement_bind_text(query, host);
    statement_bind_text(query, name);
    statement_bind_int(query, before);
    statement_bind_int(query, limit);
    return statement_rows(query, read_machine, (GDestroyNotify)state_machine_free, error);
}

static gboolean missing(gint64 id, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall machine list shows the machines",
                       "there is no machine %" G_GINT64_FORMAT, id);
    return FALSE;
}

gboolean state_machine_count(struct state *state, const char *host, gint64 *ret_count,
                             GError **error)
{
    gint64 count = 0;
    struct statement *query = statement_new(state, "SELECT count(*) FROM machine WHERE host = ?");
    statement_bind_text(query, host);
    if (statement_row(query))
        count = statement_read_int(query);
    if (!statement_done(query, error))
        return FALSE;
    *ret_count = count;
    return TRUE;
}

struct state_machine *state_machine_get(struct state *state, gint64 id, GError **error)
{
    gpointer machine;
    struct statement *query = statement_new(state, "SELECT " COLUMNS " FROM machine WHERE id = ?");
    statement_bind_int(query, id);
    if (statement_one(query, read_machine, (GDestroyNotify)state_machine_free, &machine, error) &&
        !machine)
        missing(id, error);
    return machine;
}

char *state_machine_called(struct state *state, gint64 id)
{
    struct state_machine *machine = state_machine_get(state, id, NULL);
    char *called = machine ? g_strdup(machine->name) : g_strdup_printf("%" G_GINT64_FORMAT, id);
    state_machine_free(machine);
    return called;
}

static gboolean find(struct state *state, const char *host, const char *uuid, gint64 *ret_id,
                     gboolean *ret_gone, GError **error)
{
    gint64 id = 0;
    gboolean gone = FALSE;
    struct statement *query = statement_new(
        state, "SELECT id, gone_us IS NOT NULL FROM machine WHERE host = ? AND uuid = ?");
    statement_bind_text(query, host);
    statement_bind_text(query, uuid);
    if (statement_row(query)) {
        id = statement_read_int(query);
        gone = statement_read_int(query) != 0;
    }
    if (!statement_done(query, error))
        return FALSE;
    *ret_id = id;
    *ret_gone = gone;
    return TRUE;
}

static gboolean insert_machine(struct state *state, struct state_machine *machine, GError **error)
{
    struct statement *insert = statement_new(
        state, "INSERT INTO machine (host, uuid, name, power, facts, first_seen_us, seen_us) "
               "VALUES (?, ?, ?, ?, ?, ?6, ?6)");
    statement_bind_text(insert, machine->host);
    statement_bind_text(insert, machine->uuid);
    statement_bind_text(insert, machine->name);
    statement_bind_text(insert, machine->power);
    statement_bind_object(insert, machine->facts);
    statement_bind_int(insert, machine->seen_us);
    if (!statement_done(insert, error))
        return FALSE;
    machine->id = state_inserted_id(state);
    return TRUE;
}

static gboolean update_machine(struct state *state, const struct state_machine *machine, gint64 id,
                               GError **error)
{
    struct statement *update = statement_new(
        state, "UPDATE machine SET name = ?, power = ?, facts = coalesce(?, facts), seen_us = ?, "
               "gone_us = NULL WHERE id = ?");
    statement_bind_text(update, machine->name);
    statement_bind_text(update, machine->power);
    statement_bind_object(update, machine->facts);
    statement_bind_int(update, machine->seen_us);
    statement_bind_int(update, id);
    return statement_done(update, error);
}

gboolean state_machine_found(struct state *state, struct state_machine *machine,
                             gboolean *ret_fresh, GError **error)
{
    gint64 id;
    gboolean gone;
    if (!find(state, machine->host, machine->uuid, &id, &gone, error))
        return FALSE;
    if (id ? !update_machine(state, machine, id, error) : !insert_machine(state, machine, error))
        return FALSE;
    if (id)
        machine->id = id;
    *ret_fresh = !id || gone;
    return TRUE;
}

gboolean state_machine_gone(struct state *state, gint64 id, gint64 gone_us, GError **error)
{
    struct statement *update =
        statement_new(state, "UPDATE machine SET gone_us = coalesce(gone_us, ?) WHERE id = ?");
    statement_bind_int(update, gone_us);
    statement_bind_int(update, id);
    return statement_done(update, error) && (state_changed_rows(state) == 1 || missing(id, error));
}

gboolean state_machine_forget(struct state *state, gint64 gone_us, GError **error)
{
    struct statement *removal =
        statement_new(state, "DELETE FROM machine WHERE gone_us < ? "
                             "AND id NOT IN (SELECT machine FROM replication)");
    statement_bind_int(removal, gone_us);
    return statement_done(removal, error);
}

/* The row that the inventory made for a machine on its new host. */
static gboolean drop_double(struct state *state, const char *host, const char *uuid, gint64 id,
                            GError **error)
{
    gint64 other;
    gboolean gone;
    if (!find(state, host, uuid, &other, &gone, error))
        return FALSE;
    if (other == 0 || other == id)
        return TRUE;
    struct statement *removal =
        statement_new(state, "DELETE FROM machine WHERE id = ?1 "
                             "AND NOT EXISTS (SELECT 1 FROM replication WHERE machine = ?1)");
    statement_bind_int(removal, other);
    if (!statement_done(removal, error))
        return FALSE;
    if (state_changed_rows(state) == 1)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "stop one of the two first: landfall stop",
                       "the machine is replicated from host '%s' as well", host);
    return FALSE;
}

static gboolean set_host(struct state *state, gint64 id, const char *host, GError **error)
{
    struct statement *update =
        statement_new(state, "UPDATE machine SET host = ?, gone_us = NULL WHERE id = ?");
    statement_bind_text(update, host);
    statement_bind_int(update, id);
    return statement_done(update, error);
}

static gboolean note_move(struct state *state, const char *who, const struct state_machine *machine,
                          const char *host, GError **error)
{
    g_autoptr(JsonObject) detail = json_object_new();
    json_object_set_string_member(detail, "from", machine->host);
    json_object_set_string_member(detail, "to", host);
    return state_audit_machine(state, who, "machine.move", machine->id, detail, error);
}

gboolean state_machine_move(struct state *state, const char *who, gint64 id, const char *host,
                            GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    struct state_machine *machine = state_machine_get(state, id, error);
    gboolean ok = machine && drop_double(state, host, machine->uuid, id, error) &&
                  set_host(state, id, host, error) && note_move(state, who, machine, host, error);
    state_machine_free(machine);
    return state_end(state, ok, error);
}
