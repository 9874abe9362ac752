/* SPDX-License-Identifier: Apache-2.0 */

/* landfall host …: the libvirt hosts that the daemon looks after. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "base/json.h"

#include <stdio.h>

static const struct listing_column host_columns[] = {
    {"name", "name", listing_cell_text, FALSE},
    {"uri", "uri", listing_cell_text, FALSE},
    {"status", "status", listing_cell_text, FALSE},
    {"machines", "machines", listing_cell_text, TRUE},
    {"seen", "seen_at", listing_cell_ago, TRUE},
    {"problem", "status_detail", listing_cell_problem, FALSE},
    {NULL},
};

static const struct listing_column host_details[] = {
    {"name", "name", listing_cell_text, FALSE},
    {"uri", "uri", listing_cell_text, FALSE},
    {"role", "roles", listing_cell_text, FALSE},
    {"status", "status", listing_cell_text, FALSE},
    {"problem", "status_detail", listing_cell_problem, FALSE},
    {"hint", "hint", listing_cell_text, FALSE},
    {"machines", "machines", listing_cell_text, FALSE},
    {"added", "added_at", listing_cell_time, FALSE},
    {"seen", "seen_at", listing_cell_time, FALSE},
    {"facts", "facts", listing_cell_text, FALSE},
    {NULL},
};

struct host_options {
    char *role;
};

static gboolean add(struct daemon *daemon, GError **error)
{
    const struct host_options *options = daemon->options;
    g_autoptr(JsonObject) body = json_object_new();
    json_object_set_string_member(body, "name", daemon->arguments[0]);
    json_object_set_string_member(body, "uri", daemon->arguments[1]);
    json_set_optional_string(body, "roles", options->role);
    g_autoptr(JsonObject) answer = client_call(daemon->client, "POST", "/hosts", body, error);
    if (!answer)
        return FALSE;
    if (!daemon_printed(daemon, answer))
        printf("host %s is added; landfall machine list --host %s shows its machines\n",
               daemon->arguments[0], daemon->arguments[0]);
    return TRUE;
}

int command_host_add(int argc, char **argv)
{
    struct host_options options = {NULL};
    const GOptionEntry entries[] = {
        {"role", 0, 0, G_OPTION_ARG_STRING, &options.role, "source, target or both (default)",
         "ROLE"},
        G_OPTION_ENTRY_NULL,
    };
    int status = daemon_command_run(argc, argv,
                                    &(struct daemon_command){
                                        .entries = entries,
                                        .parameters = "NAME URI - add a libvirt host",
                                        .minimum = 2,
                                        .maximum = 2,
                                        .options = &options,
                                        .work = add,
                                    });
    g_free(options.role);
    return status;
}

static gboolean list(struct daemon *daemon, GError **error)
{
    return daemon_list(daemon, "/hosts", 0, host_columns, error);
}

int command_host_list(int argc, char **argv)
{
    return daemon_command_run(
        argc, argv, &(struct daemon_command){.parameters = "- list the hosts", .work = list});
}

static gboolean show(struct daemon *daemon, GError **error)
{
    g_autofree char *path = daemon_path("/hosts/", daemon->arguments[0], "");
    return daemon_show(daemon, path, host_details, error);
}

int command_host_show(int argc, char **argv)
{
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .parameters = "NAME - show what is known of a host",
                                  .minimum = 1,
                                  .maximum = 1,
                                  .work = show,
                              });
}

static gboolean remove_host(struct daemon *daemon, GError **error)
{
    g_autofree char *path = daemon_path("/hosts/", daemon->arguments[0], "");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "DELETE", path, NULL, error);
    if (!answer)
        return FALSE;
    if (!daemon_printed(daemon, answer))
        printf("host %s is removed\n", daemon->arguments[0]);
    return TRUE;
}

int command_host_remove(int argc, char **argv)
{
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .parameters = "NAME - forget a host",
                                  .minimum = 1,
                                  .maximum = 1,
                                  .work = remove_host,
                              });
}

static gboolean refresh(struct daemon *daemon, GError **error)
{
    g_autofree char *path = daemon_path("/hosts/", daemon->arguments[0], "/refresh");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "POST", path, NULL, error);
    if (!answer)
        return FALSE;
    if (!daemon_printed(daemon, answer))
        printf("host %s is being looked at\n", daemon->arguments[0]);
    return TRUE;
}

int command_host_refresh(int argc, char **argv)
{
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .parameters = "NAME - look at a host now",
                                  .minimum = 1,
                                  .maximum = 1,
                                  .work = refresh,
                              });
}
