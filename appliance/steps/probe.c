/* SPDX-License-Identifier: Apache-2.0 */

/* options.probes: [ { "kind": "power" } | { "kind": "agent" } | { "kind": "console", "pattern":
 * REGEX } | { "kind": "tcp", "port": N, "address": TEXT } | { "kind": "http", "url": URL, "status":
 * N } … ] That the machine stays on is always asked. */

#include "appliance/steps/probe.h"
#include "base/json.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

#define CONFIG LANDFALL_ERROR_CONFIG
#define AGENT_TIMEOUT_S 2
#define STEADY_MS 5000u /* beside other signs */
#define STEADY_ALONE_MS 10000u
#define PROBES_MAX 32u

static void probe_free(struct probe *probe)
{
    g_clear_pointer(&probe->settings, json_object_unref);
    g_clear_pointer(&probe->pattern, g_regex_unref);
    g_free(probe->label);
    g_free(probe->complaint);
    g_free(probe);
}

/* --- kinds ---------------------------------------------------------------------------------------
 */

static gboolean power_look(struct probe *probe, const struct probe_subject *subject, GError **error)
{
    gint64 ran_ms = (g_get_real_time() - subject->running_at_us) / 1000;
    if (ran_ms >= (gint64)probe->steady_ms)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "it has run for %" G_GINT64_FORMAT " ms",
                       ran_ms);
    return FALSE;
}

static gboolean agent_look(struct probe *probe, const struct probe_subject *subject, GError **error)
{
    char *answer = virDomainQemuAgentCommand(subject->domain, "{\"execute\":\"guest-ping\"}",
                                             AGENT_TIMEOUT_S, 0);
    if (!answer) {
        probe->hopeless = virGetLastErrorCode() == VIR_ERR_ARGUMENT_UNSUPPORTED;
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "%s", snapshot_libvirt_message());
    }
    gboolean ok = answer != NULL;
    free(answer);
    return ok;
}

static gboolean console_prepare(struct probe *probe, GError **error)
{
    const char *pattern;
    g_autoptr(GError) cause = NULL;
    if (!json_member_string(probe->settings, "pattern", CONFIG, &pattern, error))
        return FALSE;
    probe->pattern =
        g_regex_new(pattern, G_REGEX_RAW | G_REGEX_MULTILINE | G_REGEX_NEWLINE_ANYCRLF, 0, &cause);
    if (!probe->pattern)
        landfall_error_set(error, CONFIG, "it is a Perl-compatible regular expression",
                           "'%s' is no pattern: %s", pattern, cause->message);
    g_free(probe->label);
    probe->label = g_strdup_printf("console %s", pattern);
    return probe->pattern != NULL;
}

static gboolean console_look(struct probe *probe, const struct probe_subject *subject,
                             GError **error)
{
    const GString *text = console_text(subject->console);
    if (g_regex_match_full(probe->pattern, text->str, (gssize)text->len, 0, 0, NULL, NULL))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                       text->len ? "it is not among what the console said"
                                 : "the console has said nothing");
    return FALSE;
}

static const struct probe_kind power = {"power", NULL, power_look};
static const struct probe_kind agent = {"agent", NULL, agent_look};
static const struct probe_kind console = {"console", console_prepare, console_look};

static const struct probe_kind *const kinds[] = {&power, &agent, &console, &probe_tcp, &probe_http};

/* --- which ---------------------------------------------------------------------------------------
 */

static struct probe *probe_new(const struct probe_kind *kind, JsonObject *settings)
{
    struct probe *probe = g_new0(struct probe, 1);
    probe->kind = kind;
    probe->settings = settings ? json_object_ref(settings) : json_object_new();
    probe->label = g_strdup(kind->word);
    return probe;
}

static gboolean set_steady(struct probe *probe, JsonObject *settings, GError **error)
{
    guint64 seconds = 0;
    if (!json_optional_uint(settings, "seconds", CONFIG, &seconds, error))
        return FALSE;
    probe->steady_ms = seconds * 1000;
    return TRUE;
}

static gboolean add(GPtrArray *probes, JsonObject *settings, GError **error)
{
    const char *word;
    if (!json_member_string(settings, "kind", CONFIG, &word, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i]->word, word) != 0)
            continue;
        if (kinds[i] == &power) /* it is there already */
            return set_steady(probes->pdata[0], settings, error);
        /* Looking at the console takes no time; waiting for the others is not to hold it up. */
        struct probe *probe = probe_new(kinds[i], settings);
        g_ptr_array_insert(probes, kinds[i] == &console ? 1 : -1, probe);
        return !kinds[i]->prepare || kinds[i]->prepare(probe, error);
    }
    landfall_error_set(error, CONFIG, "use power, agent, console, tcp or http",
                       "'%s' is not a kind of probe", word);
    return FALSE;
}

/* An agent that has frozen or shut down the source is in the copy, too. */
static gboolean has_agent(const struct step_work *work)
{
    JsonObject *pin = step_work_fact(work, "pin"), *shutdown = step_work_fact(work, "shutdown");
    return (pin && g_strcmp0(json_find_string(pin, "consistency"), "filesystem") == 0) ||
           (shutdown && g_strcmp0(json_find_string(shutdown, "how"), "agent") == 0);
}

static gboolean add_chosen(const struct step_work *work, GPtrArray *probes, GError **error)
{
    JsonArray *array;
    if (!json_member_array(work->options, "probes", CONFIG, &array, error))
        return FALSE;
    for (guint i = 0; i < MIN(json_array_get_length(array), PROBES_MAX); i++) {
        JsonObject *settings;
        if (!json_element_object(array, i, "probes", CONFIG, &settings, error) ||
            !add(probes, settings, error)) {
            g_prefix_error(error, "probe %u: ", i + 1);
            return FALSE;
        }
    }
    return TRUE;
}

GPtrArray *probes_of(const struct step_work *work, GError **error)
{
    g_autoptr(GPtrArray) probes = g_ptr_array_new_with_free_func((GDestroyNotify)probe_free);
    struct probe *first = probe_new(&power, NULL);
    g_ptr_array_add(probes, first);
    JsonNode *node = json_object_get_member(work->options, "probes");
    if (node && !JSON_NODE_HOLDS_NULL(node) && !add_chosen(work, probes, error))
        return NULL;
    if (probes->len == 1 && has_agent(work))
        g_ptr_array_add(probes, probe_new(&agent, NULL));
    if (!first->steady_ms)
        first->steady_ms = probes->len == 1 ? STEADY_ALONE_MS : STEADY_MS;
    return g_steal_pointer(&probes);
}

gboolean probes_need_network(const GPtrArray *probes)
{
    for (guint i = 0; i < probes->len; i++) {
        const struct probe *probe = probes->pdata[i];
        if (probe->kind == &probe_tcp || probe->kind == &probe_http)
            return TRUE;
    }
    return FALSE;
}
