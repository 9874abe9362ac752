/* SPDX-License-Identifier: Apache-2.0 */

/* landfall target …: hosts that machines may be moved to, and what becomes of their networks, disks
 * and settings there. */

#include "appliance/cli/body.h"
#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* "br0=default, br1=lab", of an object. */
static char *cell_pairs(JsonObject *row, const char *path)
{
    JsonNode *node = listing_node(row, path);
    JsonObject *pairs = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    g_autoptr(GList) names = pairs ? json_object_get_members(pairs) : NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    for (const GList *name = names; name; name = name->next) {
        g_autofree char *value = listing_cell_text(pairs, name->data);
        g_string_append_printf(text, "%s%s=%s", text->len ? ", " : "", (const char *)name->data,
                               value ? value : "-");
    }
    return g_strdup(text->str);
}

static char *cell_mebibytes(JsonObject *row, const char *path)
{
    gint64 count = listing_int(row, path);
    return count ? g_strdup_printf("%" G_GINT64_FORMAT " MiB", count) : NULL;
}

static const struct listing_column target_columns[] = {
    {"host", "host", listing_cell_text, FALSE},
    {"reaches the store", "reach", listing_cell_text, FALSE},
    {"store path", "store_path", listing_cell_text, FALSE},
    {"pool", "pool", listing_cell_text, FALSE},
    {"networks", "networks", cell_pairs, FALSE},
    {"test network", "test_network", listing_cell_text, FALSE},
    {NULL},
};

static const struct listing_column target_details[] = {
    {"host", "host", listing_cell_text, FALSE},
    {"reaches the store", "reach", listing_cell_text, FALSE},
    {"store path", "store_path", listing_cell_text, FALSE},
    {"pool", "pool", listing_cell_text, FALSE},
    {"networks", "networks", cell_pairs, FALSE},
    {"test network", "test_network", listing_cell_text, FALSE},
    {"name suffix", "machine.name_suffix", listing_cell_text, FALSE},
    {"processors", "machine.cpus", listing_cell_text, FALSE},
    {"memory", "machine.memory_mib", cell_mebibytes, FALSE},
    {"firmware", "machine.firmware", listing_cell_text, FALSE},
    {"machine type", "machine.machine_type", listing_cell_text, FALSE},
    {"processor model", "machine.cpu_model", listing_cell_text, FALSE},
    {"video", "machine.video", listing_cell_text, FALSE},
    {"set", "updated_at", listing_cell_time, FALSE},
    {NULL},
};

/* --- list, show, remove -------------------------------------------------------------------------
 */

static gboolean list(struct daemon *daemon, GError **error)
{
    return daemon_list(daemon, "/targets", target_columns, error);
}

int command_target_list(int argc, char **argv)
{
    return daemon_command_run(
        argc, argv, &(struct daemon_command){.parameters = "- list the targets", .work = list});
}

static gboolean show(struct daemon *daemon, GError **error)
{
    g_autofree char *path = daemon_path("/targets/", daemon->arguments[0], "");
    return daemon_show(daemon, path, target_details, error);
}

int command_target_show(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "HOST - show how machines are moved there", NULL, NULL,
                                 show);
}

static gboolean remove_target(struct daemon *daemon, GError **error)
{
    g_autofree char *path = daemon_path("/targets/", daemon->arguments[0], "");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "DELETE", path, NULL, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("host %s is no target any more\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_target_remove(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "HOST - move no machine there any more", NULL, NULL,
                                 remove_target);
}

/* --- set ----------------------------------------------------------------------------------------
 */

/* As they were written; NULL: not given. */
struct target_options {
    char **networks;
    char *reach, *store_path, *pool, *test_network;
    char *name_suffix, *cpus, *memory, *firmware, *machine_type, *cpu_model, *video;
};

/* "none" takes back what was set. */
static void set_or_remove(JsonObject *object, const struct body_text *texts, gsize count)
{
    body_set_texts(object, texts, count);
    for (gsize i = 0; i < count; i++)
        if (g_strcmp0(texts[i].text, "none") == 0)
            json_object_remove_member(object, texts[i].member);
}

/* NULL for what is taken back, which set_or_remove has done. */
static const char *unless_none(const char *text)
{
    return g_strcmp0(text, "none") == 0 ? NULL : text;
}

static gboolean set_machine(JsonObject *target, const struct target_options *options,
                            GError **error)
{
    const struct body_text texts[] = {
        {"name_suffix", options->name_suffix},
        {"firmware", options->firmware},
        {"machine_type", options->machine_type},
        {"cpu_model", options->cpu_model},
        {"video", options->video},
        {"cpus", options->cpus},
        {"memory_mib", options->memory},
    };
    if (!json_object_has_member(target, "machine"))
        json_object_set_object_member(target, "machine", json_object_new());
    JsonObject *machine = json_object_get_object_member(target, "machine");
    set_or_remove(machine, texts, G_N_ELEMENTS(texts));
    return body_set_number(machine, "cpus", "cpus", unless_none(options->cpus), 1, NULL, error) &&
           body_set_mebibytes(machine, "memory", "memory_mib", unless_none(options->memory), error);
}

/* The target as it is, without what only answers have; empty when the host is none yet. */
static JsonObject *target_so_far(struct daemon *daemon, const char *path, GError **error)
{
    g_autoptr(GError) none = NULL;
    g_autoptr(JsonObject) target = client_call(daemon->client, "GET", path, NULL, &none);
    if (!target && g_error_matches(none, LANDFALL_ERROR, LANDFALL_ERROR_MISSING))
        return json_object_new();
    if (!target) {
        g_propagate_error(error, g_steal_pointer(&none));
        return NULL;
    }
    json_object_remove_member(target, "host");
    json_object_remove_member(target, "updated_at");
    return g_steal_pointer(&target);
}

/* Options that are not given leave what was set: a PUT needs all of it. */
static gboolean set(struct daemon *daemon, GError **error)
{
    const struct target_options *options = daemon->options;
    const struct body_text texts[] = {
        {"reach", options->reach},
        {"store_path", options->store_path},
        {"pool", options->pool},
        {"test_network", options->test_network},
    };
    g_autofree char *path = daemon_path("/targets/", daemon->arguments[0], "");
    g_autoptr(JsonObject) body = target_so_far(daemon, path, error);
    if (body && (options->pool || options->store_path))
        json_object_remove_member(body, "reach"); /* follows from them, unless it is given */
    if (!body || !body_set_pairs(body, "network", "networks", options->networks, error) ||
        !set_machine(body, options, error))
        return FALSE;
    set_or_remove(body, texts, G_N_ELEMENTS(texts));
    g_autoptr(JsonObject) answer = client_call(daemon->client, "PUT", path, body, error);
    if (answer && !daemon_printed(daemon, answer))
        printf("host %s is a target; landfall target show %s tells how machines are moved there\n",
               daemon->arguments[0], daemon->arguments[0]);
    return answer != NULL;
}

int command_target_set(int argc, char **argv)
{
    struct target_options options = {NULL};
    const GOptionEntry entries[] = {
        {"network", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.networks,
         "A network or bridge of sources, and the one it becomes; may be given many times; none",
         "A=B"},
        {"test-network", 0, 0, G_OPTION_ARG_STRING, &options.test_network,
         "The network of tests (default: an isolated one, made for each)", "NAME"},
        {"store-path", 0, 0, G_OPTION_ARG_STRING, &options.store_path,
         "Where the store's folder is seen there (default: where it is here)", "DIR"},
        {"pool", 0, 0, G_OPTION_ARG_STRING, &options.pool,
         "The storage pool that gets the disks of a machine that moves there", "POOL"},
        {"reach", 0, 0, G_OPTION_ARG_STRING, &options.reach,
         "path: the store's folder is visible there; nbd: blocks are sent there", "HOW"},
        {"name-suffix", 0, 0, G_OPTION_ARG_STRING, &options.name_suffix,
         "What is added to the names of machines", "TEXT"},
        {"cpus", 0, 0, G_OPTION_ARG_STRING, &options.cpus, "Processors of machines", "N"},
        {"memory", 0, 0, G_OPTION_ARG_STRING, &options.memory, "Memory of machines: 4G", "BYTES"},
        {"firmware", 0, 0, G_OPTION_ARG_STRING, &options.firmware, "bios or efi", "WORD"},
        {"machine-type", 0, 0, G_OPTION_ARG_STRING, &options.machine_type,
         "Machine type, as the hypervisor calls it", "TYPE"},
        {"cpu-model", 0, 0, G_OPTION_ARG_STRING, &options.cpu_model,
         "Processor model, as libvirt calls it", "MODEL"},
        {"video", 0, 0, G_OPTION_ARG_STRING, &options.video, "Video device: virtio, vga", "MODEL"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_on_one(argc, argv, "HOST - say how machines are moved to a host", entries,
                                 &options, set);
}
