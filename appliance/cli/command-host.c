/* SPDX-License-Identifier: Apache-2.0 */

/* landfall host …: the libvirt hosts that the daemon looks after. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/password.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

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
    {"hostname", "facts.hostname", listing_cell_text, FALSE},
    {"libvirt", "facts.libvirt_version", listing_cell_text, FALSE},
    {"hypervisor", "facts.hypervisor_version", listing_cell_text, FALSE},
    {"processors", "facts.cpus", listing_cell_text, FALSE},
    {"memory", "facts.memory_bytes", listing_cell_bytes, FALSE},
    {"can replicate", "facts.replication.supported", listing_cell_text, FALSE},
    {"because", "facts.replication.why", listing_cell_text, FALSE},
    {NULL},
};

struct host_options {
    char *uri;
    char *role;
    char *password_file;
    char *ssh_key_file;
};

/* A key is a text of many lines; an empty file takes back the one that the daemon has. */
static gboolean set_ssh_key(JsonObject *body, const char *file, GError **error)
{
    g_autofree char *key = NULL;
    g_autoptr(GError) cause = NULL;
    if (!file)
        return TRUE;
    if (!g_file_get_contents(file, &key, NULL, &cause)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "cannot read the ssh key: %s",
                           cause->message);
        return FALSE;
    }
    json_object_set_string_member(body, "ssh_key", key);
    explicit_bzero(key, strlen(key));
    return TRUE;
}

static gboolean set_password(JsonObject *body, const char *file, GError **error)
{
    char *password = file ? password_read(file, NULL, error) : NULL;
    if (password)
        json_object_set_string_member(body, "password", password);
    password_free(password);
    return !file || password;
}

/* What both add and change send. */
static gboolean set_host(JsonObject *body, const struct host_options *options, GError **error)
{
    json_set_optional_string(body, "uri", options->uri);
    json_set_optional_string(body, "roles", options->role);
    return set_password(body, options->password_file, error) &&
           set_ssh_key(body, options->ssh_key_file, error);
}

static gboolean add(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) body = json_object_new();
    json_object_set_string_member(body, "name", daemon->arguments[0]);
    if (!set_host(body, daemon->options, error))
        return FALSE;
    json_object_set_string_member(body, "uri", daemon->arguments[1]);
    g_autoptr(JsonObject) answer = client_call(daemon->client, "POST", "/hosts", body, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("host %s is added; landfall machine list --host %s shows its machines\n",
               daemon->arguments[0], daemon->arguments[0]);
    return answer != NULL;
}

static gboolean change(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) body = json_object_new();
    if (!set_host(body, daemon->options, error))
        return FALSE;
    if (json_object_get_size(body) == 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "landfall host change --help shows what",
                           "give at least one thing to change");
        return FALSE;
    }
    g_autofree char *path = daemon_path("/hosts/", daemon->arguments[0], "");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "PATCH", path, body, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("host %s is changed\n", daemon->arguments[0]);
    return answer != NULL;
}

#define ENTRIES_OF_CHANGE 1 /* the first ones are not for add, which has an argument for it */

static int run(int argc, char **argv, gsize skipped, struct daemon_command command)
{
    struct host_options options = {NULL};
    const GOptionEntry entries[] = {
        {"uri", 0, 0, G_OPTION_ARG_STRING, &options.uri, "Another libvirt URI", "URI"},
        {"role", 0, 0, G_OPTION_ARG_STRING, &options.role, "source, target or both (at first)",
         "ROLE"},
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &options.password_file,
         "A password that libvirt asks for is the first line of this file", "FILE"},
        {"ssh-key-file", 0, 0, G_OPTION_ARG_FILENAME, &options.ssh_key_file,
         "The private key for qemu+ssh:// is in this file; the daemon keeps a copy", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    command.entries = entries + skipped;
    command.options = &options;
    return daemon_command_run(argc, argv, &command);
}

int command_host_add(int argc, char **argv)
{
    return run(argc, argv, ENTRIES_OF_CHANGE,
               (struct daemon_command){
                   .parameters = "NAME URI - add a libvirt host",
                   .minimum = 2,
                   .maximum = 2,
                   .work = add,
               });
}

int command_host_change(int argc, char **argv)
{
    return run(argc, argv, 0,
               (struct daemon_command){
                   .parameters = "NAME - change how a host is reached",
                   .minimum = 1,
                   .maximum = 1,
                   .work = change,
               });
}

static gboolean list(struct daemon *daemon, GError **error)
{
    return daemon_list(daemon, "/hosts", host_columns, error);
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
    return daemon_command_on_one(argc, argv, "NAME - show what is known of a host", NULL, NULL,
                                 show);
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
    return daemon_command_on_one(argc, argv, "NAME - forget a host", NULL, NULL, remove_host);
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
    return daemon_command_on_one(argc, argv, "NAME - look at a host now", NULL, NULL, refresh);
}
