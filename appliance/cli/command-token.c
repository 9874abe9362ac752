/* SPDX-License-Identifier: Apache-2.0 */

/* landfall token …: what programs and other machines show to the API. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/quantity.h"
#include "base/json.h"

#include <stdio.h>

static const struct listing_column token_columns[] = {
    {"id", "id", listing_cell_text, TRUE},
    {"name", "name", listing_cell_text, FALSE},
    {"role", "role", listing_cell_text, FALSE},
    {"added", "created_at", listing_cell_time, FALSE},
    {"by", "created_by", listing_cell_text, FALSE},
    {"expires", "expires_at", listing_cell_time, FALSE},
    {"last used", "used_at", listing_cell_time, FALSE},
    {NULL},
};

struct token_options {
    char *role;
    char *expires;
};

static gboolean list(struct daemon *daemon, GError **error)
{
    return daemon_list(daemon, "/tokens", token_columns, error);
}

int command_token_list(int argc, char **argv)
{
    return daemon_command_run(
        argc, argv, &(struct daemon_command){.parameters = "- list the tokens", .work = list});
}

/* The token is the one line on standard output, so that it can go into a file. */
static gboolean add(struct daemon *daemon, GError **error)
{
    const struct token_options *options = daemon->options;
    guint64 seconds = 0;
    g_autoptr(JsonObject) body = json_object_new();
    if (options->expires && !quantity_parse_duration(options->expires, &seconds, error)) {
        g_prefix_error(error, "--expires: ");
        return FALSE;
    }
    json_object_set_string_member(body, "name", daemon->arguments[0]);
    json_set_optional_string(body, "role", options->role);
    if (options->expires)
        json_object_set_int_member(body, "expires_s", (gint64)seconds);
    g_autoptr(JsonObject) answer = client_call(daemon->client, "POST", "/tokens", body, error);
    if (!answer || daemon_printed(daemon, answer))
        return answer != NULL;
    const char *token = listing_string(answer, "token");
    printf("%s\n", token ? token : "");
    fprintf(stderr, "this is shown once: keep it in a file that nobody else can read\n");
    return TRUE;
}

int command_token_add(int argc, char **argv)
{
    struct token_options options = {NULL};
    const GOptionEntry entries[] = {
        {"role", 0, 0, G_OPTION_ARG_STRING, &options.role, "viewer (default) or operator", "ROLE"},
        {"expires", 0, 0, G_OPTION_ARG_STRING, &options.expires,
         "It is valid for so long, as in 90d (default: until it is removed)", "DURATION"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "NAME - make a token and print it", entries, &options,
                                 add);
}

static gboolean remove_token(struct daemon *daemon, GError **error)
{
    if (!daemon_check_number(daemon->arguments[0], "a token", error))
        return FALSE;
    g_autofree char *path = daemon_path("/tokens/", daemon->arguments[0], "");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "DELETE", path, NULL, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("token %s is removed\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_token_remove(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "ID - remove a token, which is of no use any more",
                                 NULL, NULL, remove_token);
}
