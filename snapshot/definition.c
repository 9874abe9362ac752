/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/definition.h"
#include "base/json.h"
#include "snapshot/snapshot-private.h"

#define AGENT_XPATH "/domain/devices/channel/target[@name='org.qemu.guest_agent.0']"

/* A member and the XPath of its value at some node. */
struct text_member {
    const char *name;
    const char *xpath;
};

static void set_texts(JsonObject *object, xmlDocPtr document, xmlNodePtr node,
                      const struct text_member *members, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        g_autofree char *text = snapshot_xml_string(document, node, members[i].xpath);
        json_set_optional_string(object, members[i].name, text);
    }
}

static guint64 number(xmlDocPtr document, const char *xpath)
{
    g_autofree char *text = snapshot_xml_string(document, NULL, xpath);
    guint64 value = 0;
    if (text)
        g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &value, NULL);
    return value;
}

/* Bytes in one of libvirt's units; KiB is what it writes itself. */
static guint64 memory_bytes(xmlDocPtr document)
{
    static const struct {
        const char *unit;
        guint64 bytes;
    } units[] = {{"b", 1},         {"bytes", 1},       {"KB", 1000},        {"MB", 1000000},
                 {"MiB", 1 << 20}, {"GB", 1000000000}, {"GiB", 1ULL << 30}, {"TiB", 1ULL << 40}};
    g_autofree char *unit = snapshot_xml_string(document, NULL, "string(/domain/memory/@unit)");
    guint64 factor = 1024;
    for (gsize i = 0; i < G_N_ELEMENTS(units); i++)
        if (g_strcmp0(unit, units[i].unit) == 0)
            factor = units[i].bytes;
    guint64 value = number(document, "string(/domain/memory)");
    return value > G_MAXINT64 / factor ? 0 : value * factor;
}

static void set_general(JsonObject *facts, xmlDocPtr document)
{
    static const struct text_member members[] = {
        {"name", "string(/domain/name)"},
        {"uuid", "string(/domain/uuid)"},
        {"title", "string(/domain/title)"},
        {"type", "string(/domain/@type)"},
        {"architecture", "string(/domain/os/type/@arch)"},
        {"machine_type", "string(/domain/os/type/@machine)"},
        {"os", "string(/domain/metadata//*[local-name()='os' and "
               "starts-with(namespace-uri(), 'http://libosinfo.org/')]/@id)"},
        {"cpu_mode", "string(/domain/cpu/@mode)"},
        {"cpu_model", "string(/domain/cpu/model)"},
    };
    set_texts(facts, document, NULL, members, G_N_ELEMENTS(members));
    guint64 memory = memory_bytes(document), cpus = number(document, "string(/domain/vcpu)");
    if (memory)
        json_object_set_int_member(facts, "memory_bytes", (gint64)memory);
    if (cpus)
        json_object_set_int_member(facts, "cpus", (gint64)cpus);
}

static void set_firmware(JsonObject *facts, xmlDocPtr document)
{
    gboolean uefi = snapshot_xml_holds(
        document, NULL, "/domain/os[@firmware='efi' or loader/@type='pflash' or nvram]");
    gboolean kernel = snapshot_xml_holds(document, NULL, "/domain/os/kernel");
    gboolean secure =
        snapshot_xml_holds(document, NULL,
                           "/domain/os[loader/@secure='yes' or "
                           "firmware/feature[@name='secure-boot' and @enabled='yes']]");
    json_object_set_string_member(facts, "firmware", uefi ? "uefi" : kernel ? "kernel" : "bios");
    json_object_set_boolean_member(facts, "secure_boot", uefi && secure);
}

static JsonObject *disk_facts(xmlDocPtr document, xmlNodePtr node, const struct machine_disk *disk)
{
    JsonObject *facts = json_object_new();
    const struct snapshot_machine_disk *public = &disk->public;
    static const struct text_member members[] = {
        {"bus", "string(./target/@bus)"},
        {"type", "string(./@type)"},
    };
    g_autofree char *device = snapshot_xml_string(document, node, "string(./@device)");
    json_object_set_string_member(facts, "name", public->name);
    json_object_set_string_member(facts, "device", device ? device : "disk");
    set_texts(facts, document, node, members, G_N_ELEMENTS(members));
    json_object_set_string_member(facts, "format", public->format);
    json_object_set_string_member(facts, "source", public->source);
    JsonArray *chain = json_array_new();
    for (guint i = 0; i < disk->places->len; i++)
        json_array_add_string_element(chain, disk->places->pdata[i]);
    json_object_set_array_member(facts, "chain", chain);
    json_set_optional_string(facts, "folder", disk->image_dir);
    json_object_set_boolean_member(facts, "read_only", disk->read_only);
    json_object_set_boolean_member(facts, "shareable",
                                   snapshot_xml_holds(document, node, "./shareable"));
    json_object_set_boolean_member(facts, "transient",
                                   snapshot_xml_holds(document, node, "./transient"));
    json_object_set_boolean_member(
        facts, "encrypted",
        snapshot_xml_holds(document, node, "./encryption | ./source/encryption"));
    json_object_set_boolean_member(facts, "removable", public->removable);
    json_object_set_boolean_member(facts, "supported", !public->unsupported_reason);
    json_set_optional_string(facts, "unsupported_reason", public->unsupported_reason);
    json_object_set_boolean_member(facts, "bitmap",
                                   !public->unsupported_reason && !public->no_bitmap_cause);
    json_set_optional_string(facts, "no_bitmap_cause", public->no_bitmap_cause);
    return facts;
}

static void set_disks(JsonObject *facts, xmlDocPtr document)
{
    JsonArray *array = json_array_new();
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, SNAPSHOT_DISK_XPATH);
    g_autoptr(GPtrArray) disks = snapshot_machine_disks_read(document);
    for (guint i = 0; i < disks->len; i++)
        json_array_add_object_element(array,
                                      disk_facts(document, nodes->pdata[i], disks->pdata[i]));
    json_object_set_array_member(facts, "disks", array);
}

/* An array of objects, one for each node, each with the same members. */
static void set_devices(JsonObject *facts, const char *name, xmlDocPtr document, const char *xpath,
                        const struct text_member *members, gsize count)
{
    JsonArray *array = json_array_new();
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, xpath);
    for (guint i = 0; i < nodes->len; i++) {
        JsonObject *device = json_object_new();
        set_texts(device, document, nodes->pdata[i], members, count);
        json_array_add_object_element(array, device);
    }
    json_object_set_array_member(facts, name, array);
}

static void set_nics(JsonObject *facts, xmlDocPtr document)
{
    static const struct text_member members[] = {
        {"mac", "string(./mac/@address)"},
        {"model", "string(./model/@type)"},
        {"type", "string(./@type)"},
        /* A network that is in use tells its bridge, too: what was asked for comes first. */
        {"source", "string(./source/@network | "
                   "(./source/@bridge | ./source/@dev)[not(../@network)])"},
    };
    set_devices(facts, "nics", document, "/domain/devices/interface", members,
                G_N_ELEMENTS(members));
}

/* The address as the host's own tools write it. */
static char *host_device_text(xmlDocPtr document, xmlNodePtr node)
{
    const char *xpath =
        snapshot_xml_holds(document, node, "./source/address/@function")
            ? "concat(substring(./source/address/@domain, 3), ':', "
              "substring(./source/address/@bus, 3), ':', substring(./source/address/@slot, 3), "
              "'.', substring(./source/address/@function, 3))"
            : "normalize-space(concat(./source/address/@uuid, ' ', ./source/vendor/@id, ' ', "
              "./source/product/@id, ' ', ./source/adapter/@name, ' ', ./source/block, "
              "./source/char, ./source/interface))";
    return snapshot_xml_string(document, node, xpath);
}

static void set_passthrough(JsonObject *facts, xmlDocPtr document)
{
    JsonArray *array = json_array_new();
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(
        document, NULL, "/domain/devices/hostdev | /domain/devices/interface[@type='hostdev']");
    for (guint i = 0; i < nodes->len; i++) {
        JsonObject *device = json_object_new();
        g_autofree char *kind = snapshot_xml_string(
            document, nodes->pdata[i], "string(./@type[. != 'hostdev'] | ./source/address/@type)");
        g_autofree char *what = host_device_text(document, nodes->pdata[i]);
        json_set_optional_string(device, "kind", kind);
        json_set_optional_string(device, "what", what);
        json_array_add_object_element(array, device);
    }
    json_object_set_array_member(facts, "passthrough", array);
}

static void set_shared_folders(JsonObject *facts, xmlDocPtr document)
{
    static const struct text_member members[] = {
        {"source", "string(./source/@dir | ./source/@file | ./source/@socket)"},
        {"target", "string(./target/@dir)"},
        {"driver", "string(./driver/@type)"},
    };
    set_devices(facts, "shared_folders", document, "/domain/devices/filesystem", members,
                G_N_ELEMENTS(members));
}

static void set_tpm(JsonObject *facts, xmlDocPtr document)
{
    static const struct text_member members[] = {
        {"model", "string(./@model)"},
        {"backend", "string(./backend/@type)"},
        {"version", "string(./backend/@version)"},
    };
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, "/domain/devices/tpm");
    if (nodes->len == 0)
        return;
    JsonObject *tpm = json_object_new();
    set_texts(tpm, document, nodes->pdata[0], members, G_N_ELEMENTS(members));
    json_object_set_object_member(facts, "tpm", tpm);
}

enum snapshot_agent snapshot_agent_state(xmlDocPtr document)
{
    if (!snapshot_xml_holds(document, NULL, AGENT_XPATH))
        return SNAPSHOT_AGENT_NONE;
    return snapshot_xml_holds(document, NULL, AGENT_XPATH "[@state='connected']")
               ? SNAPSHOT_AGENT_CONNECTED
               : SNAPSHOT_AGENT_SILENT;
}

static void set_agent(JsonObject *facts, xmlDocPtr document)
{
    enum snapshot_agent agent = snapshot_agent_state(document);
    JsonObject *object = json_object_new();
    json_object_set_boolean_member(object, "channel", agent != SNAPSHOT_AGENT_NONE);
    json_object_set_boolean_member(object, "connected", agent == SNAPSHOT_AGENT_CONNECTED);
    json_object_set_object_member(facts, "agent", object);
}

JsonObject *snapshot_definition_facts(const char *domain_xml, GError **error)
{
    g_autoptr(xmlDoc) document = snapshot_xml_parse(domain_xml, "the definition", error);
    if (!document)
        return NULL;
    JsonObject *facts = json_object_new();
    set_general(facts, document);
    set_firmware(facts, document);
    set_disks(facts, document);
    set_nics(facts, document);
    set_passthrough(facts, document);
    set_shared_folders(facts, document);
    set_tpm(facts, document);
    set_agent(facts, document);
    return facts;
}
