/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/database.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

struct statement {
    struct state *state;
    const char *sql;
    sqlite3_stmt *handle; /* NULL when it could not be prepared */
    GError *failure;      /* the first one */
    int parameter, column;
    gboolean stepped;
};

static enum landfall_error_code code_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return LANDFALL_ERROR_CONFLICT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return LANDFALL_ERROR_CORRUPT;
    default:
        return LANDFALL_ERROR_INTERNAL;
    }
}

static const char *hint_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "free space on the file system of the state folder";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "give the user that runs landfalld the right to write the state folder";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "restore the database from a backup; the stores are whole without it";
    case SQLITE_IOERR:
        return "look at the disk under the state folder and at the kernel log";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "end the program that has landfalld's database open";
    default:
        return NULL;
    }
}

gboolean database_failed(sqlite3 *database, int code, const char *doing, GError **error)
{
    landfall_error_set(error, code_of(code), hint_of(code), "cannot %s: %s", doing,
                       database ? sqlite3_errmsg(database) : sqlite3_errstr(code));
    return FALSE;
}

gboolean database_run(sqlite3 *database, const char *sql, const char *doing, GError **error)
{
    int code = sqlite3_exec(database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || database_failed(database, code, doing, error);
}

static void statement_free(struct statement *statement)
{
    sqlite3_finalize(statement->handle);
    g_clear_error(&statement->failure);
    g_free(statement);
}

static void keep_failure(struct statement *statement, int code)
{
    if (!statement->failure)
        database_failed(statement->state->database, code, "use landfalld's database",
                        &statement->failure);
}

struct statement *statement_new(struct state *state, const char *sql)
{
    g_assert(state->owner == g_thread_self());
    struct statement *statement = NULL;
    if (g_hash_table_steal_extended(state->statements, sql, NULL, (gpointer *)&statement)) {
        statement->parameter = statement->column = 0;
        statement->stepped = FALSE;
        return statement;
    }
    statement = g_new0(struct statement, 1);
    statement->state = state;
    statement->sql = sql;
    int code = sqlite3_prepare_v3(state->database, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  &statement->handle, NULL);
    if (code != SQLITE_OK)
        keep_failure(statement, code);
    return statement;
}

static void check_bound(struct statement *statement, int code)
{
    if (code != SQLITE_OK)
        keep_failure(statement, code);
}

void statement_bind_text(struct statement *statement, const char *text)
{
    check_bound(statement, sqlite3_bind_text(statement->handle, ++statement->parameter, text, -1,
                                             SQLITE_TRANSIENT));
}

void statement_bind_int(struct statement *statement, gint64 value)
{
    check_bound(statement, sqlite3_bind_int64(statement->handle, ++statement->parameter, value));
}

void statement_bind_int_or_null(struct statement *statement, gint64 value)
{
    if (value)
        statement_bind_int(statement, value);
    else
        check_bound(statement, sqlite3_bind_null(statement->handle, ++statement->parameter));
}

void statement_bind_blob(struct statement *statement, const void *data, gsize length_bytes)
{
    check_bound(statement, sqlite3_bind_blob64(statement->handle, ++statement->parameter, data,
                                               length_bytes, SQLITE_TRANSIENT));
}

void statement_bind_object(struct statement *statement, JsonObject *object)
{
    g_autofree char *text = object ? json_object_to_text(object, FALSE) : NULL;
    statement_bind_text(statement, text);
}

void statement_bind_node(struct statement *statement, JsonNode *node)
{
    g_autofree char *text = node ? json_to_string(node, FALSE) : NULL;
    statement_bind_text(statement, text);
}

void statement_bind_array(struct statement *statement, JsonArray *array)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_ARRAY);
    json_node_set_array(node, array);
    statement_bind_node(statement, array ? node : NULL);
}

gboolean database_in_change(struct state *state, GError **error)
{
    if (state->depth == 0 || !sqlite3_get_autocommit(state->database))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_INTERNAL, NULL,
                       "landfalld's database has given up the change");
    return FALSE;
}

gboolean statement_row(struct statement *statement)
{
    if (statement->failure)
        return FALSE;
    g_assert(statement->parameter == sqlite3_bind_parameter_count(statement->handle));
    statement->stepped = TRUE;
    statement->column = 0;
    if (!database_in_change(statement->state, &statement->failure))
        return FALSE;
    int code = sqlite3_step(statement->handle);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        keep_failure(statement, code);
    return code == SQLITE_ROW;
}

char *statement_read_text(struct statement *statement)
{
    return g_strdup((const char *)sqlite3_column_text(statement->handle, statement->column++));
}

gint64 statement_read_int(struct statement *statement)
{
    return sqlite3_column_int64(statement->handle, statement->column++);
}

GBytes *statement_read_blob(struct statement *statement)
{
    const void *data = sqlite3_column_blob(statement->handle, statement->column);
    int length_bytes = sqlite3_column_bytes(statement->handle, statement->column++);
    return data ? g_bytes_new(data, (gsize)length_bytes) : NULL;
}

JsonNode *statement_read_node(struct statement *statement)
{
    g_autofree char *text = statement_read_text(statement);
    g_autoptr(GError) cause = NULL;
    JsonNode *node = text ? json_from_string(text, &cause) : NULL;
    if (cause && !statement->failure)
        landfall_error_set(&statement->failure, LANDFALL_ERROR_CORRUPT, hint_of(SQLITE_CORRUPT),
                           "landfalld's database has a value that is not JSON: %s", cause->message);
    return node;
}

static gboolean check_type(struct statement *statement, JsonNode *node, JsonNodeType type)
{
    if (!node || json_node_get_node_type(node) == type)
        return node != NULL;
    if (!statement->failure)
        landfall_error_set(&statement->failure, LANDFALL_ERROR_CORRUPT, hint_of(SQLITE_CORRUPT),
                           "landfalld's database has a value that is not a JSON %s",
                           type == JSON_NODE_ARRAY ? "array" : "object");
    return FALSE;
}

JsonObject *statement_read_object(struct statement *statement)
{
    g_autoptr(JsonNode) node = statement_read_node(statement);
    return check_type(statement, node, JSON_NODE_OBJECT) ? json_node_dup_object(node) : NULL;
}

JsonArray *statement_read_array(struct statement *statement)
{
    g_autoptr(JsonNode) node = statement_read_node(statement);
    return check_type(statement, node, JSON_NODE_ARRAY) ? json_node_dup_array(node) : NULL;
}

gboolean statement_done(struct statement *statement, GError **error)
{
    if (!statement->stepped)
        statement_row(statement);
    gboolean ok = !statement->failure;
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&statement->failure));
    if (!statement->handle) {
        statement_free(statement);
        return ok;
    }
    /* The failure of the last step is returned once more here; it has been kept. */
    sqlite3_reset(statement->handle);
    sqlite3_clear_bindings(statement->handle);
    g_hash_table_replace(statement->state->statements, (gpointer)statement->sql, statement);
    return ok;
}

GPtrArray *statement_rows(struct statement *statement, statement_reader read,
                          GDestroyNotify destroy, GError **error)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(destroy);
    while (statement_row(statement))
        g_ptr_array_add(rows, read(statement));
    return statement_done(statement, error) ? g_steal_pointer(&rows) : NULL;
}

gboolean statement_one(struct statement *statement, statement_reader read, GDestroyNotify destroy,
                       gpointer *ret_row, GError **error)
{
    gpointer row = statement_row(statement) ? read(statement) : NULL;
    gboolean ok = statement_done(statement, error);
    if (!ok && row)
        destroy(row);
    *ret_row = ok ? row : NULL;
    return ok;
}

gint64 state_changed_rows(struct state *state)
{
    return sqlite3_changes64(state->database);
}

gint64 state_inserted_id(struct state *state)
{
    return sqlite3_last_insert_rowid(state->database);
}

GHashTable *statement_cache_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)statement_free);
}
