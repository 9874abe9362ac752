/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/state/state.c, database.c: who may open it, transactions, and kill -9 of a writer. */

#include "appliance/state/hosts.h"
#include "tests/unit/state-folder.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static gboolean add_host(struct state *state, const char *name, GError **error)
{
    return state_host_add(state, "root", name, "qemu:///system", "both", error);
}

static void test_modes(void)
{
    static const unsigned loose[] = {0755, 0750, 0701, 0720};
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *fresh = g_build_filename(folder, "state", NULL);
    g_autoptr(GError) error = NULL;
    struct stat status;
    umask(0);
    state_free(open_state(fresh));
    umask(077);
    g_assert_cmpint(stat(fresh, &status), ==, 0);
    g_assert_cmpuint(status.st_mode & 0777, ==, 0700);
    for (gsize i = 0; i < G_N_ELEMENTS(loose); i++) {
        g_assert_cmpint(chmod(fresh, loose[i]), ==, 0);
        assert_refused(state_open(fresh, NULL, &error) != NULL, &error, LANDFALL_ERROR_CONFIG);
        g_assert_cmpint(stat(fresh, &status), ==, 0);
        g_assert_cmpuint(status.st_mode & 0777, ==, loose[i]);
    }
}

static void test_no_folder(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *deep = g_build_filename(folder, "a", "b", NULL);
    g_autofree char *file = g_build_filename(folder, "file", NULL);
    g_autoptr(GError) error = NULL;
    assert_refused(state_open(deep, NULL, &error) != NULL, &error, LANDFALL_ERROR_CONFIG);
    temp_file_save(file, "x", 1);
    assert_refused(state_open(file, NULL, &error) != NULL, &error, LANDFALL_ERROR_CONFIG);
}

static void test_one_at_a_time(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *holder = g_strdup_printf("process %d", (int)getpid());
    g_autoptr(GError) error = NULL;
    struct state *state = open_state(folder);
    g_assert_null(state_open(folder, NULL, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT);
    g_assert_nonnull(strstr(error->message, holder));
    state_free(state);
    state_free(open_state(folder));
    state_free(NULL);
}

static void test_transaction(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    struct state *state = open_state(folder);

    g_assert_true(state_begin(state, &error));
    g_assert_true(add_host(state, "alpha", &error));
    g_assert_true(add_host(state, "beta", &error));
    g_assert_false(state_end(state, FALSE, &error));
    g_assert_no_error(error);
    g_assert_cmpint(number(state, "SELECT count(*) FROM host"), ==, 0);
    g_assert_cmpint(number(state, "SELECT count(*) FROM audit"), ==, 0);

    /* An inner one that fails takes its own back, and not what stands around it. */
    g_assert_true(state_begin(state, &error));
    g_assert_true(add_host(state, "alpha", &error));
    assert_refused(add_host(state, "alpha", &error), &error, LANDFALL_ERROR_CONFLICT);
    g_assert_true(state_begin(state, &error));
    g_assert_true(add_host(state, "beta", &error));
    g_assert_false(state_end(state, FALSE, &error));
    g_assert_true(add_host(state, "gamma", &error));
    g_assert_true(state_end(state, TRUE, &error));
    g_assert_no_error(error);
    g_assert_cmpint(number(state, "SELECT count(*) FROM host WHERE name IN ('alpha', 'gamma')"), ==,
                    2);
    g_assert_cmpint(number(state, "SELECT count(*) FROM host"), ==, 2);
    g_assert_cmpint(number(state, "SELECT count(*) FROM audit"), ==, 2);
    state_free(state);
}

/* A change whose line cannot be written is no change: a trigger refuses the audit. */
static void test_with_audit(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    struct state *state = open_state(folder);
    run_sql(state, "CREATE TEMP TRIGGER no_audit BEFORE INSERT ON main.audit "
                   "BEGIN SELECT raise(ABORT, 'no'); END");
    assert_refused(add_host(state, "alpha", &error), &error, LANDFALL_ERROR_CONFLICT);
    g_assert_cmpint(number(state, "SELECT count(*) FROM host"), ==, 0);
    run_sql(state, "DROP TRIGGER no_audit");
    g_assert_true(add_host(state, "alpha", &error));
    g_assert_cmpint(number(state, "SELECT count(*) FROM host"), ==, 1);
    state_free(state);
}

/* A full disk ends the transaction under our feet: what follows in it must not last either. */
static void test_full(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *long_uri = g_strnfill(200000, 'x');
    struct state *state = open_state(folder);
    g_autofree char *limit =
        g_strdup_printf("PRAGMA max_page_count = %d", (int)number(state, "PRAGMA page_count") + 3);
    run_sql(state, limit);
    g_assert_true(state_begin(state, &error));
    g_assert_true(add_host(state, "alpha", &error));
    assert_refused(state_host_add(state, "root", "beta", long_uri, "both", &error), &error,
                   LANDFALL_ERROR_INTERNAL);
    gboolean more = add_host(state, "gamma", NULL);
    gboolean saved = state_end(state, more, &error);
    g_assert_cmpint(number(state, "SELECT count(*) FROM host"), ==, saved ? 2 : 0);
    g_assert_cmpint(number(state, "SELECT count(*) FROM audit"), ==, saved ? 2 : 0);
    g_clear_error(&error);
    run_sql(state, "PRAGMA max_page_count = 1000000");
    g_assert_true(state_host_add(state, "root", "beta", long_uri, "both", &error));
    g_assert_no_error(error);
    state_free(state);
}

static void test_nested_statement(void)
{
    static const char sql[] = "SELECT value FROM json_each('[1, 2]')";
    g_autoptr(temp_folder) folder = temp_folder_new();
    struct state *state = open_state(folder);
    struct statement *outer = statement_new(state, sql);
    gint64 sum = 0;
    while (statement_row(outer)) {
        struct statement *inner = statement_new(state, sql);
        gint64 factor = statement_read_int(outer);
        while (statement_row(inner))
            sum += factor * statement_read_int(inner);
        g_assert_true(statement_done(inner, NULL));
    }
    g_assert_true(statement_done(outer, NULL));
    g_assert_cmpint(sum, ==, 9);
    state_free(state);
}

static void test_failures_are_kept(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    struct state *state = open_state(folder);
    struct statement *wrong = statement_new(state, "SELECT nothing FROM nowhere WHERE x = ?");
    statement_bind_int(wrong, 1);
    g_assert_false(statement_row(wrong));
    assert_refused(statement_done(wrong, &error), &error, LANDFALL_ERROR_INTERNAL);
    static const char *const values[] = {"SELECT 'no json'", "SELECT '[1]'", "SELECT '1'"};
    for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
        struct statement *query = statement_new(state, values[i]);
        g_assert_true(statement_row(query));
        g_assert_null(statement_read_object(query));
        assert_refused(statement_done(query, &error), &error, LANDFALL_ERROR_CORRUPT);
    }
    state_free(state);
}

static void test_names(void)
{
    static const char *const good[] = {"a", "0", "host-1.example_x",
                                       "a123456789012345678901234567"};
    static const char *const bad[] = {"",    "-a", ".a",  "_a", "A",    "a b", "a/b",
                                      "a\n", "ä",  "a:b", "..", "a\"b", "a'b"};
    g_autoptr(GError) error = NULL;
    g_autofree char *longest = g_strnfill(63, 'a');
    g_autofree char *too_long = g_strnfill(64, 'a');
    g_assert_true(state_check_name("host", longest, &error));
    assert_refused(state_check_name("host", too_long, &error), &error, LANDFALL_ERROR_CONFIG);
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(state_check_name("host", good[i], &error));
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_refused(state_check_name("host", bad[i], &error), &error, LANDFALL_ERROR_CONFIG);
}

/* --- kill -9 -------------------------------------------------------------------------------------
 */

/* Adds hosts in pairs for ever, and says so on the pipe after each pair. */
static void write_for_ever(const char *folder, int pipe_fd)
{
    struct state *state = state_open(folder, NULL, NULL);
    guint64 first = (guint64)g_get_real_time();
    for (guint64 i = first; state; i++) {
        g_autofree char *one = g_strdup_printf("a%" G_GUINT64_FORMAT, i);
        g_autofree char *two = g_strdup_printf("b%" G_GUINT64_FORMAT, i);
        gboolean ok =
            state_begin(state, NULL) && add_host(state, one, NULL) && add_host(state, two, NULL);
        if (!state_end(state, ok, NULL) || write(pipe_fd, "x", 1) != 1)
            break;
    }
    _exit(1);
}

static gsize kill_a_writer(const char *folder, unsigned delay_us)
{
    int fds[2];
    char byte[4096];
    gsize acknowledged = 0;
    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    pid_t pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0)
        write_for_ever(folder, fds[1]);
    close(fds[1]);
    g_assert_cmpint(read(fds[0], byte, 1), ==, 1); /* it has begun */
    gint64 until = g_get_monotonic_time() + delay_us;
    acknowledged = 1;
    while (g_get_monotonic_time() < until)
        g_thread_yield();
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    for (gssize n; (n = read(fds[0], byte, sizeof byte)) > 0;)
        acknowledged += (gsize)n;
    close(fds[0]);
    int status;
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status));
    return acknowledged;
}

static void test_kill(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    gboolean at_length = g_getenv("LANDFALL_LONG") != NULL;
    gint64 acknowledged = 0;
    state_free(open_state(folder));
    for (unsigned i = 0; i < (at_length ? 500 : 25); i++) {
        acknowledged += (gint64)kill_a_writer(folder, g_test_rand_int_range(0, 20000));
        struct state *state = open_state(folder);
        struct statement *check = statement_new(state, "PRAGMA integrity_check");
        g_assert_true(statement_row(check));
        g_autofree char *verdict = statement_read_text(check);
        g_assert_cmpstr(verdict, ==, "ok");
        g_assert_true(statement_done(check, NULL));
        /* All that was answered, at most one more for each kill, pairs, each with its line. */
        gint64 pairs = number(state, "SELECT count(*) FROM host WHERE name LIKE 'a%'");
        g_assert_cmpint(pairs, >=, acknowledged);
        g_assert_cmpint(pairs, <=, acknowledged + i + 1);
        g_assert_cmpint(number(state, "SELECT count(*) FROM host"), ==, pairs * 2);
        g_assert_cmpint(number(state, "SELECT count(*) FROM audit"), ==, pairs * 2);
        g_assert_cmpint(number(state, "SELECT count(*) FROM host AS a WHERE name LIKE 'a%' AND "
                                      "EXISTS (SELECT 1 FROM host AS b "
                                      "WHERE b.name = 'b' || substr(a.name, 2))"),
                        ==, pairs);
        state_free(state);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/state/A15: closed to others", test_modes);
    g_test_add_func("/state/no folder", test_no_folder);
    g_test_add_func("/state/A13: one at a time", test_one_at_a_time);
    g_test_add_func("/state/A11: all or nothing", test_transaction);
    g_test_add_func("/state/A11: no change without its line", test_with_audit);
    g_test_add_func("/state/A11: a full disk", test_full);
    g_test_add_func("/state/a statement inside of itself", test_nested_statement);
    g_test_add_func("/state/failures are kept to the end", test_failures_are_kept);
    g_test_add_func("/state/names", test_names);
    g_test_add_func("/state/A11: kill -9", test_kill);
    return g_test_run();
}
