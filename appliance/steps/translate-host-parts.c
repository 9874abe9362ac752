/* SPDX-License-Identifier: Apache-2.0 */
/* What belongs to the source host alone, and goes: its devices, files and processors, its security
 * labels, its place in its resource groups. */
#include "appliance/steps/translate-private.h"

/* In a table: what goes, how loudly, and why. Those without a reason are libvirt's own notes. */
static const struct {
    const char *xpath;
    enum translate_level level;
    const char *what; /* NULL: the element's name */
    const char *why;
} parts[] = {
    {"/domain/devices/hostdev", TRANSLATE_WARNING, "device of the host",
     "it stays at the source: give the machine one of the target's, or do without"},
    {"/domain/devices/filesystem", TRANSLATE_WARNING, "shared folder",
     "its files are on no disk of the machine: copy them by other means"},
    {"/domain/devices/shmem", TRANSLATE_WARNING, "shared memory",
     "who shares it is at the source host"},
    {"/domain/devices/memory[@model='nvdimm' or @model='virtio-pmem' or @model='sgx-epc']",
     TRANSLATE_WARNING, "memory device", "what it holds is in no recovery point"},
    {"/domain/devices/redirdev[@type!='spicevmc']", TRANSLATE_INFO, NULL,
     "its other end is at the source host"},
    {"/domain/devices/smartcard[@mode!='passthrough' or @type!='spicevmc']", TRANSLATE_WARNING,
     NULL, "a card, or certificates, of the source host"},
    {"/domain/devices/input[@type='evdev' or @type='passthrough']", TRANSLATE_INFO, "input",
     "a device of the source host"},
    {"/domain/devices/lease", TRANSLATE_WARNING, "lease", "a lock that is held at the source"},
    {"/domain/launchSecurity", TRANSLATE_WARNING, "launch security",
     "its keys are for the source's processors"},
    {"/domain/*[namespace-uri()='http://libvirt.org/schemas/domain/qemu/1.0']", TRANSLATE_WARNING,
     "arguments for QEMU",
     "they may name what the source host has: add them at the target if they "
     "are needed"},
    {"/domain/numatune", TRANSLATE_INFO, "NUMA placement", "for the source's nodes"},
    {"/domain/cputune/*[contains(name(), 'pin') or contains(name(), 'sched') or "
     "self::cachetune or self::memorytune]",
     TRANSLATE_INFO, "processor pinning", "for the source's processors"},
    {"/domain/memoryBacking/hugepages", TRANSLATE_INFO, "huge pages",
     "set aside at the source host"},
    {"/domain/memoryBacking/*[self::source or self::access]", TRANSLATE_INFO, "memory backing",
     "nobody shares the machine's memory at the target"},
    {"/domain/devices/memory/source", TRANSLATE_INFO, "memory device's place",
     "for the source's nodes"},
    {"/domain/blkiotune/device", TRANSLATE_INFO, "limits of a host's disk",
     "the disk is the source's"},
    {"/domain/seclabel", TRANSLATE_INFO, "security label", "the target's libvirt makes its own"},
    {"/domain/resource[partition!='/machine']", TRANSLATE_INFO, "resource group",
     "one of the source's"},
    {"/domain/perf", TRANSLATE_INFO, NULL, "counters of the source's processors"},
    {"/domain/sysinfo[@type='fwcfg']/entry[@file]", TRANSLATE_WARNING, "firmware setting",
     "a file of the source host"},
    {"//alias[not(starts-with(@name, 'ua-'))] | /domain/resource | "
     "/domain/devices/*[not(self::disk)]//seclabel ",
     TRANSLATE_INFO, NULL, NULL},
};

/* Two machines of a host cannot have one address of this kind. */
static void set_vsock(struct translating *translating)
{
    xmlNodePtr cid = translate_node(translating->document, "/domain/devices/vsock/cid");
    if (!cid || snapshot_xml_holds(translating->document, cid, "./@auto='yes'"))
        return;
    g_autofree char *before = snapshot_xml_string(translating->document, cid, "string(./@address)");
    translate_remove_attribute(cid, "address");
    snapshot_xml_set(cid, "auto", "yes");
    translate_note(translating, TRANSLATE_INFO, "vsock address", before, "chosen by libvirt",
                   "it may be in use at the target");
}

static void set_random(struct translating *translating)
{
    g_autoptr(GPtrArray) backends = snapshot_xml_nodes(
        translating->document, NULL,
        "/domain/devices/rng/backend[@model='egd' or (@model='random' and text() != '/dev/urandom' "
        "and text() != '/dev/random')]");
    for (guint i = 0; i < backends->len; i++) {
        xmlNodePtr backend = backends->pdata[i];
        g_autofree char *before = snapshot_xml_string(
            translating->document, backend, "normalize-space(concat(./@model, ' ', text()))");
        xmlNodeSetContent(backend, NULL);
        translate_remove_attribute(backend, "type");
        snapshot_xml_set(backend, "model", "random");
        translate_set_text(backend, "/dev/urandom");
        translate_note(translating, TRANSLATE_INFO, "random numbers", before, "/dev/urandom",
                       "every host has it");
    }
}

static void set_audio(struct translating *translating)
{
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(translating->document, NULL, "/domain/devices/audio[@type!='none']");
    gboolean spice =
        snapshot_xml_holds(translating->document, NULL, "/domain/devices/graphics[@type='spice']");
    for (guint i = 0; i < nodes->len; i++) {
        xmlNodePtr node = nodes->pdata[i];
        g_autofree char *id = snapshot_xml_string(translating->document, node, "string(./@id)");
        g_autofree char *type = snapshot_xml_string(translating->document, node, "string(./@type)");
        if (spice && g_strcmp0(type, "spice") == 0)
            continue;
        xmlNodeSetContent(node, NULL);
        for (xmlAttrPtr attribute = node->properties; attribute; attribute = node->properties)
            xmlRemoveProp(attribute);
        snapshot_xml_set(node, "id", id ? id : "1");
        snapshot_xml_set(node, "type", "none");
        translate_note(translating, TRANSLATE_INFO, "audio", type, "none",
                       "it plays at the source host");
    }
}

void translate_host_parts(struct translating *translating)
{
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
        translate_drop(translating, parts[i].xpath, parts[i].level, parts[i].what, parts[i].why);
    set_vsock(translating);
    set_random(translating);
    set_audio(translating);
}
