/* SPDX-License-Identifier: Apache-2.0 */
/* The translation as a whole: one subject after the other, and who the machine is. */
#include "appliance/steps/translate-private.h"
#include "base/error.h"
#include "base/json.h"
#include "snapshot/libvirt.h"

#include <string.h>

#define PROBE_TRIES 2u

/* --- telling -------------------------------------------------------------------------------------
 */

void translate_note(struct translating *translating, enum translate_level level, const char *what,
                    const char *from, const char *to, const char *why)
{
    static const char *const names[] = {"info", "warning", "blocked"};
    JsonObject *change = json_object_new();
    json_object_set_string_member(change, "what", what);
    json_set_optional_string(change, "from", from);
    json_set_optional_string(change, "to", to);
    json_object_set_string_member(change, "why", why);
    json_object_set_string_member(change, "level", names[level]);
    json_array_add_object_element(translating->changes, change);
    translating->blocked |= level == TRANSLATE_BLOCKED;
}

/* An element as one line for people: what it says first about itself. */
static char *node_summary(struct translating *translating, xmlNodePtr node)
{
    g_autofree char *text = snapshot_xml_string(
        translating->document, node,
        "normalize-space(concat(./@type, ' ', ./@mode, ' ', ./@model, ' ', ./@name, ' ', "
        "./source/@*[1], ' ', ./source/address/@*[1], ' ', ./source/address/@*[2], ' ', "
        "./source/address/@*[3], ' ', ./source/address/@*[4], ' ', ./source/vendor/@id, ' ', "
        "./source/product/@id, ' ', ./target/@dir, ' ', text()))");
    return text ? g_steal_pointer(&text) : g_strdup((const char *)node->name);
}

void translate_drop(struct translating *translating, const char *xpath, enum translate_level level,
                    const char *what, const char *why)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(translating->document, NULL, xpath);
    for (guint i = 0; i < nodes->len; i++) {
        xmlNodePtr node = nodes->pdata[i];
        g_autofree char *summary = node_summary(translating, node);
        if (why)
            translate_note(translating, level, what ? what : (const char *)node->name, summary,
                           NULL, why);
    }
    /* One may lie within another: out of the tree first, and freed when all are out. */
    for (guint i = 0; i < nodes->len; i++)
        xmlUnlinkNode(nodes->pdata[i]);
    for (guint i = 0; i < nodes->len; i++)
        xmlFreeNode(nodes->pdata[i]);
}

void translate_set(struct translating *translating, xmlNodePtr node, const char *attribute,
                   const char *value, const char *what, const char *why)
{
    g_autofree char *xpath = g_strdup_printf("string(./@%s)", attribute);
    g_autofree char *before = snapshot_xml_string(translating->document, node, xpath);
    if (g_strcmp0(before, value) == 0)
        return;
    snapshot_xml_set(node, attribute, value);
    translate_note(translating, TRANSLATE_INFO, what, before, value, why);
}

/* --- nodes ---------------------------------------------------------------------------------------
 */

xmlNodePtr translate_node(xmlDocPtr document, const char *xpath)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, xpath);
    return nodes->len > 0 ? nodes->pdata[0] : NULL;
}

xmlNodePtr translate_element(struct translating *translating, const char *parent, const char *name)
{
    g_autofree char *xpath = g_strdup_printf("%s/%s", parent, name);
    xmlNodePtr node = translate_node(translating->document, xpath);
    if (node)
        return node;
    xmlNodePtr above = translate_node(translating->document, parent);
    if (!above) {
        const char *last = strrchr(parent, '/');
        g_autofree char *rest = g_strndup(parent, (gsize)(last - parent));
        above = translate_element(translating, rest, last + 1);
    }
    return snapshot_xml_child(above, name, NULL);
}

void translate_remove_child(xmlNodePtr node, const char *name)
{
    for (xmlNodePtr child = node->children, next; child; child = next) {
        next = child->next;
        if (child->type == XML_ELEMENT_NODE && g_strcmp0((const char *)child->name, name) == 0)
            snapshot_xml_remove(child);
    }
}

/* Its attributes and all it contains. */
static void empty(xmlNodePtr node)
{
    xmlNodeSetContent(node, NULL);
    for (xmlAttrPtr attribute = node->properties; attribute; attribute = node->properties)
        xmlRemoveProp(attribute);
}

xmlNodePtr translate_fresh_child(xmlNodePtr node, const char *name)
{
    xmlNodePtr first = NULL;
    for (xmlNodePtr child = node->children, next; child; child = next) {
        next = child->next;
        if (child->type != XML_ELEMENT_NODE || g_strcmp0((const char *)child->name, name) != 0)
            continue;
        if (first)
            snapshot_xml_remove(child);
        else
            first = child;
    }
    if (!first)
        return snapshot_xml_child(node, name, NULL);
    empty(first);
    return first;
}

void translate_remove_attribute(xmlNodePtr node, const char *name)
{
    xmlUnsetProp(node, (const xmlChar *)name);
}

void translate_set_text(xmlNodePtr node, const char *text)
{
    xmlNodeSetContent(node, NULL);
    xmlNodeAddContent(node, (const xmlChar *)text);
}

gboolean translate_offered(struct translating *translating, const char *list, const char *value)
{
    g_autofree char *xpath = g_strdup_printf("/domainCapabilities/%s", list);
    g_autofree char *values = g_strconcat(xpath, "/value", NULL);
    if (!snapshot_xml_holds(translating->capabilities, NULL, xpath))
        return TRUE;
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(translating->capabilities, NULL, values);
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree char *offered =
            snapshot_xml_string(translating->capabilities, nodes->pdata[i], "string(.)");
        if (g_strcmp0(offered, value) == 0)
            return TRUE;
    }
    return FALSE;
}

/* --- who it is -----------------------------------------------------------------------------------
 */

static char *uuid_from(const char *text)
{
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    /* Version 8, "of the maker's own kind", and the variant of RFC 9562. */
    return g_strdup_printf("%.8s-%.4s-8%.3s-a%.3s-%.12s", sum, sum + 8, sum + 13, sum + 17,
                           sum + 20);
}

char *translate_uuid(const char *machine_uuid, const char *store_id, const char *owner)
{
    g_autofree char *text = g_strdup_printf("%s %s %s", machine_uuid, store_id, owner);
    return uuid_from(text);
}

static void set_name(struct translating *translating)
{
    const char *name = translating->settings->name;
    xmlNodePtr node = translate_element(translating, "/domain", "name");
    g_autofree char *before = snapshot_xml_string(translating->document, node, "string(.)");
    if (!name || g_strcmp0(before, name) == 0)
        return;
    translate_set_text(node, name);
    translate_note(translating, TRANSLATE_INFO, "name", before, name,
                   "two machines of a host cannot have one name");
}

/* With a new UUID the machine is another one: what tells it from a copy of itself is new, too. */
static void set_uuid(struct translating *translating)
{
    const char *uuid = translating->settings->uuid;
    xmlNodePtr node = translate_element(translating, "/domain", "uuid");
    g_autofree char *before = snapshot_xml_string(translating->document, node, "string(.)");
    if (!uuid || (before && g_ascii_strcasecmp(before, uuid) == 0))
        return;
    translate_set_text(node, uuid);
    translate_note(translating, TRANSLATE_INFO, "UUID", before, uuid,
                   "it may meet the machine that it is a copy of");
    /* libvirt refuses one that differs from the machine's. */
    xmlNodePtr entry =
        translate_node(translating->document, "/domain/sysinfo/system/entry[@name='uuid']");
    if (entry)
        translate_set_text(entry, uuid);
    xmlNodePtr generation = translate_node(translating->document, "/domain/genid");
    if (generation) {
        g_autofree char *text = g_strconcat("generation of ", uuid, NULL);
        g_autofree char *id = uuid_from(text);
        translate_set_text(generation, id);
        translate_note(translating, TRANSLATE_INFO, "generation identity", NULL, id,
                       "the guest is to know that it is a copy");
    }
}

/* Where libvirt puts it. */
static xmlNodePtr metadata_of(struct translating *translating)
{
    xmlNodePtr metadata = translate_node(translating->document, "/domain/metadata");
    xmlNodePtr before =
        translate_node(translating->document, "(/domain/name | /domain/uuid | /domain/title | "
                                              "/domain/genid | /domain/description)[last()]");
    if (metadata || !before)
        return metadata ? metadata : translate_element(translating, "/domain", "metadata");
    return xmlAddNextSibling(before, xmlNewNode(NULL, (const xmlChar *)"metadata"));
}

static void set_metadata(struct translating *translating)
{
    const struct translate_settings *settings = translating->settings;
    g_autofree char *source =
        snapshot_xml_string(translating->document, NULL, "string(/domain/uuid)");
    /* Notes of ours are about the machine at the source. */
    translate_drop(translating, "/domain/metadata/*[starts-with(namespace-uri(), 'urn:landfall')]",
                   TRANSLATE_INFO, NULL, NULL);
    if (!settings->owner)
        return;
    g_autofree char *point = g_strdup_printf("%" G_GUINT64_FORMAT, settings->recovery_point);
    xmlNodePtr metadata = metadata_of(translating);
    xmlNodePtr stamp = xmlNewChild(metadata, NULL, (const xmlChar *)"machine", NULL);
    xmlSetNs(stamp,
             xmlNewNs(stamp, (const xmlChar *)TRANSLATE_STAMP_URI, (const xmlChar *)"landfall"));
    snapshot_xml_set(stamp, "owner", settings->owner);
    snapshot_xml_set(stamp, "kind", settings->kind ? settings->kind : "");
    snapshot_xml_set(stamp, "source", source ? source : "");
    snapshot_xml_set(stamp, "store", settings->store_id ? settings->store_id : "");
    snapshot_xml_set(stamp, "point", point);
}

/* --- the whole -----------------------------------------------------------------------------------
 */

static void set_host(struct translating *translating)
{
    const struct translate_choice *choice = translating->choice;
    xmlNodePtr domain = xmlDocGetRootElement(translating->document);
    xmlNodePtr type = translate_element(translating, "/domain/os", "type");
    g_autofree char *domain_type =
        snapshot_xml_string(translating->document, domain, "string(./@type)");
    g_autofree char *emulator =
        snapshot_xml_string(translating->document, NULL, "string(/domain/devices/emulator)");
    translate_remove_attribute(domain, "id");
    if (g_strcmp0(domain_type, choice->domain_type) != 0) {
        snapshot_xml_set(domain, "type", choice->domain_type);
        translate_note(translating, TRANSLATE_WARNING, "virtualisation", domain_type,
                       choice->domain_type,
                       "the target does not offer the source's: the machine will be slow there");
        translate_drop(translating,
                       "/domain/features/*[self::hyperv or self::kvm or self::pvspinlock] | "
                       "/domain/features/ioapic[@driver='kvm'] | "
                       "/domain/clock/timer[@name='kvmclock' or @name='hypervclock']",
                       TRANSLATE_INFO, NULL, "only KVM has it");
    }
    translate_set(translating, type, "machine", choice->machine_type, "machine type",
                  translating->settings->machine_type ? "set for the target"
                                                      : "the target's nearest");
    if (g_strcmp0(emulator, choice->emulator) != 0) {
        translate_set_text(translate_element(translating, "/domain/devices", "emulator"),
                           choice->emulator);
        translate_note(translating, TRANSLATE_INFO, "emulator", emulator, choice->emulator,
                       "where the target has it");
    }
}

static struct translation *translation_new(struct translating *translating)
{
    struct translation *translation = g_new0(struct translation, 1);
    translation->xml = snapshot_xml_text(translating->document);
    translation->name = snapshot_xml_string(translating->document, NULL, "string(/domain/name)");
    translation->uuid = snapshot_xml_string(translating->document, NULL, "string(/domain/uuid)");
    translation->changes = json_array_ref(translating->changes);
    translation->blocked = translating->blocked;
    return translation;
}

void translation_free(struct translation *translation)
{
    if (!translation)
        return;
    g_free(translation->xml);
    g_free(translation->name);
    g_free(translation->uuid);
    json_array_unref(translation->changes);
    g_free(translation);
}

struct translation *translate_run(const char *domain_xml, const struct translate_choice *choice,
                                  const char *domain_capabilities,
                                  const struct translate_settings *settings, GError **error)
{
    static void (*const subjects[])(struct translating * translating) = {
        set_metadata,   set_name,           set_uuid,           set_host,
        translate_cpu,  translate_firmware, translate_tpm,      translate_disks,
        translate_nics, translate_display,  translate_chardevs, translate_host_parts,
    };
    g_autoptr(xmlDoc) document = snapshot_xml_parse(domain_xml, "the definition", error);
    g_autoptr(xmlDoc) capabilities =
        document ? snapshot_xml_parse(domain_capabilities, "what the target offers", error) : NULL;
    if (!capabilities)
        return NULL;
    if (!translate_node(document, "/domain")) {
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "the definition is not one");
        return NULL;
    }
    g_autoptr(JsonArray) changes = json_array_new();
    struct translating translating = {document, capabilities, settings, choice, changes, FALSE};
    for (gsize i = 0; i < G_N_ELEMENTS(subjects); i++)
        subjects[i](&translating);
    return translation_new(&translating);
}

/* libvirt leaves out a QEMU that did not answer its probe, and probes it anew when asked again. */
static gboolean choose(virConnectPtr connection, const char *domain_xml,
                       const struct translate_settings *settings,
                       struct translate_choice *ret_choice, GError **error)
{
    g_autoptr(GError) cause = NULL;
    for (guint tries = 0; tries < PROBE_TRIES; tries++) {
        g_autofree char *capabilities = virConnectGetCapabilities(connection);
        g_clear_error(&cause);
        if (!capabilities)
            snapshot_libvirt_error_set(&cause, LANDFALL_ERROR_SOURCE, NULL,
                                       "the target does not tell its capabilities");
        else if (translate_choose(domain_xml, capabilities, settings, ret_choice, &cause))
            return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

struct translation *translate_for(virConnectPtr connection, const char *domain_xml,
                                  const struct translate_settings *settings, GError **error)
{
    struct translate_choice choice = {NULL};
    g_autofree char *offered = NULL;
    struct translation *translation = NULL;
    if (choose(connection, domain_xml, settings, &choice, error)) {
        offered = virConnectGetDomainCapabilities(connection, choice.emulator, choice.arch,
                                                  choice.machine_type, choice.domain_type, 0);
        if (!offered)
            snapshot_libvirt_error_set(
                error, LANDFALL_ERROR_SOURCE, NULL,
                "the target does not tell what it offers a machine of type %s",
                choice.machine_type);
        else
            translation = translate_run(domain_xml, &choice, offered, settings, error);
    }
    translate_choice_clear(&choice);
    return translation;
}
