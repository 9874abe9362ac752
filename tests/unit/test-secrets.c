/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/state/secrets.c and seal-key.c: what opens, and all that must not. */

#include "appliance/state/audit.h"
#include "appliance/state/secrets.h"
#include "tests/unit/state-folder.h"

#include <sys/stat.h>

#define VALUE "correct horse battery staple"

static void set(struct state *state, const char *owner, const char *name, const char *value)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(state_secret_set(state, "root", owner, name, value, strlen(value), &error));
    g_assert_no_error(error);
}

static void assert_opens(struct state *state, const char *owner, const char *name,
                         const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) secret = NULL;
    g_assert_true(state_secret_get(state, owner, name, &secret, &error));
    g_assert_no_error(error);
    g_assert_nonnull(secret);
    g_assert_cmpmem(g_bytes_get_data(secret, NULL), g_bytes_get_size(secret), expected,
                    strlen(expected));
    /* The 0 behind it. */
    g_assert_cmpuint(strlen(g_bytes_get_data(secret, NULL)), ==, strlen(expected));
}

static void assert_corrupt(struct state *state, const char *owner, const char *name)
{
    g_autoptr(GError) error = NULL;
    GBytes *secret = (GBytes *)1;
    g_assert_false(state_secret_get(state, owner, name, &secret, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    g_assert_true(secret == (GBytes *)1);
    g_assert_null(strstr(error->message, VALUE));
}

static void test_opens(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    struct state *state = open_state(folder);
    set(state, "host/alpha", "password", VALUE);
    set(state, "host/alpha", "empty", "");
    assert_opens(state, "host/alpha", "password", VALUE);
    assert_opens(state, "host/alpha", "empty", "");
    set(state, "host/alpha", "password", "another");
    assert_opens(state, "host/alpha", "password", "another");
    state_free(state);
    state = open_state(folder);
    assert_opens(state, "host/alpha", "password", "another");

    GBytes *secret = (GBytes *)1;
    g_assert_true(state_secret_remove(state, "root", "host/alpha", "password", &error));
    g_assert_true(state_secret_get(state, "host/alpha", "password", &secret, &error));
    g_assert_no_error(error);
    g_assert_null(secret);
    state_free(state);
}

static void test_no_two_are_alike(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    struct state *state = open_state(folder);
    for (unsigned i = 0; i < 20; i++) {
        g_autofree char *name = g_strdup_printf("s%u", i);
        set(state, "host/alpha", name, VALUE);
    }
    struct statement *query =
        statement_new(state, "SELECT count(DISTINCT nonce), count(DISTINCT sealed) FROM secret");
    g_assert_true(statement_row(query));
    g_assert_cmpint(statement_read_int(query), ==, 20);
    g_assert_cmpint(statement_read_int(query), ==, 20);
    g_assert_true(statement_done(query, NULL));
    state_free(state);
}

static void test_moved(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    struct state *state = open_state(folder);
    set(state, "host/alpha", "password", VALUE);
    run_sql(state, "INSERT INTO secret SELECT 'host/beta', name, nonce, sealed FROM secret");
    assert_corrupt(state, "host/beta", "password");
    run_sql(state, "UPDATE secret SET name = 'ssh-key' WHERE owner = 'host/alpha'");
    assert_corrupt(state, "host/alpha", "ssh-key");
    /* The border between owner and name counts, too. */
    set(state, "ab", "c", VALUE);
    run_sql(state, "UPDATE secret SET owner = 'a', name = 'bc' WHERE owner = 'ab'");
    assert_corrupt(state, "a", "bc");
    state_free(state);
}

/* One bit of the stored value at a time; the tag is its end. */
static void flip_bits(struct state *state)
{
    g_autoptr(GBytes) sealed = NULL;
    struct statement *query = statement_new(state, "SELECT sealed FROM secret");
    g_assert_true(statement_row(query));
    sealed = statement_read_blob(query);
    g_assert_true(statement_done(query, NULL));
    gsize length;
    g_autofree guint8 *bytes =
        g_memdup2(g_bytes_get_data(sealed, &length), g_bytes_get_size(sealed));
    for (gsize bit = 0; bit < length * 8; bit += 5) {
        bytes[bit / 8] ^= (guint8)(1u << bit % 8);
        struct statement *update = statement_new(state, "UPDATE secret SET sealed = ?");
        statement_bind_blob(update, bytes, length);
        g_assert_true(statement_done(update, NULL));
        bytes[bit / 8] ^= (guint8)(1u << bit % 8);
        assert_corrupt(state, "host/alpha", "password");
    }
}

static void test_tampered(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    static const char *const changes[] = {
        "UPDATE secret SET sealed = substr(sealed, 1, length(sealed) - 1)",
        "UPDATE secret SET sealed = CAST(sealed || x'00' AS BLOB)",
        "UPDATE secret SET sealed = substr(sealed, 2)",
        "UPDATE secret SET sealed = x''",
        "UPDATE secret SET nonce = zeroblob(12)",
        "UPDATE secret SET nonce = substr(nonce, 1, 11)",
        "UPDATE secret SET nonce = x''",
    };
    struct state *state = open_state(folder);
    set(state, "host/alpha", "password", VALUE);
    flip_bits(state);
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        set(state, "host/alpha", "password", VALUE);
        assert_opens(state, "host/alpha", "password", VALUE);
        run_sql(state, changes[i]);
        assert_corrupt(state, "host/alpha", "password");
    }
    state_free(state);
}

static char *key_path(const char *folder)
{
    return g_build_filename(folder, "key", NULL);
}

static void test_wrong_key(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *key = key_path(folder);
    struct state *state = open_state(folder);
    set(state, "host/alpha", "password", VALUE);
    state_free(state);
    gsize length;
    g_autofree char *bytes = temp_file_load(key, &length);
    g_assert_cmpuint(length, ==, STATE_KEY_BYTES);
    bytes[31] ^= 1;
    temp_file_save(key, bytes, length);
    state = open_state(folder);
    assert_corrupt(state, "host/alpha", "password");
    state_free(state);
}

static void assert_key_refused(const char *folder, const char *word)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(state_open(folder, NULL, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    g_assert_nonnull(strstr(error->message, word));
    g_assert_nonnull(landfall_error_hint(error));
}

static void test_key_file(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *key = key_path(folder);
    g_autofree char *other = g_build_filename(folder, "other", NULL);
    struct stat status;
    state_free(open_state(folder));
    g_assert_cmpint(stat(key, &status), ==, 0);
    g_assert_cmpuint(status.st_mode & 0777, ==, 0600);

    static const unsigned loose[] = {0640, 0604, 0660, 0620, 0601};
    for (gsize i = 0; i < G_N_ELEMENTS(loose); i++) {
        g_assert_cmpint(chmod(key, loose[i]), ==, 0);
        assert_key_refused(folder, "read by others");
    }
    g_assert_cmpint(chmod(key, 0400), ==, 0);
    state_free(open_state(folder));
    g_assert_cmpint(chmod(key, 0600), ==, 0);

    g_assert_cmpint(truncate(key, 31), ==, 0);
    assert_key_refused(folder, "no key");
    g_assert_cmpint(rename(key, other), ==, 0);
    assert_key_refused(folder, "cannot open the key"); /* never a new one beside an old database */
    g_assert_false(g_file_test(key, G_FILE_TEST_EXISTS));
    g_assert_cmpint(symlink("other", key), ==, 0);
    assert_key_refused(folder, "cannot open the key");
}

static gboolean file_has(const char *folder, const char *name, const char *word)
{
    gsize length;
    g_autofree char *path = g_build_filename(folder, name, NULL);
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return FALSE;
    g_autofree char *bytes = temp_file_load(path, &length);
    return memmem(bytes, length, word, strlen(word)) != NULL;
}

static void test_not_in_clear(void)
{
    static const char *const files[] = {"landfall.db", "landfall.db-wal", "landfall.db-shm", "key"};
    g_autoptr(temp_folder) folder = temp_folder_new();
    struct state *state = open_state(folder);
    set(state, "host/zebra", "password", VALUE);
    gboolean seen = FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        seen = seen || file_has(folder, files[i], "host/zebra");
        g_assert_false(file_has(folder, files[i], VALUE));
    }
    g_assert_true(seen); /* the search finds what is there */
    state_free(state);
    g_assert_false(file_has(folder, "landfall.db", VALUE));
}

static void test_audited(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    struct state *state = open_state(folder);
    set(state, "host/alpha", "password", VALUE);
    g_autoptr(GPtrArray) entries = state_audit_list(state, 0, 10, &error);
    g_assert_cmpuint(entries->len, ==, 1);
    const struct state_audit_entry *entry = g_ptr_array_index(entries, 0);
    g_assert_cmpstr(entry->action, ==, "secret.set");
    g_assert_cmpstr(entry->object, ==, "host/alpha");
    g_autofree char *detail = json_object_get_size(entry->detail) == 1
                                  ? g_strdup(json_object_get_string_member(entry->detail, "name"))
                                  : NULL;
    g_assert_cmpstr(detail, ==, "password");
    state_free(state);
}

static void test_too_long(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *data = g_malloc0(STATE_SECRET_BYTES_MAX + 1);
    struct state *state = open_state(folder);
    g_assert_true(state_secret_set(state, "root", "a", "b", data, STATE_SECRET_BYTES_MAX, &error));
    g_assert_false(
        state_secret_set(state, "root", "a", "b", data, STATE_SECRET_BYTES_MAX + 1, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    state_free(state);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secrets/what was sealed opens", test_opens);
    g_test_add_func("/secrets/no two are alike", test_no_two_are_alike);
    g_test_add_func("/secrets/A14: moved to another owner or name", test_moved);
    g_test_add_func("/secrets/A14: tampered with", test_tampered);
    g_test_add_func("/secrets/A14: another key", test_wrong_key);
    g_test_add_func("/secrets/A14: the key file", test_key_file);
    g_test_add_func("/secrets/A14: nothing in clear", test_not_in_clear);
    g_test_add_func("/secrets/the audit has the name alone", test_audited);
    g_test_add_func("/secrets/too long", test_too_long);
    return g_test_run();
}
