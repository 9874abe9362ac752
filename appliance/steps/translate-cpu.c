/* SPDX-License-Identifier: Apache-2.0 */
/* Processors and memory: as many as at the source unless set for the target, of the source's model
 * where the target has it. */
#include "appliance/steps/translate-private.h"

#include <string.h>

static xmlNodePtr find_named(xmlDocPtr document, const char *xpath, const char *attribute,
                             const char *value)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, xpath);
    g_autofree char *string = g_strdup_printf("string(%s)", attribute);
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree char *text = snapshot_xml_string(document, nodes->pdata[i], string);
        if (g_strcmp0(text, value) == 0)
            return nodes->pdata[i];
    }
    return NULL;
}

/* A target that does not tell of the mode, an older libvirt, may still have it. */
static gboolean mode_offered(struct translating *translating, const char *mode)
{
    xmlNodePtr node =
        find_named(translating->capabilities, "/domainCapabilities/cpu/mode", "./@name", mode);
    return node && snapshot_xml_holds(translating->capabilities, node, "./@supported='yes'");
}

static gboolean model_offered(struct translating *translating, const char *model)
{
    xmlNodePtr node = find_named(translating->capabilities,
                                 "/domainCapabilities/cpu/mode[@name='custom']/model", ".", model);
    return node && !snapshot_xml_holds(translating->capabilities, node, "./@usable='no'");
}

static gboolean is_mode(const char *word)
{
    static const char *const modes[] = {"host-passthrough", "host-model", "maximum", NULL};
    return g_strv_contains(modes, word);
}

/* What belongs to one mode or model alone. Topology and NUMA cells are the guest's. */
static void clear_model(xmlNodePtr cpu)
{
    static const char *const children[] = {"model", "vendor", "feature", "cache", "maxphysaddr"};
    static const char *const attributes[] = {"mode", "match", "check", "migratable"};
    for (gsize i = 0; i < G_N_ELEMENTS(children); i++)
        translate_remove_child(cpu, children[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(attributes); i++)
        translate_remove_attribute(cpu, attributes[i]);
}

/* word: a mode, a model, or NULL for QEMU's own choice. */
static void set_model(xmlNodePtr cpu, const char *word)
{
    clear_model(cpu);
    if (!word)
        return;
    snapshot_xml_set(cpu, "mode", is_mode(word) ? word : "custom");
    if (is_mode(word))
        return;
    snapshot_xml_set(cpu, "match", "exact");
    xmlNodePtr model = snapshot_xml_child(cpu, "model", word);
    snapshot_xml_set(model, "fallback", "forbid");
}

/* Skylake-Server-noTSX-IBRS is Skylake-Server-noTSX with more, and that Skylake-Server. */
static char *nearest_model(struct translating *translating, const char *model)
{
    g_autofree char *name = g_strdup(model);
    for (char *dash; (dash = strrchr(name, '-'));) {
        *dash = '\0';
        if (model_offered(translating, name))
            return g_steal_pointer(&name);
    }
    static const char *const modes[] = {"maximum", "host-model"};
    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++)
        if (mode_offered(translating, modes[i]))
            return g_strdup(modes[i]);
    return NULL;
}

static void set_cpu(struct translating *translating)
{
    const char *wanted = translating->settings->cpu_model;
    xmlNodePtr cpu = translate_node(translating->document, "/domain/cpu");
    g_autofree char *mode = snapshot_xml_string(translating->document, cpu, "string(./@mode)");
    g_autofree char *model = snapshot_xml_string(translating->document, cpu, "string(./model)");
    const char *word = !cpu ? NULL : mode && is_mode(mode) ? mode : model;
    if (wanted && g_strcmp0(wanted, word) != 0) {
        set_model(translate_element(translating, "/domain", "cpu"), wanted);
        translate_note(translating, TRANSLATE_INFO, "processor model", word, wanted,
                       "set for the target");
        word = wanted;
    }
    if (!word ||
        (is_mode(word) ? mode_offered(translating, word) : model_offered(translating, word)))
        return;
    g_autofree char *near = nearest_model(translating, word);
    translate_note(translating, TRANSLATE_WARNING, "processor model", word,
                   near ? near : "QEMU's own", "the target does not offer it");
    set_model(translate_element(translating, "/domain", "cpu"), near);
}

static void set_cpu_count(struct translating *translating)
{
    guint cpus = translating->settings->cpus;
    xmlNodePtr vcpu = translate_element(translating, "/domain", "vcpu");
    g_autofree char *before = snapshot_xml_string(translating->document, vcpu, "string(.)");
    g_autofree char *count = g_strdup_printf("%u", cpus);
    g_autofree char *cpuset = snapshot_xml_string(translating->document, vcpu, "string(./@cpuset)");
    translate_remove_attribute(vcpu, "cpuset");
    if (cpuset)
        translate_note(translating, TRANSLATE_INFO, "processors of the host", cpuset, NULL,
                       "for the source's processors");
    if (snapshot_xml_holds(translating->document, vcpu, "./@placement='auto'"))
        translate_set(translating, vcpu, "placement", "static", "processors of the host",
                      "the source's host chose them");
    if (cpus > 0 && g_strcmp0(before, count) != 0) {
        translate_set_text(vcpu, count);
        translate_remove_attribute(vcpu, "current");
        translate_note(translating, TRANSLATE_INFO, "processors", before, count,
                       "set for the target");
        translate_drop(translating, "/domain/vcpus | /domain/cpu/topology | /domain/cpu/numa",
                       TRANSLATE_INFO, NULL, "it was made for another number of processors");
    }
    g_autofree char *number = snapshot_xml_string(translating->document, vcpu, "string(.)");
    g_autofree char *most = snapshot_xml_string(translating->capabilities, NULL,
                                                "string(/domainCapabilities/vcpu/@max)");
    if (most && number && g_ascii_strtoull(number, NULL, 10) > g_ascii_strtoull(most, NULL, 10))
        translate_note(translating, TRANSLATE_BLOCKED, "processors", number, most,
                       "the target does not offer more to such a machine");
}

static void set_memory(struct translating *translating)
{
    guint64 wanted = translating->settings->memory_mib;
    g_autofree char *before =
        snapshot_xml_string(translating->document, NULL,
                            "normalize-space(concat(/domain/memory, ' ', /domain/memory/@unit))");
    g_autofree char *count = g_strdup_printf("%" G_GUINT64_FORMAT, wanted);
    g_autofree char *after = g_strconcat(count, " MiB", NULL);
    if (wanted == 0)
        return;
    translate_drop(translating, "/domain/maxMemory | /domain/devices/memory | /domain/cpu/numa",
                   TRANSLATE_INFO, NULL, "it was made for another amount of memory");
    translate_drop(translating, "/domain/currentMemory", TRANSLATE_INFO, NULL, NULL);
    xmlNodePtr memory = translate_element(translating, "/domain", "memory");
    translate_set_text(memory, count);
    snapshot_xml_set(memory, "unit", "MiB");
    translate_note(translating, TRANSLATE_INFO, "memory", before, after, "set for the target");
}

void translate_cpu(struct translating *translating)
{
    set_cpu(translating);
    set_cpu_count(translating);
    set_memory(translating);
}
