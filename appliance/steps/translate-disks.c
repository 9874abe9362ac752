/* SPDX-License-Identifier: Apache-2.0 */
/* Disks: those of the recovery point get their source at the target, optical drives and floppies
 * are emptied, others go. What the guest sees of a disk stays: bus, address, serial number, sector
 * sizes (a partition table counts in them), order of booting. */
#include "appliance/steps/translate-private.h"

#include <string.h>

static const struct translate_disk *find_disk(const struct translate_settings *settings,
                                              const char *name)
{
    for (gsize i = 0; i < settings->disk_count; i++)
        if (g_strcmp0(settings->disks[i].name, name) == 0)
            return &settings->disks[i];
    return NULL;
}

/* What is about the image at the source, or about the path to it, but the element that names it. */
static void clear_source(xmlNodePtr node)
{
    static const char *const children[] = {"backingStore", "mirror",    "auth",
                                           "encryption",   "transient", "shareable"};
    static const char *const attributes[] = {"rawio", "sgio", "snapshot"};
    for (gsize i = 0; i < G_N_ELEMENTS(children); i++)
        translate_remove_child(node, children[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(attributes); i++)
        translate_remove_attribute(node, attributes[i]);
}

static char *describe_source(struct translating *translating, xmlNodePtr node)
{
    return snapshot_xml_string(
        translating->document, node,
        "normalize-space(concat(./source/@file, ./source/@dev, ./source/@dir, ' ', "
        "./source/@protocol, ' ', ./source/@pool, ' ', ./source/@name, ./source/@volume))");
}

static char *label(struct translating *translating, xmlNodePtr node)
{
    g_autofree char *name =
        snapshot_xml_string(translating->document, node, "string(./target/@dev)");
    g_autofree char *device = snapshot_xml_string(translating->document, node, "string(./@device)");
    return g_strdup_printf("%s %s", device ? device : "disk", name ? name : "(no name)");
}

/* The driver's settings for the guest's sake stay (queues, discard, iothread). How the host's page
 * cache is used stays, too: it decides what survives a power cut. */
static xmlNodePtr reset_driver(struct translating *translating, xmlNodePtr node, const char *format)
{
    g_autoptr(GPtrArray) drivers = snapshot_xml_nodes(translating->document, node, "./driver");
    xmlNodePtr driver =
        drivers->len > 0 ? drivers->pdata[0] : snapshot_xml_child(node, "driver", NULL);
    snapshot_xml_set(driver, "name", "qemu");
    snapshot_xml_set(driver, "type", format);
    return driver;
}

static void leave_owner(xmlNodePtr source)
{
    xmlNodePtr label = snapshot_xml_child(source, "seclabel", NULL);
    snapshot_xml_set(label, "model", "dac");
    snapshot_xml_set(label, "relabel", "no");
}

/* Said in full, so that libvirt neither has to look for the images below nor takes them for its own
 * to give away: the store reads them meanwhile. */
static void add_layers(xmlNodePtr source, const struct translate_disk *disk)
{
    for (gsize i = 0; i < disk->layer_count; i++) {
        xmlNodePtr node =
            xmlAddNextSibling(source, xmlNewNode(NULL, (const xmlChar *)"backingStore"));
        snapshot_xml_set(node, "type", "file");
        snapshot_xml_set(snapshot_xml_child(node, "format", NULL), "type", disk->layers[i].format);
        source = snapshot_xml_child(node, "source", NULL);
        snapshot_xml_set(source, "file", disk->layers[i].path);
        if (disk->keep_owner)
            leave_owner(source);
    }
    if (disk->layer_count > 0)
        xmlAddNextSibling(source, xmlNewNode(NULL, (const xmlChar *)"backingStore"));
}

static char *set_file(struct translating *translating, xmlNodePtr node,
                      const struct translate_disk *disk)
{
    const char *format = disk->format ? disk->format : "qcow2";
    reset_driver(translating, node, format);
    snapshot_xml_set(node, "type", "file");
    xmlNodePtr source = translate_fresh_child(node, "source");
    snapshot_xml_set(source, "file", disk->path);
    if (disk->keep_owner)
        leave_owner(source);
    add_layers(source, disk);
    return g_strdup_printf("%s (%s)", disk->path, format);
}

/* A server that is gone pauses the machine: it goes on when the server is back, where an error
 * would have come to the guest. */
static char *set_nbd(struct translating *translating, xmlNodePtr node,
                     const struct translate_disk *disk)
{
    xmlNodePtr driver = reset_driver(translating, node, "raw");
    snapshot_xml_set(driver, "error_policy", "stop");
    snapshot_xml_set(driver, "rerror_policy", "stop");
    translate_remove_attribute(driver, "io");
    snapshot_xml_set(node, "type", "network");
    xmlNodePtr source = translate_fresh_child(node, "source");
    snapshot_xml_set(source, "protocol", "nbd");
    snapshot_xml_set(source, "name", disk->nbd_export ? disk->nbd_export : disk->name);
    xmlNodePtr host = snapshot_xml_child(source, "host", NULL);
    if (translating->settings->nbd_reconnect)
        snapshot_xml_set(snapshot_xml_child(source, "reconnect", NULL), "delay", "60");
    if (!disk->nbd_host) {
        snapshot_xml_set(host, "transport", "unix");
        snapshot_xml_set(host, "socket", disk->nbd_socket ? disk->nbd_socket : "");
        return g_strdup_printf("NBD at %s", disk->nbd_socket ? disk->nbd_socket : "");
    }
    g_autofree char *port = g_strdup_printf("%u", disk->nbd_port);
    snapshot_xml_set(host, "name", disk->nbd_host);
    snapshot_xml_set(host, "port", port);
    if (disk->nbd_tls)
        snapshot_xml_set(source, "tls", "yes");
    if (disk->nbd_tls && disk->nbd_tls_hostname)
        snapshot_xml_set(source, "tlsHostname", disk->nbd_tls_hostname);
    return g_strdup_printf("NBD at %s:%s", disk->nbd_host, port);
}

static void tell_lost(struct translating *translating, xmlNodePtr node, const char *what)
{
    static const struct {
        const char *xpath;
        const char *from;
        const char *why;
    } parts[] = {
        {"./encryption | ./source/encryption", "encrypted", "the replica is not encrypted"},
        {"./shareable", "shared", "nobody shares the replica"},
        {"./transient", "transient", "what is written to the copy stays"},
        {"self::disk[@device='lun']", "lun", "the guest's SCSI commands end at QEMU"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
        if (snapshot_xml_holds(translating->document, node, parts[i].xpath))
            translate_note(translating, TRANSLATE_WARNING, what, parts[i].from, NULL, parts[i].why);
}

static void move_disk(struct translating *translating, xmlNodePtr node,
                      const struct translate_disk *disk)
{
    g_autofree char *what = label(translating, node);
    g_autofree char *from = describe_source(translating, node);
    g_autofree char *bus =
        snapshot_xml_string(translating->document, node, "string(./target/@bus)");
    tell_lost(translating, node, what);
    clear_source(node);
    snapshot_xml_set(node, "device", "disk");
    g_autofree char *to =
        disk->path ? set_file(translating, node, disk) : set_nbd(translating, node, disk);
    translate_note(translating, TRANSLATE_INFO, what, from, to, "the replica");
    if (bus && !translate_offered(translating, "devices/disk/enum[@name='bus']", bus))
        translate_note(translating, TRANSLATE_BLOCKED, what, bus, NULL,
                       "the target does not offer disks on this bus");
}

static void eject(struct translating *translating, xmlNodePtr node)
{
    g_autofree char *what = label(translating, node);
    g_autofree char *from = describe_source(translating, node);
    clear_source(node);
    translate_remove_child(node, "source");
    snapshot_xml_set(node, "type", "file");
    reset_driver(translating, node, "raw");
    if (from)
        translate_note(translating, TRANSLATE_INFO, what, from, "empty", "ejected");
}

static void drop_disk(struct translating *translating, xmlNodePtr node, const char *name)
{
    const char *const *excluded = translating->settings->exclude_disks;
    g_autofree char *what = label(translating, node);
    g_autofree char *from = describe_source(translating, node);
    gboolean chosen = excluded && name && g_strv_contains(excluded, name);
    translate_note(translating, chosen ? TRANSLATE_INFO : TRANSLATE_WARNING, what, from, NULL,
                   chosen ? "left out of the replication" : "it is in no recovery point");
    snapshot_xml_remove(node);
}

void translate_disks(struct translating *translating)
{
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(translating->document, NULL, "/domain/devices/disk");
    for (guint i = 0; i < nodes->len; i++) {
        xmlNodePtr node = nodes->pdata[i];
        g_autofree char *name =
            snapshot_xml_string(translating->document, node, "string(./target/@dev)");
        const struct translate_disk *disk = find_disk(translating->settings, name);
        if (disk)
            move_disk(translating, node, disk);
        else if (snapshot_xml_holds(translating->document, node,
                                    "./@device='cdrom' or ./@device='floppy'"))
            eject(translating, node);
        else
            drop_disk(translating, node, name);
    }
}
