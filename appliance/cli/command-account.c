/* SPDX-License-Identifier: Apache-2.0 */

/* landfall account …: who may sign in with a name and a password. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/password.h"
#include "base/json.h"

#include <stdio.h>

static const struct listing_column account_columns[] = {
    {"name", "name", listing_cell_text, FALSE},
    {"role", "role", listing_cell_text, FALSE},
    {"added", "created_at", listing_cell_time, FALSE},
    {"password of", "password_set_at", listing_cell_time, FALSE},
    {"last used", "used_at", listing_cell_time, FALSE},
    {NULL},
};

struct account_options {
    char *role;
    char *password_file;
};

static gboolean list(struct daemon *daemon, GError **error)
{
    return daemon_list(daemon, "/accounts", account_columns, error);
}

int command_account_list(int argc, char **argv)
{
    return daemon_command_run(
        argc, argv, &(struct daemon_command){.parameters = "- list the accounts", .work = list});
}

/* A body with the password, which is asked for; NULL: there is none. */
static JsonObject *with_password(const struct account_options *options, GError **error)
{
    char *password = password_read(options->password_file, "password: ", error);
    JsonObject *body = password ? json_object_new() : NULL;
    if (body)
        json_object_set_string_member(body, "password", password);
    password_free(password);
    return body;
}

static gboolean add(struct daemon *daemon, GError **error)
{
    const struct account_options *options = daemon->options;
    g_autoptr(JsonObject) body = with_password(options, error);
    if (!body)
        return FALSE;
    json_object_set_string_member(body, "name", daemon->arguments[0]);
    json_set_optional_string(body, "role", options->role);
    g_autoptr(JsonObject) answer = client_call(daemon->client, "POST", "/accounts", body, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("account %s is added\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_account_add(int argc, char **argv)
{
    struct account_options options = {NULL};
    const GOptionEntry entries[] = {
        {"role", 0, 0, G_OPTION_ARG_STRING, &options.role, "viewer (default) or operator", "ROLE"},
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &options.password_file,
         "The password is the first line of this file; - is standard input", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "NAME - add an account", entries, &options, add);
}

static gboolean set_password(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) body = with_password(daemon->options, error);
    g_autofree char *path = daemon_path("/accounts/", daemon->arguments[0], "");
    g_autoptr(JsonObject) answer =
        body ? client_call(daemon->client, "PATCH", path, body, error) : NULL;
    if (answer && !daemon_printed(daemon, answer))
        printf("account %s has a new password, and its sessions are over\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_account_password(int argc, char **argv)
{
    struct account_options options = {NULL};
    const GOptionEntry entries[] = {
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &options.password_file,
         "The password is the first line of this file; - is standard input", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "NAME - give an account another password", entries,
                                 &options, set_password);
}

static gboolean remove_account(struct daemon *daemon, GError **error)
{
    g_autofree char *path = daemon_path("/accounts/", daemon->arguments[0], "");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "DELETE", path, NULL, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("account %s is removed\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_account_remove(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "NAME - remove an account", NULL, NULL,
                                 remove_account);
}
