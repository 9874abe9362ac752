/* SPDX-License-Identifier: Apache-2.0 */

/* landfall setting …: how the daemon itself behaves. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/text.h"

#include <stdio.h>
#include <string.h>

static void print_settings(JsonObject *settings)
{
    static const char *const titles[] = {"setting", "value", NULL};
    static const gboolean right[] = {FALSE, FALSE};
    struct text_table *table = text_table_new(titles, right);
    g_autoptr(GList) names = g_list_sort(json_object_get_members(settings), (GCompareFunc)strcmp);
    for (const GList *name = names; name; name = name->next) {
        g_autofree char *value = listing_cell_text(settings, name->data);
        const char *cells[] = {name->data, value && *value ? value : "-", NULL};
        text_table_row(table, cells);
    }
    text_table_print(table);
}

static gboolean list(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) settings = client_call(daemon->client, "GET", "/settings", NULL, error);
    if (settings && !daemon_printed(daemon, settings))
        print_settings(settings);
    return settings != NULL;
}

int command_setting_list(int argc, char **argv)
{
    return daemon_command_run(
        argc, argv,
        &(struct daemon_command){.parameters = "- list the daemon's settings", .work = list});
}

/* A value that is JSON is what it is: 4, true, ["Mon-Fri 08:00-18:00"]; anything else is text. */
static gboolean set(struct daemon *daemon, GError **error)
{
    g_autoptr(JsonObject) body = json_object_new();
    g_autoptr(JsonNode) value = json_from_string(daemon->arguments[1], NULL);
    if (!value) {
        value = json_node_alloc();
        json_node_init_string(value, daemon->arguments[1]);
    }
    json_object_set_member(body, daemon->arguments[0], g_steal_pointer(&value));
    g_autoptr(JsonObject) settings = client_call(daemon->client, "PATCH", "/settings", body, error);
    if (settings && !daemon_printed(daemon, settings))
        printf("%s is set\n", daemon->arguments[0]);
    return settings != NULL;
}

int command_setting_set(int argc, char **argv)
{
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .parameters = "NAME VALUE - change a setting of the daemon",
                                  .minimum = 2,
                                  .maximum = 2,
                                  .work = set,
                              });
}
