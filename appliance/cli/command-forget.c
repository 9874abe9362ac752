/* SPDX-License-Identifier: Apache-2.0 */

/* landfall forget: for landfalld, the end of a machine's replication. Of no use to people, who say
 * `landfall stop`. */

#include "appliance/cli/command.h"
#include "appliance/cycle/machine-forget.h"
#include "base/error.h"
#include "base/json.h"

#include <stdio.h>

static void print_result(const GPtrArray *removed)
{
    g_autoptr(JsonObject) line = json_object_new();
    JsonArray *array = json_array_new();
    json_object_set_string_member(line, "event", "result");
    for (guint i = 0; i < removed->len; i++)
        json_array_add_string_element(array, removed->pdata[i]);
    json_object_set_array_member(line, "removed", array);
    g_autofree char *text = json_object_to_text(line, FALSE);
    printf("%s\n", text);
}

int command_forget(int argc, char **argv)
{
    g_autofree char *host = NULL, *machine = NULL, *store = NULL;
    g_autofree char *scratch_dir = NULL, *socket_dir = NULL;
    gboolean as_json = FALSE, remove_replica = FALSE, abandon = FALSE;
    const GOptionEntry entries[] = {
        {"host", 0, 0, G_OPTION_ARG_STRING, &host, "libvirt URI", "URI"},
        {"machine", 0, 0, G_OPTION_ARG_STRING, &machine, "UUID of the machine", "UUID"},
        {"store", 0, 0, G_OPTION_ARG_FILENAME, &store, "Folder of the store", "FOLDER"},
        {"scratch-dir", 0, 0, G_OPTION_ARG_FILENAME, &scratch_dir, "As for cycles", "FOLDER"},
        {"socket-dir", 0, 0, G_OPTION_ARG_FILENAME, &socket_dir, "As for cycles", "FOLDER"},
        {"remove-replica", 0, 0, G_OPTION_ARG_NONE, &remove_replica, "Remove it, too", NULL},
        {"abandon", 0, 0, G_OPTION_ARG_NONE, &abandon, "Leave the host as it is", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &as_json, "Print JSON lines", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) removed = NULL;
    command_cancelled(); /* a step that has begun is ended; SIGPIPE says nothing */
    gboolean ok = command_parse(&argc, &argv, entries, NULL, "", 0, 0, &error);
    if (ok && !(host && machine && store)) {
        landfall_error_set(&error, LANDFALL_ERROR_CONFIG, NULL,
                           "--host, --machine and --store are all needed");
        ok = FALSE;
    }
    const struct machine_forget_options options = {host,       machine,        store,  scratch_dir,
                                                   socket_dir, remove_replica, abandon};
    if (!ok || !machine_forget_run(&options, &removed, &error))
        return command_failed(error, as_json);
    print_result(removed);
    return EXIT_OK;
}
