/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/audit.h"
#include "appliance/state/database.h"

static void entry_free(struct state_audit_entry *entry)
{
    g_free(entry->who);
    g_free(entry->action);
    g_free(entry->object);
    g_clear_pointer(&entry->detail, json_object_unref);
    g_free(entry);
}

gboolean state_audit(struct state *state, const char *who, const char *action, const char *object,
                     JsonObject *detail, GError **error)
{
    struct statement *insert = statement_new(
        state, "INSERT INTO audit (at_us, who, action, object, detail) VALUES (?, ?, ?, ?, ?)");
    statement_bind_int(insert, state_now_us());
    statement_bind_text(insert, who);
    statement_bind_text(insert, action);
    statement_bind_text(insert, object);
    statement_bind_object(insert, detail);
    if (!statement_done(insert, error))
        return FALSE;
    struct statement *forget =
        statement_new(state, "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?");
    statement_bind_int(forget, STATE_AUDIT_KEPT);
    return statement_done(forget, error);
}

gboolean state_audit_machine(struct state *state, const char *who, const char *action,
                             gint64 machine, JsonObject *detail, GError **error)
{
    g_autofree char *object = g_strdup_printf("machine/%" G_GINT64_FORMAT, machine);
    return state_audit(state, who, action, object, detail, error);
}

static gpointer read_entry(struct statement *query)
{
    struct state_audit_entry *entry = g_new0(struct state_audit_entry, 1);
    entry->id = statement_read_int(query);
    entry->at_us = statement_read_int(query);
    entry->who = statement_read_text(query);
    entry->action = statement_read_text(query);
    entry->object = statement_read_text(query);
    entry->detail = statement_read_object(query);
    return entry;
}

GPtrArray *state_audit_list(struct state *state, gint64 before, unsigned limit, GError **error)
{
    struct statement *query =
        statement_new(state, "SELECT id, at_us, who, action, object, detail FROM audit "
                             "WHERE id < ? ORDER BY id DESC LIMIT ?");
    statement_bind_int(query, before ? before : G_MAXINT64);
    statement_bind_int(query, limit);
    return statement_rows(query, read_entry, (GDestroyNotify)entry_free, error);
}
