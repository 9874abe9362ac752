/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the host that the machine goes to. */
#include "appliance/steps/preflight.h"
#include "base/json.h"
#include "snapshot/definition.h"
#include "snapshot/xml.h"

#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virNetwork, virNetworkFree)

static void check_target(struct preflight *preflight)
{
    g_autoptr(GError) error = NULL;
    if (!step_host_open_target(preflight->work, &preflight->target, &error))
        preflight_add_error(preflight, VERDICT_BLOCKED, error);
}

/* --- the definition ------------------------------------------------------------------------------
 */

static void add_changes(struct preflight *preflight)
{
    JsonArray *changes = preflight->translation->changes;
    for (guint i = 0; i < json_array_get_length(changes); i++) {
        JsonObject *change = json_array_get_object_element(changes, i);
        const char *level = json_find_string(change, "level");
        const char *from = json_find_string(change, "from"), *to = json_find_string(change, "to");
        if (g_strcmp0(level, "info") == 0)
            continue;
        gboolean same = g_strcmp0(from, to) == 0;
        checks_add(&preflight->checks,
                   g_strcmp0(level, "blocked") == 0 ? VERDICT_BLOCKED : VERDICT_WARNING,
                   "landfall migrate --plan shows the definition", "%s: %s%s%s: %s",
                   json_find_string(change, "what"), from ? from : "none",
                   to && !same ? " becomes " : "", to && !same ? to : "",
                   json_find_string(change, "why"));
    }
}

/* The features of the model, too; a host that compares nothing says nothing. */
static void compare_cpu(struct preflight *preflight, xmlDocPtr document)
{
    if (!snapshot_xml_holds(document, NULL, "/domain[@type='kvm']/cpu[@mode='custom']"))
        return;
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, "/domain/cpu");
    g_autofree char *arch = snapshot_xml_string(document, NULL, "string(/domain/os/type/@arch)");
    g_autofree char *machine =
        snapshot_xml_string(document, NULL, "string(/domain/os/type/@machine)");
    g_autofree char *emulator =
        snapshot_xml_string(document, NULL, "string(/domain/devices/emulator)");
    g_autofree char *cpu = snapshot_xml_node_text(document, nodes->pdata[0]);
    int verdict = virConnectCompareHypervisorCPU(preflight->target.connection, emulator, arch,
                                                 machine, "kvm", cpu, 0);
    if (verdict == VIR_CPU_COMPARE_INCOMPATIBLE)
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "landfall target set HOST --cpu-model host-model, or another that it has",
                   "the target's processors lack features of the machine's");
}

/* Files that the machine is started with, which only a host at hand can be asked for. */
static void look_for_files(struct preflight *preflight, xmlDocPtr document)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(
        document, NULL, "/domain/os/kernel | /domain/os/initrd | /domain/os/dtb");
    for (guint i = 0; preflight->target.local && i < nodes->len; i++) {
        g_autofree char *path = snapshot_xml_string(document, nodes->pdata[i], "string(.)");
        if (path && !g_file_test(path, G_FILE_TEST_EXISTS))
            checks_add(&preflight->checks, VERDICT_BLOCKED, "copy it there",
                       "the target does not have %s", path);
    }
}

static void check_definition(struct preflight *preflight)
{
    g_autoptr(GError) error = NULL;
    if (!preflight->target.connection || !preflight->point)
        return;
    preflight->translation = translate_work(preflight->target.connection, preflight->work, &error);
    if (!preflight->translation) {
        preflight_add_error(preflight, VERDICT_BLOCKED, error);
        return;
    }
    add_changes(preflight);
    g_autoptr(xmlDoc) document =
        snapshot_xml_parse(preflight->translation->xml, "the translation", NULL);
    if (document) {
        compare_cpu(preflight, document);
        look_for_files(preflight, document);
    }
}

/* --- who is there already ------------------------------------------------------------------------
 */

static GHashTable *mac_addresses(const char *domain_xml)
{
    GHashTable *set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(xmlDoc) document = snapshot_xml_parse(domain_xml, "a definition", NULL);
    if (!document)
        return set;
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(document, NULL, "/domain/devices/interface/mac/@address");
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree char *mac = snapshot_xml_string(document, nodes->pdata[i], "string(.)");
        if (mac)
            g_hash_table_add(set, g_ascii_strdown(mac, -1));
    }
    return set;
}

/* Addresses meet on the network only while both run; one that is off may be started. */
static void compare_macs(struct preflight *preflight, virDomainPtr other, GHashTable *ours)
{
    g_autofree char *text = virDomainGetXMLDesc(other, 0);
    g_autoptr(GHashTable) theirs = text ? mac_addresses(text) : NULL;
    GHashTableIter iter;
    gpointer mac;
    if (!theirs)
        return;
    g_hash_table_iter_init(&iter, ours);
    while (g_hash_table_iter_next(&iter, &mac, NULL))
        if (g_hash_table_contains(theirs, mac))
            checks_add(&preflight->checks,
                       virDomainIsActive(other) == 1 ? VERDICT_BLOCKED : VERDICT_WARNING,
                       "give one of the two another address, or switch the other off",
                       "machine %s there has the same MAC address %s", virDomainGetName(other),
                       (char *)mac);
}

static void compare_with(struct preflight *preflight, virDomainPtr other, GHashTable *ours)
{
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    virDomainGetUUIDString(other, uuid);
    gboolean is_source = preflight->source.domain &&
                         g_strcmp0(preflight->work->source_uri, preflight->work->target_uri) == 0 &&
                         g_ascii_strcasecmp(uuid, preflight->work->machine_uuid) == 0;
    if (step_host_is_ours(other, preflight->work))
        return;
    if (g_ascii_strcasecmp(uuid, preflight->translation->uuid) == 0)
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "if it is of no use to anybody, remove it with `virsh undefine` there",
                   "the target has the machine already, as %s", virDomainGetName(other));
    else if (g_strcmp0(virDomainGetName(other), preflight->translation->name) == 0)
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "rename one of the two, or set a suffix: landfall target set HOST --name-suffix",
                   "the target has another machine called %s", preflight->translation->name);
    if (!is_source)
        compare_macs(preflight, other, ours);
}

static void check_conflicts(struct preflight *preflight)
{
    virDomainPtr *domains = NULL;
    if (!preflight->translation)
        return;
    int count = virConnectListAllDomains(preflight->target.connection, &domains, 0);
    if (count < 0) {
        checks_add(&preflight->checks, VERDICT_BLOCKED, NULL,
                   "the target does not tell its machines: %s", snapshot_libvirt_message());
        return;
    }
    g_autoptr(GHashTable) ours = mac_addresses(preflight->translation->xml);
    for (int i = 0; i < count; i++) {
        compare_with(preflight, domains[i], ours);
        virDomainFree(domains[i]);
    }
    g_free(domains);
}

/* --- networks, processors, memory ----------------------------------------------------------------
 */

static void check_network(struct preflight *preflight, const char *name)
{
    g_autoptr(virNetwork) network = virNetworkLookupByName(preflight->target.connection, name);
    if (!network)
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "define it there, or map another: landfall target set HOST --network",
                   "the target has no network called %s", name);
    else if (virNetworkIsActive(network) != 1)
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "start it there: virsh net-start, and virsh net-autostart",
                   "the target's network %s is not active", name);
}

static void check_networks(struct preflight *preflight)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(xmlDoc) document =
        preflight->translation
            ? snapshot_xml_parse(preflight->translation->xml, "the translation", NULL)
            : NULL;
    if (!document)
        return;
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(
        document, NULL, "/domain/devices/interface[@type='network']/source/@network");
    for (guint i = 0; i < nodes->len; i++) {
        char *name = snapshot_xml_string(document, nodes->pdata[i], "string(.)");
        if (name && g_hash_table_add(seen, name))
            check_network(preflight, name);
    }
}

static void check_resources(struct preflight *preflight)
{
    virNodeInfo node;
    g_autoptr(JsonObject) facts = preflight->translation
                                      ? snapshot_definition_facts(preflight->translation->xml, NULL)
                                      : NULL;
    if (!facts || virNodeGetInfo(preflight->target.connection, &node) < 0)
        return;
    guint64 cpus = json_find_uint(facts, "cpus"), memory = json_find_uint(facts, "memory_bytes");
    unsigned long long free_bytes = virNodeGetFreeMemory(preflight->target.connection);
    g_autofree char *wanted = g_format_size_full(memory, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *there = g_format_size_full(node.memory * 1024ULL, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *available = g_format_size_full(free_bytes, G_FORMAT_SIZE_IEC_UNITS);
    if (cpus > node.cpus)
        checks_add(&preflight->checks, VERDICT_WARNING,
                   "landfall target set HOST --cpus gives the machine fewer there",
                   "it has %" G_GUINT64_FORMAT " processors, the target %u: it will be slower",
                   cpus, node.cpus);
    if (memory > node.memory * 1024ULL)
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "landfall target set HOST --memory gives the machine less there",
                   "it has %s of memory, the target %s", wanted, there);
    else if (free_bytes > 0 && memory > free_bytes)
        checks_add(&preflight->checks, VERDICT_WARNING,
                   "free memory there, or give the machine less: landfall target set HOST --memory",
                   "it has %s of memory, and the target %s free at the moment", wanted, available);
}

void preflight_target(struct preflight *preflight)
{
    static const struct {
        const char *check;
        void (*look)(struct preflight *preflight);
        const char *fine;
    } checks[] = {
        {"target", check_target, "the host answers"},
        {"definition", check_definition, "the target offers all that the machine needs"},
        {"conflicts", check_conflicts, "nobody there has its name, UUID or addresses"},
        {"networks", check_networks, "all are there, and up"},
        {"resources", check_resources, "there are processors and memory for it"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
        if (i > 0 && !preflight->target.connection)
            return;
        checks_begin(&preflight->checks, checks[i].check);
        checks[i].look(preflight);
        checks_end(&preflight->checks, checks[i].fine);
    }
}
