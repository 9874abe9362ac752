/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/state/migrate.c: databases of every older version, with rows in them, as
 * state-rows/NNNN.sql adds them to version NNNN. A new step wants such a file. */

#include "appliance/state/database.h"
#include "appliance/state/hosts.h"
#include "appliance/state/machines.h"
#include "appliance/state/replications.h"
#include "base/error.h"
#include "tests/unit/temp-folder.h"

#include <gio/gio.h>
#include <string.h>

#define STEPS "/landfall/state/migrations/"

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GStrv step_names(void)
{
    GStrv names = g_resources_enumerate_children(STEPS, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
    g_assert_nonnull(names);
    qsort(names, g_strv_length(names), sizeof names[0], by_name);
    return names;
}

static void run_sql(sqlite3 *database, const char *sql)
{
    char *message = NULL;
    int code = sqlite3_exec(database, sql, NULL, NULL, &message);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_cmpint(code, ==, SQLITE_OK);
}

/* One number that SQL selects. */
static gint64 number(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *query = NULL;
    g_assert_cmpint(sqlite3_prepare_v2(database, sql, -1, &query, NULL), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_step(query), ==, SQLITE_ROW);
    gint64 value = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    return value;
}

/* A database as version `version` left it, with rows. */
static void make_old(const char *path, unsigned version)
{
    g_auto(GStrv) names = step_names();
    sqlite3 *database = NULL;
    g_assert_cmpint(sqlite3_open(path, &database), ==, SQLITE_OK);
    run_sql(database, "PRAGMA foreign_keys = ON");
    for (unsigned i = 0; i < version; i++) {
        g_autofree char *step = g_strconcat(STEPS, names[i], NULL);
        g_autofree char *rows = g_strdup_printf("tests/unit/state-rows/%04u.sql", i + 1);
        g_autoptr(GBytes) sql = g_resources_lookup_data(step, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
        g_autofree char *text = g_strndup(g_bytes_get_data(sql, NULL), g_bytes_get_size(sql));
        g_autofree char *row_text = temp_file_load(rows, NULL);
        run_sql(database, text);
        run_sql(database, row_text);
    }
    g_autofree char *pragma = g_strdup_printf("PRAGMA user_version = %u", version);
    run_sql(database, pragma);
    sqlite3_close(database);
}

static struct state *open_old(const char *folder, unsigned version, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "landfall.db", NULL);
    g_autofree char *key = g_build_filename(folder, "key", NULL);
    make_old(path, version);
    temp_file_save(key, "0123456789abcdef0123456789abcdef", STATE_KEY_BYTES);
    return state_open(folder, NULL, error);
}

/* The files carry the numbers 1, 2, 3 and so on: the number is the version. */
static void test_numbers(void)
{
    g_auto(GStrv) names = step_names();
    for (unsigned i = 0; names[i]; i++) {
        g_autofree char *prefix = g_strdup_printf("%04u-", i + 1);
        g_assert_true(g_str_has_prefix(names[i], prefix));
    }
}

static void check_first_rows(struct state *state)
{
    g_autoptr(GError) error = NULL;
    struct state_host *host = state_host_get(state, "alpha", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(host->uri, ==, "qemu:///system");
    g_assert_cmpint(host->seen_us, ==, 2000000);
    g_assert_cmpint(json_object_get_int_member(host->facts, "cpus"), ==, 2);
    state_host_free(host);
    struct state_machine *machine = state_machine_get(state, 8, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(machine->name, ==, "old");
    g_assert_cmpint(machine->gone_us, ==, 3);
    state_machine_free(machine);
    g_assert_cmpint(number(state->database, "SELECT count(*) FROM audit"), ==, 1);
    g_assert_cmpint(number(state->database, "SELECT count(*) FROM secret"), ==, 1);
}

static void check_second_rows(struct state *state)
{
    g_autoptr(GError) error = NULL;
    struct state_replication *replication = state_replication_get(state, 7, &error);
    g_assert_no_error(error);
    g_assert_true(replication->paused);
    g_assert_cmpint(replication->retain, ==, 24);
    g_assert_cmpstr(json_array_get_string_element(replication->exclude_disks, 0), ==, "vdb");
    g_assert_cmpint(replication->last_point_us, ==, 5);
    g_assert_true(replication->ever_committed);
    state_replication_free(replication);
}

/* The table of jobs was built anew. */
static void check_third_rows(struct state *state)
{
    g_assert_cmpint(number(state->database, "SELECT count(*) FROM job_event WHERE job = 3"), ==, 1);
    g_assert_cmpint(number(state->database, "SELECT child_start FROM job WHERE id = 4"), ==, 200);
    g_assert_cmpint(number(state->database, "SELECT seq FROM sqlite_sequence WHERE name = 'job'"),
                    >=, 4);
}

static void test_old(void)
{
    g_auto(GStrv) names = step_names();
    for (unsigned version = 0; version <= g_strv_length(names); version++) {
        g_autoptr(temp_folder) folder = temp_folder_new();
        g_autoptr(GError) error = NULL;
        struct state *state = open_old(folder, version, &error);
        g_assert_no_error(error);
        g_assert_cmpint(number(state->database, "PRAGMA user_version"), ==, g_strv_length(names));
        g_assert_cmpint(number(state->database, "SELECT count(*) FROM pragma_foreign_key_check"),
                        ==, 0);
        if (version >= 1)
            check_first_rows(state);
        if (version >= 2)
            check_second_rows(state);
        if (version >= 3)
            check_third_rows(state);
        state_free(state);
    }
}

static void test_newer(void)
{
    g_auto(GStrv) names = step_names();
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "landfall.db", NULL);
    g_autofree char *pragma = g_strdup_printf("PRAGMA user_version = %u", g_strv_length(names) + 1);
    g_autoptr(GError) error = NULL;
    sqlite3 *database = NULL;
    state_free(state_open(folder, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpint(sqlite3_open(path, &database), ==, SQLITE_OK);
    run_sql(database, pragma);
    sqlite3_close(database);

    g_assert_null(state_open(folder, NULL, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_UNSUPPORTED);
    g_assert_nonnull(landfall_error_hint(error));
    g_assert_cmpint(sqlite3_open(path, &database), ==, SQLITE_OK);
    g_assert_cmpint(number(database, "PRAGMA user_version"), ==, g_strv_length(names) + 1);
    sqlite3_close(database);
}

/* A step that fails leaves nothing of itself: here its first table is there already. */
static void test_failing_step(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "landfall.db", NULL);
    g_autoptr(GError) error = NULL;
    sqlite3 *database = NULL;
    make_old(path, 0);
    g_assert_cmpint(sqlite3_open(path, &database), ==, SQLITE_OK);
    run_sql(database, "CREATE TABLE audit (x)");
    g_autofree char *key = g_build_filename(folder, "key", NULL);
    temp_file_save(key, "0123456789abcdef0123456789abcdef", STATE_KEY_BYTES);

    g_assert_null(state_open(folder, NULL, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "0001-base.sql"));
    g_assert_cmpint(number(database, "PRAGMA user_version"), ==, 0);
    g_assert_cmpint(number(database, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' "
                                     "AND name NOT LIKE 'sqlite_%'"),
                    ==, 1);
    run_sql(database, "DROP TABLE audit");
    sqlite3_close(database);
    g_clear_error(&error);
    struct state *state = state_open(folder, NULL, &error);
    g_assert_no_error(error);
    state_free(state);
}

static void test_no_database(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "landfall.db", NULL);
    g_autofree char *key = g_build_filename(folder, "key", NULL);
    g_autoptr(GError) error = NULL;
    temp_file_save(path, "this is no database, and long enough to be seen as such a thing by it",
                   69);
    temp_file_save(key, "0123456789abcdef0123456789abcdef", STATE_KEY_BYTES);
    g_assert_null(state_open(folder, NULL, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migrate/the numbers are the versions", test_numbers);
    g_test_add_func("/migrate/A12: every older version, with rows", test_old);
    g_test_add_func("/migrate/A12: a newer version is refused, untouched", test_newer);
    g_test_add_func("/migrate/A12: a step is made or not", test_failing_step);
    g_test_add_func("/migrate/no database", test_no_database);
    return g_test_run();
}
