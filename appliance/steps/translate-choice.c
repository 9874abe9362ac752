/* SPDX-License-Identifier: Apache-2.0 */
/* What of the target a machine runs on: its kind of processor and of virtualisation, its machine
 * type, its QEMU. */
#include "appliance/steps/translate-private.h"
#include "base/error.h"

#include <string.h>

void translate_choice_clear(struct translate_choice *choice)
{
    g_free(choice->arch);
    g_free(choice->domain_type);
    g_free(choice->machine_type);
    g_free(choice->emulator);
    *choice = (struct translate_choice){NULL};
}

/* "pc-i440fx-7.2" → "pc-i440fx" and "7.2". Whoever builds QEMU for a distribution names families
 * of his own (pc-q35-rhel8.6.0, pc-q35-jammy). */
static char *machine_family(const char *machine)
{
    const char *dash = strrchr(machine, '-');
    const char *end = dash ? dash : machine + strlen(machine);
    if (dash && g_str_has_prefix(dash, "-rhel"))
        end = dash + strlen("-rhel");
    return g_strndup(machine, (gsize)(end - machine));
}

static const char *machine_version(const char *machine, const char *family)
{
    const char *rest = machine + strlen(family);
    return *rest == '-' ? rest + 1 : rest;
}

/* The short name that stands for the present machine type of a chipset: "pc", "q35", "virt". */
static char *machine_short(const char *machine)
{
    if (strstr(machine, "q35"))
        return g_strdup("q35");
    if (g_str_has_prefix(machine, "pc"))
        return g_strdup("pc");
    const char *dash = strrchr(machine, '-');
    return dash ? g_strndup(machine, (gsize)(dash - machine)) : g_strdup(machine);
}

/* Of those of its family, the newest that is not newer; else the oldest. */
static const char *nearest_of_family(const GPtrArray *machines, const char *wanted)
{
    g_autofree char *family = machine_family(wanted);
    const char *version = machine_version(wanted, family), *below = NULL, *above = NULL;
    for (guint i = 0; i < machines->len; i++) {
        const char *machine = machines->pdata[i];
        g_autofree char *its_family = machine_family(machine);
        if (strcmp(its_family, family) != 0 || strcmp(machine, family) == 0)
            continue;
        const char *its_version = machine_version(machine, its_family);
        if (strverscmp(its_version, version) <= 0) {
            if (!below || strverscmp(its_version, machine_version(below, family)) > 0)
                below = machine;
        } else if (!above || strverscmp(its_version, machine_version(above, family)) < 0) {
            above = machine;
        }
    }
    return below ? below : above;
}

/* names: all that are offered; canonical: what a short name stands for. */
static char *choose_machine(const GPtrArray *names, GHashTable *canonical, const char *wanted)
{
    g_autofree char *short_name = machine_short(wanted);
    const char *named = g_hash_table_lookup(canonical, wanted);
    if (named || g_ptr_array_find_with_equal_func((GPtrArray *)names, wanted, g_str_equal, NULL))
        return g_strdup(named ? named : wanted);
    const char *near = nearest_of_family(names, wanted);
    return g_strdup(near ? near : g_hash_table_lookup(canonical, short_name));
}

/* Looks at one list of machines of the capabilities. */
static char *machine_of_list(xmlDocPtr capabilities, xmlNodePtr above, const char *wanted)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(capabilities, above, "./machine");
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) canonical =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; i < nodes->len; i++) {
        char *name = snapshot_xml_string(capabilities, nodes->pdata[i], "string(.)");
        char *full = snapshot_xml_string(capabilities, nodes->pdata[i], "string(./@canonical)");
        if (name && full)
            g_hash_table_insert(canonical, g_strdup(name), g_strdup(full));
        if (full || name)
            g_ptr_array_add(names, g_strdup(full ? full : name));
        g_free(name);
        g_free(full);
    }
    return wanted ? choose_machine(names, canonical, wanted)
                  : g_strdup(names->len > 0 ? names->pdata[0] : NULL);
}

static xmlNodePtr find_domain_type(xmlDocPtr capabilities, xmlNodePtr arch, const char *type)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(capabilities, arch, "./domain");
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree char *name =
            snapshot_xml_string(capabilities, nodes->pdata[i], "string(./@type)");
        if (g_strcmp0(name, type) == 0)
            return nodes->pdata[i];
    }
    return NULL;
}

static xmlNodePtr find_arch(xmlDocPtr capabilities, const char *wanted)
{
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(capabilities, NULL, "/capabilities/guest[os_type='hvm']/arch");
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree char *name =
            snapshot_xml_string(capabilities, nodes->pdata[i], "string(./@name)");
        if (g_strcmp0(name, wanted) == 0)
            return nodes->pdata[i];
    }
    return NULL;
}

/* KVM and plain QEMU differ in speed, and in nothing that a guest depends on. */
static gboolean choose_in_arch(xmlDocPtr capabilities, xmlNodePtr arch, const char *type,
                               const char *machine, struct translate_choice *choice)
{
    xmlNodePtr domain = find_domain_type(capabilities, arch, type);
    if (!domain && g_strcmp0(type, "kvm") == 0)
        domain = find_domain_type(capabilities, arch, "qemu");
    if (!domain)
        return FALSE;
    choice->domain_type = snapshot_xml_string(capabilities, domain, "string(./@type)");
    choice->emulator = snapshot_xml_string(capabilities, domain, "string(./emulator)");
    if (!choice->emulator)
        choice->emulator = snapshot_xml_string(capabilities, arch, "string(./emulator)");
    choice->machine_type = machine_of_list(capabilities, domain, machine);
    if (!choice->machine_type)
        choice->machine_type = machine_of_list(capabilities, arch, machine);
    return choice->machine_type && choice->emulator;
}

gboolean translate_choose(const char *domain_xml, const char *capabilities,
                          const struct translate_settings *settings,
                          struct translate_choice *ret_choice, GError **error)
{
    struct translate_choice choice = {NULL};
    g_autoptr(xmlDoc) document = snapshot_xml_parse(domain_xml, "the definition", error);
    g_autoptr(xmlDoc) offered =
        document ? snapshot_xml_parse(capabilities, "what the target offers", error) : NULL;
    if (!offered)
        return FALSE;
    g_autofree char *type = snapshot_xml_string(document, NULL, "string(/domain/@type)");
    g_autofree char *os = snapshot_xml_string(document, NULL, "string(/domain/os/type)");
    g_autofree char *machine =
        snapshot_xml_string(document, NULL, "string(/domain/os/type/@machine)");
    choice.arch = snapshot_xml_string(document, NULL, "string(/domain/os/type/@arch)");
    xmlNodePtr arch = g_strcmp0(os, "hvm") == 0 ? find_arch(offered, choice.arch) : NULL;
    const char *wanted = settings->machine_type ? settings->machine_type : machine;
    if (arch && choose_in_arch(offered, arch, type, wanted, &choice)) {
        *ret_choice = choice;
        return TRUE;
    }
    landfall_error_set(
        error, LANDFALL_ERROR_UNSUPPORTED,
        "choose another target, install the QEMU for it there, or set a machine type "
        "that it has: landfall target set HOST --machine-type",
        "the target runs no machine of type %s (%s, %s)", wanted ? wanted : "unknown",
        choice.arch ? choice.arch : "no architecture", type ? type : "no kind");
    translate_choice_clear(&choice);
    return FALSE;
}
