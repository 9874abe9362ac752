/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/test-options.h"
#include "appliance/cli/body.h"

GOptionEntry *test_options_entries(struct test_options *options, const GOptionEntry *more)
{
    const GOptionEntry entries[] = {
        {"target", 0, 0, G_OPTION_ARG_STRING, &options->target,
         "The host that it starts on (default: the only target)", "HOST"},
        {"network", 0, 0, G_OPTION_ARG_STRING, &options->network,
         "Its network there (default: isolated)", "NAME"},
        {"name-suffix", 0, 0, G_OPTION_ARG_STRING, &options->name_suffix,
         "What is added to its name (default: -test)", "TEXT"},
        {"memory", 0, 0, G_OPTION_ARG_STRING, &options->memory, "Its memory: 1G", "BYTES"},
        {"probe", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->probes,
         "What tells that it works: power, agent, console=PATTERN, tcp=PORT, http=URL; may be "
         "given "
         "many times",
         "PROBE"},
        {"wait", 0, 0, G_OPTION_ARG_STRING, &options->wait,
         "How long the probes may take (default: 5m)", "DURATION"},
        {"cleanup-after", 0, 0, G_OPTION_ARG_STRING, &options->cleanup_after,
         "Remove it after this time (default: by landfall test-cleanup)", "DURATION"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GArray) all = g_array_new(TRUE, TRUE, sizeof(GOptionEntry));
    for (gsize i = 0; more[i].long_name; i++)
        g_array_append_val(all, more[i]);
    for (gsize i = 0; entries[i].long_name; i++)
        g_array_append_val(all, entries[i]);
    return (GOptionEntry *)(void *)g_array_free(g_steal_pointer(&all), FALSE);
}

JsonObject *test_options_body(const struct test_options *options, GError **error)
{
    const struct body_text texts[] = {
        {"target", options->target},
        {"network", options->network},
        {"name_suffix", options->name_suffix},
    };
    g_autoptr(JsonObject) body = json_object_new();
    body_set_texts(body, texts, G_N_ELEMENTS(texts));
    if (!body_set_number(body, "recovery-point", "recovery_point", options->recovery_point, 1,
                         "latest", error) ||
        !body_set_mebibytes(body, "memory", "memory_mib", options->memory, error) ||
        !body_set_probes(body, options->probes, error) ||
        !body_set_duration(body, "wait", "wait_s", options->wait, error) ||
        !body_set_duration(body, "cleanup-after", "cleanup_after_s", options->cleanup_after, error))
        return NULL;
    return g_steal_pointer(&body);
}
