/* SPDX-License-Identifier: Apache-2.0 */

/* landfall store add and remove, and the list of the daemon's stores: which folders hold replicas.
 */

#include "appliance/cli/command.h"
#include "appliance/cli/connection.h"
#include "appliance/cli/daemon-command.h"

#include <stdio.h>

static const struct listing_column store_columns[] = {
    {"name", "name", listing_cell_text, FALSE},
    {"kind", "kind", listing_cell_text, FALSE},
    {"path", "path", listing_cell_text, FALSE},
    {"machines", "machines", listing_cell_text, TRUE},
    {"free", "free_bytes", listing_cell_bytes, TRUE},
    {"size", "size_bytes", listing_cell_bytes, TRUE},
    {"problem", "error", listing_cell_problem, FALSE},
    {NULL},
};

gboolean store_list_of_daemon(gboolean as_json, GError **error)
{
    struct daemon daemon = {.client = connection_open(error), .as_json = as_json};
    gboolean ok = daemon.client && daemon_list(&daemon, "/stores", store_columns, error);
    client_free(daemon.client);
    return ok;
}

/* A path is that of the one who types it; the daemon's working folder is another. */
static gboolean add(struct daemon *daemon, GError **error)
{
    g_autofree char *folder = g_canonicalize_filename(daemon->arguments[1], NULL);
    g_autoptr(JsonObject) body = json_object_new();
    json_object_set_string_member(body, "name", daemon->arguments[0]);
    json_object_set_string_member(body, "path", folder);
    g_autoptr(JsonObject) answer = client_call(daemon->client, "POST", "/stores", body, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("store %s is %s\n", daemon->arguments[0], folder);
    return answer != NULL;
}

int command_store_add(int argc, char **argv)
{
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .parameters = "NAME FOLDER - let the daemon keep replicas there",
                                  .minimum = 2,
                                  .maximum = 2,
                                  .work = add,
                              });
}

static gboolean remove_store(struct daemon *daemon, GError **error)
{
    g_autofree char *path = daemon_path("/stores/", daemon->arguments[0], "");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "DELETE", path, NULL, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("store %s is forgotten; its folder is as it was\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_store_remove(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "NAME - forget a store, and leave its folder alone",
                                 NULL, NULL, remove_store);
}
