/* SPDX-License-Identifier: Apache-2.0 */

/* Fills the state of a daemon that does not run, and looks into that of one that does:
 *
 *   state-tool FOLDER host NAME URI | store NAME PATH | machine HOST UUID NAME
 *              | replicate MACHINE JSON | setting JSON | query SQL
 */

#include "appliance/state/hosts.h"
#include "appliance/state/machines.h"
#include "appliance/state/replications.h"
#include "appliance/state/settings.h"
#include "appliance/state/stores.h"
#include "base/error.h"
#include "base/json.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(gboolean ok, const GError *error)
{
    if (ok)
        return;
    fprintf(stderr, "state-tool: %s\n", error ? error->message : "wrong arguments");
    exit(1);
}

static JsonObject *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    JsonObject *object =
        json_parse_object(text, strlen(text), "argument", LANDFALL_ERROR_CONFIG, &error);
    check(object != NULL, error);
    return object;
}

static gboolean add_machine(struct state *state, char **words, GError **error)
{
    gboolean fresh;
    struct state_machine machine = {.host = words[0],
                                    .uuid = words[1],
                                    .name = words[2],
                                    .power = (char *)"running",
                                    .seen_us = state_now_us()};
    if (!state_machine_found(state, &machine, &fresh, error))
        return FALSE;
    printf("%" G_GINT64_FORMAT "\n", machine.id);
    return TRUE;
}

/* As the scheduler would have it after somebody asked for it, due at once. */
static gboolean replicate(struct state *state, char **words, GError **error)
{
    g_autoptr(JsonObject) settings = parse(words[1]);
    const char *store = "main";
    guint64 interval_s = 60, retain = 3;
    struct state_replication *replication = state_replication_new();
    if (!json_optional_string(settings, "store", LANDFALL_ERROR_CONFIG, &store, error) ||
        !json_optional_uint(settings, "interval_s", LANDFALL_ERROR_CONFIG, &interval_s, error) ||
        !json_optional_uint(settings, "retain", LANDFALL_ERROR_CONFIG, &retain, error))
        return FALSE;
    replication->machine = g_ascii_strtoll(words[0], NULL, 10);
    replication->store = g_strdup(store);
    replication->state = g_strdup("initial-replication");
    replication->interval_s = (gint64)interval_s;
    replication->retain = (gint64)retain;
    replication->next_due_us = state_now_us();
    gboolean ok = state_replication_add(state, "test", replication, NULL, error);
    state_replication_free(replication);
    return ok;
}

static void query(const char *folder, const char *sql)
{
    g_autofree char *path = g_build_filename(folder, "landfall.db", NULL);
    sqlite3 *database;
    sqlite3_stmt *statement;
    check(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK, NULL);
    sqlite3_busy_timeout(database, 5000);
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK) {
        fprintf(stderr, "state-tool: %s\n", sqlite3_errmsg(database));
        exit(1);
    }
    while (sqlite3_step(statement) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            printf("%s%s", text ? text : "-",
                   i + 1 < sqlite3_column_count(statement) ? "\t" : "\n");
        }
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

static gboolean change(struct state *state, const char *verb, char **words, GError **error)
{
    guint count = g_strv_length(words);
    if (strcmp(verb, "host") == 0 && count == 2)
        return state_host_add(state, "test", words[0], words[1], "source", error);
    if (strcmp(verb, "store") == 0 && count == 2)
        return state_store_add(state, "test", words[0], words[1], error);
    if (strcmp(verb, "machine") == 0 && count == 3)
        return add_machine(state, words, error);
    if (strcmp(verb, "replicate") == 0 && count == 2)
        return replicate(state, words, error);
    if (strcmp(verb, "setting") == 0 && count == 1) {
        g_autoptr(JsonObject) changes = parse(words[0]);
        return state_setting_change(state, "test", changes, error);
    }
    return FALSE;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    check(argc >= 4, NULL);
    if (strcmp(argv[2], "query") == 0) {
        query(argv[1], argv[3]);
        return 0;
    }
    struct state *state = state_open(argv[1], NULL, &error);
    check(state != NULL, error);
    check(change(state, argv[2], argv + 3, &error), error);
    state_free(state);
    return 0;
}
