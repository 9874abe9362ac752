/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Private to appliance/state: the connection, and statements that are short to write. Values are
 * bound and read from left to right, without numbers; a failure on the way is kept until the end:
 *
 *     struct statement *query = statement_new(state, "SELECT name, seen_us FROM host WHERE uri =
 * ?"); statement_bind_text(query, uri); while (statement_row(query)) { name =
 * statement_read_text(query); seen_us = statement_read_int(query);
 *     }
 *     return statement_done(query, error);
 */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>
#include <sqlite3.h>

#define STATE_KEY_BYTES 32u

struct store_lock;

struct state {
    sqlite3 *database;
    GHashTable *statements; /* SQL text → struct statement, prepared and not in use */
    GThread *owner;
    struct store_lock *lock;
    unsigned depth; /* of state_begin */
    guint8 key[STATE_KEY_BYTES];
};

struct statement;

/* Never NULL. sql is a constant: it is borrowed for good. */
struct statement *statement_new(struct state *state, const char *sql);

/* The next parameter. NULL is SQL's NULL; data is copied. */
void statement_bind_text(struct statement *statement, const char *text);
void statement_bind_int(struct statement *statement, gint64 value);
void statement_bind_blob(struct statement *statement, const void *data, gsize length_bytes);
void statement_bind_object(struct statement *statement, JsonObject *object);
void statement_bind_array(struct statement *statement, JsonArray *array);
void statement_bind_node(struct statement *statement, JsonNode *node);

/* A time or number that may be missing, which in structs is 0. */
void statement_bind_int_or_null(struct statement *statement, gint64 value);

/* TRUE when there is another row to read from. */
gboolean statement_row(struct statement *statement);

/* The next column. The caller owns what is returned; SQL's NULL is NULL and 0. */
char *statement_read_text(struct statement *statement);
gint64 statement_read_int(struct statement *statement);
GBytes *statement_read_blob(struct statement *statement);
JsonObject *statement_read_object(struct statement *statement);
JsonArray *statement_read_array(struct statement *statement);
JsonNode *statement_read_node(struct statement *statement);

/* Ends the use of the statement, with the first failure since statement_new. A row that was not
 * asked for is not read; a statement without statement_row is run. */
gboolean statement_done(struct statement *statement, GError **error);

/* All rows, each as read makes it, or the first one alone, NULL: there is none. Then the use of the
 * statement is over. The caller owns what is returned. */
typedef gpointer (*statement_reader)(struct statement *statement);
GPtrArray *statement_rows(struct statement *statement, statement_reader read,
                          GDestroyNotify destroy, GError **error);
gboolean statement_one(struct statement *statement, statement_reader read, GDestroyNotify destroy,
                       gpointer *ret_row, GError **error);

/* An empty table of statements for struct state. */
GHashTable *statement_cache_new(void);

/* How many rows the latest INSERT, UPDATE or DELETE changed. */
gint64 state_changed_rows(struct state *state);

/* The number that the latest INSERT gave to its row. */
gint64 state_inserted_id(struct state *state);

/* Sets *error from the connection's latest failure; doing is "cannot …". Returns FALSE. */
gboolean database_failed(sqlite3 *database, int code, const char *doing, GError **error);

/* Runs SQL that has neither parameters nor rows. */
gboolean database_run(sqlite3 *database, const char *sql, const char *doing, GError **error);

/* Between state_begin and state_end: whether SQLite is still in that transaction. A full disk ends
 * it as a whole, and what follows must not become durable by itself. */
gboolean database_in_change(struct state *state, GError **error);

/* Brings the schema to the version of this program. */
gboolean database_migrate(sqlite3 *database, GError **error);
