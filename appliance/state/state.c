/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/state.h"
#include "appliance/state/database.h"
#include "appliance/state/seal-key.h"
#include "base/error.h"
#include "replicator/store.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_CHARACTERS_MAX 63u
#define BUSY_TIMEOUT_MS 5000

/* Full: a commit that was answered is there after a power cut. */
#define PRAGMAS                                                                                    \
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "             \
    "PRAGMA secure_delete = ON;"

/* A folder that was there is taken as it is or refused: it may be somebody's by mistake. */
static gboolean make_folder(const char *folder, GError **error)
{
    struct stat status;
    if ((mkdir(folder, 0700) < 0 && errno != EEXIST) || stat(folder, &status) < 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno,
                                 "name another by --state-dir, or make the folder above it first",
                                 "cannot use %s as state folder", folder);
        return FALSE;
    }
    if (S_ISDIR(status.st_mode) && (status.st_mode & 077) == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "name another by --state-dir, or close this one to others: chmod 700",
                       "cannot use %s as state folder: %s", folder,
                       S_ISDIR(status.st_mode) ? "others may look into it" : "it is no folder");
    return FALSE;
}

static gboolean open_database(struct state *state, const char *path, GError **error)
{
    int code = sqlite3_open_v2(path, &state->database,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                   SQLITE_OPEN_EXRESCODE,
                               NULL);
    g_autofree char *doing = g_strdup_printf("open %s", path);
    if (code != SQLITE_OK)
        return database_failed(state->database, code, doing, error);
    sqlite3_busy_timeout(state->database, BUSY_TIMEOUT_MS);
    return database_run(state->database, PRAGMAS, doing, error) &&
           database_migrate(state->database, error);
}

struct state *state_open(const char *folder, const char *key_file, GError **error)
{
    struct state *state = g_new0(struct state, 1);
    g_autofree char *lock_path = g_build_filename(folder, "landfalld.lock", NULL);
    g_autofree char *path = g_build_filename(folder, "landfall.db", NULL);
    g_autofree char *own_key = g_build_filename(folder, "key", NULL);
    gboolean fresh = !g_file_test(path, G_FILE_TEST_EXISTS);
    state->owner = g_thread_self();
    state->statements = statement_cache_new();
    if (make_folder(folder, error) && (state->lock = store_lock_take(lock_path, 0, error)) &&
        seal_key_load(key_file ? key_file : own_key, fresh, state->key, error) &&
        open_database(state, path, error))
        return state;
    state_free(state);
    return NULL;
}

void state_free(struct state *state)
{
    if (!state)
        return;
    g_hash_table_destroy(state->statements);
    int code = sqlite3_close(state->database);
    g_assert(code == SQLITE_OK); /* every statement was done */
    OPENSSL_cleanse(state->key, sizeof state->key);
    store_lock_free(state->lock);
    g_free(state);
}

/* Depth 1 is the transaction, and deeper ones are savepoints in it. */
gboolean state_begin(struct state *state, GError **error)
{
    g_autofree char *sql = state->depth == 0 ? g_strdup("BEGIN IMMEDIATE")
                                             : g_strdup_printf("SAVEPOINT depth_%u", state->depth);
    if (!database_in_change(state, error) ||
        !database_run(state->database, sql, "begin a change of landfalld's database", error))
        return FALSE;
    state->depth++;
    return TRUE;
}

static gboolean take_back(struct state *state)
{
    g_autofree char *sql = g_strdup("ROLLBACK");
    if (state->depth > 0) {
        g_free(sql);
        sql = g_strdup_printf("ROLLBACK TO depth_%u; RELEASE depth_%u", state->depth, state->depth);
    }
    /* A full disk has ended the transaction already. */
    if (!sqlite3_get_autocommit(state->database))
        database_run(state->database, sql, "take back", NULL);
    return FALSE;
}

gboolean state_end(struct state *state, gboolean ok, GError **error)
{
    g_assert(state->depth > 0);
    state->depth--;
    if (!ok)
        return take_back(state);
    g_autofree char *sql =
        state->depth == 0 ? g_strdup("COMMIT") : g_strdup_printf("RELEASE depth_%u", state->depth);
    return database_run(state->database, sql, "save a change in landfalld's database", error) ||
           take_back(state);
}

gint64 state_now_us(void)
{
    return g_get_real_time();
}

gboolean state_check_name(const char *what, const char *text, GError **error)
{
    gsize length = strlen(text);
    gboolean ok = length >= 1 && length <= NAME_CHARACTERS_MAX &&
                  strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length &&
                  g_ascii_isalnum(text[0]);
    if (!ok)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "use a to z, 0 to 9, '.', '_' and '-', at most 63 of them, and begin "
                           "with a letter or digit",
                           "'%.64s' is no name for a %s", text, what);
    return ok;
}
