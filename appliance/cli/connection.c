/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/connection.h"

/* Of the process: one command line. */
static struct {
    char *socket;
    char *url;
    char *token_file;
    char *ca_file;
    char *pin;
} given;

GOptionGroup *connection_options(void)
{
    const GOptionEntry entries[] = {
        {"socket", 0, 0, G_OPTION_ARG_FILENAME, &given.socket,
         "Socket of the daemon on this machine (LANDFALL_SOCKET; " CLIENT_SOCKET_DEFAULT ")",
         "PATH"},
        {"url", 0, 0, G_OPTION_ARG_STRING, &given.url, "A daemon elsewhere (LANDFALL_URL)",
         "https://HOST:PORT"},
        {"token-file", 0, 0, G_OPTION_ARG_FILENAME, &given.token_file,
         "With --url: the token is in this file (LANDFALL_TOKEN_FILE)", "FILE"},
        {"ca-file", 0, 0, G_OPTION_ARG_FILENAME, &given.ca_file,
         "With --url: who vouches for its certificate (LANDFALL_CA_FILE; those of the system)",
         "FILE"},
        {"pin", 0, 0, G_OPTION_ARG_STRING, &given.pin,
         "With --url: hash of its certificate's public key (LANDFALL_PIN)", "sha256//BASE64"},
        G_OPTION_ENTRY_NULL,
    };
    GOptionGroup *group = g_option_group_new(
        "connection", "Which daemon:", "Show options for which daemon to ask", NULL, NULL);
    g_option_group_add_entries(group, entries);
    return group;
}

/* An empty variable is as good as none. */
static const char *either(const char *option, const char *variable)
{
    const char *value = option ? option : g_getenv(variable);
    return value && *value ? value : NULL;
}

struct client *connection_open(GError **error)
{
    if (given.socket && given.url) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "give --socket or --url, not both");
        return NULL;
    }
    const char *socket = either(given.socket, "LANDFALL_SOCKET");
    struct client_options options = {
        .socket = socket ? socket : CLIENT_SOCKET_DEFAULT,
        .url = given.socket ? NULL : either(given.url, "LANDFALL_URL"),
        .token_file = either(given.token_file, "LANDFALL_TOKEN_FILE"),
        .ca_file = either(given.ca_file, "LANDFALL_CA_FILE"),
        .pin = either(given.pin, "LANDFALL_PIN"),
    };
    return client_new(&options, error);
}
