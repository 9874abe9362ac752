/* SPDX-License-Identifier: Apache-2.0 */

/* The schema's version is PRAGMA user_version, the number of the last step that was made. Each step
 * is one transaction that sets it, so that a crash is before or after a step. */

#include "appliance/state/database.h"
#include "base/error.h"

#include <gio/gio.h>
#include <string.h>

#define FOLDER "/landfall/state/migrations/"

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gboolean read_version(sqlite3 *database, unsigned *ret_version, GError **error)
{
    sqlite3_stmt *query = NULL;
    int code = sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &query, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(query);
    if (code == SQLITE_ROW)
        *ret_version = (unsigned)sqlite3_column_int(query, 0);
    sqlite3_finalize(query);
    return code == SQLITE_ROW ||
           database_failed(database, code, "read the version of landfalld's database", error);
}

/* Foreign keys are looked at when the step ends, so that it may build a table anew. */
static gboolean make_step(sqlite3 *database, const char *name, unsigned version, GError **error)
{
    g_autofree char *path = g_strconcat(FOLDER, name, NULL);
    g_autofree char *doing = g_strdup_printf("bring landfalld's database to %s", name);
    g_autoptr(GBytes) step = g_resources_lookup_data(path, G_RESOURCE_LOOKUP_FLAGS_NONE, error);
    if (!step)
        return FALSE;
    g_autofree char *sql = g_strdup_printf(
        "BEGIN IMMEDIATE; PRAGMA defer_foreign_keys = ON;\n%.*s\n"
        "PRAGMA user_version = %u; COMMIT;",
        (int)g_bytes_get_size(step), (const char *)g_bytes_get_data(step, NULL), version);
    if (database_run(database, sql, doing, error))
        return TRUE;
    if (!sqlite3_get_autocommit(database))
        database_run(database, "ROLLBACK", doing, NULL);
    return FALSE;
}

gboolean database_migrate(sqlite3 *database, GError **error)
{
    unsigned version = 0;
    g_auto(GStrv) names =
        g_resources_enumerate_children(FOLDER, G_RESOURCE_LOOKUP_FLAGS_NONE, error);
    if (!names || !read_version(database, &version, error))
        return FALSE;
    unsigned newest = g_strv_length(names);
    qsort(names, newest, sizeof names[0], by_name);
    if (version > newest) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "install the newer landfalld again, or restore the state folder as it "
                           "was before",
                           "landfalld's database is of version %u, and this program knows %u",
                           version, newest);
        return FALSE;
    }
    for (unsigned step = version; step < newest; step++)
        if (!make_step(database, names[step], step + 1, error))
            return FALSE;
    return TRUE;
}
