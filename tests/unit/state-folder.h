/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A state in a temporary folder, with short ways to what tests of its parts do all the time. */

#include "appliance/state/database.h"
#include "base/error.h"
#include "tests/unit/temp-folder.h"

#include <string.h>

static inline struct state *open_state(const char *folder)
{
    g_autoptr(GError) error = NULL;
    struct state *state = state_open(folder, NULL, &error);
    g_assert_no_error(error);
    /* Thousands of small changes: what a power cut takes is not for these tests. */
    g_assert_cmpint(sqlite3_exec(state->database, "PRAGMA synchronous = OFF", NULL, NULL, NULL), ==,
                    SQLITE_OK);
    return state;
}

/* A fixture: what a test calls fails into error, which the test looks at or leaves empty. */
struct rig {
    char *folder;
    struct state *state;
    GError *error;
};

static inline void set_up(struct rig *rig, gconstpointer data)
{
    (void)data;
    rig->folder = temp_folder_new();
    rig->state = open_state(rig->folder);
}

static inline void tear_down(struct rig *rig, gconstpointer data)
{
    (void)data;
    g_assert_no_error(rig->error);
    state_free(rig->state);
    temp_folder_free(rig->folder);
}

static inline void run_sql(struct state *state, const char *sql)
{
    char *message = NULL;
    sqlite3_exec(state->database, sql, NULL, NULL, &message);
    g_assert_cmpstr(message, ==, NULL);
}

/* One number that SQL selects. */
static inline gint64 number(struct state *state, const char *sql)
{
    struct statement *query = statement_new(state, g_intern_string(sql));
    g_assert_true(statement_row(query));
    gint64 value = statement_read_int(query);
    g_assert_true(statement_done(query, NULL));
    return value;
}

/* What was called has failed in this way, with words for people. */
static inline void assert_refused(gboolean ok, GError **error, enum landfall_error_code code)
{
    g_assert_false(ok);
    g_assert_error(*error, LANDFALL_ERROR, (int)code);
    g_assert_cmpuint(strlen((*error)->message), >, 0);
    g_clear_error(error);
}
