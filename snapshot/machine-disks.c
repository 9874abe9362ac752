/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of a domain definition, and what can be done with each. */
#include "snapshot/snapshot-private.h"

#include <string.h>

static void machine_disk_free(struct machine_disk *disk)
{
    g_free(disk->public.name);
    g_free(disk->public.format);
    g_free(disk->public.source);
    g_free(disk->public.unsupported_reason);
    g_free(disk->public.no_bitmap_cause);
    g_free(disk->image_dir);
    g_ptr_array_unref(disk->places);
    g_free(disk);
}

static gboolean has(xmlDocPtr document, xmlNodePtr node, const char *child)
{
    g_autofree char *xpath = g_strdup_printf("name(./%s)", child);
    g_autofree char *name = snapshot_xml_string(document, node, xpath);
    return name != NULL;
}

/* A place for people: the path or device, "rbd:pool/image", "pool/volume". */
static char *source_text(xmlDocPtr document, xmlNodePtr node, const char *type)
{
    if (g_strcmp0(type, "network") == 0)
        return snapshot_xml_string(document, node,
                                   "concat(./source/@protocol, ':', ./source/@name)");
    if (g_strcmp0(type, "volume") == 0)
        return snapshot_xml_string(document, node, "concat(./source/@pool, '/', ./source/@volume)");
    return snapshot_xml_string(document, node,
                               "string(./source/@file | ./source/@dev | ./source/@dir | "
                               "./source/@path)");
}

/* The places of a disk's images, from the one that is written down to the lowest that is known. */
static GPtrArray *places(xmlDocPtr document, xmlNodePtr node)
{
    GPtrArray *places = g_ptr_array_new_with_free_func(g_free);
    while (node) {
        g_autofree char *type = snapshot_xml_string(document, node, "string(./@type)");
        char *place = source_text(document, node, type);
        if (place)
            g_ptr_array_add(places, place);
        node = xmlFirstElementChild(node);
        while (node && !xmlStrEqual(node->name, (const xmlChar *)"backingStore"))
            node = xmlNextElementSibling(node);
    }
    return places;
}

/* Why no snapshot of the disk makes sense, or NULL. */
static const char *unsupported_reason(xmlDocPtr document, xmlNodePtr node, const char *type,
                                      const char *device)
{
    if (strcmp(device, "cdrom") == 0)
        return "an optical drive: its medium is not the machine's own";
    if (strcmp(device, "floppy") == 0)
        return "a floppy drive: its medium is not the machine's own";
    if (strcmp(device, "lun") == 0)
        return "SCSI passthrough (device='lun'): QEMU does not see the guest's writes";
    if (!has(document, node, "source"))
        return "an empty drive";
    if (g_strcmp0(type, "vhostuser") == 0 || g_strcmp0(type, "vhostvdpa") == 0)
        return "served outside of QEMU (vhost): QEMU does not see the guest's writes";
    if (g_strcmp0(type, "dir") == 0)
        return "a folder shown as a disk: there is no disk behind it";
    if (has(document, node, "shareable"))
        return "shared with other machines: their writes cannot be frozen together";
    if (has(document, node, "transient"))
        return "transient: its changes are thrown away when the machine stops";
    return NULL;
}

static struct machine_disk *disk_parse(xmlDocPtr document, xmlNodePtr node)
{
    struct machine_disk *disk = g_new0(struct machine_disk, 1);
    g_autofree char *type = snapshot_xml_string(document, node, "string(./@type)");
    g_autofree char *device = snapshot_xml_string(document, node, "string(./@device)");
    g_autofree char *file = snapshot_xml_string(document, node, "string(./source/@file)");
    disk->public.name = snapshot_xml_string(document, node, "string(./target/@dev)");
    disk->public.format = snapshot_xml_string(document, node, "string(./driver/@type)");
    disk->public.source = source_text(document, node, type);
    disk->public.unsupported_reason =
        g_strdup(unsupported_reason(document, node, type, device ? device : "disk"));
    disk->places = places(document, node);
    disk->is_plain = (g_strcmp0(type, "file") == 0 || g_strcmp0(type, "block") == 0) &&
                     !has(document, node, "encryption") &&
                     !has(document, node, "source/encryption") &&
                     !has(document, node, "source/slices") && !has(document, node, "mirror") &&
                     !has(document, node, "backingStore/source");
    disk->read_only = has(document, node, "readonly");
    disk->public.removable = g_strcmp0(device, "cdrom") == 0 || g_strcmp0(device, "floppy") == 0 ||
                             !has(document, node, "source");
    if (!disk->public.name)
        disk->public.name = g_strdup("");
    if (!disk->public.format)
        disk->public.format = g_strdup("raw");
    if (!disk->public.source)
        disk->public.source = g_strdup("");
    if (file)
        disk->image_dir = g_path_get_dirname(file);
    /* libvirt makes checkpoints of writable qcow2 disks alone. */
    if (strcmp(disk->public.format, "qcow2") != 0 || disk->read_only)
        disk->public.no_bitmap_cause = g_strdup(SNAPSHOT_CAUSE_NO_BITMAP_FORMAT);
    return disk;
}

GPtrArray *snapshot_machine_disks_read(xmlDocPtr document)
{
    GPtrArray *disks = g_ptr_array_new_with_free_func((GDestroyNotify)machine_disk_free);
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, SNAPSHOT_DISK_XPATH);
    for (guint i = 0; i < nodes->len; i++)
        g_ptr_array_add(disks, disk_parse(document, nodes->pdata[i]));
    return disks;
}

GPtrArray *snapshot_machine_disks_parse(const char *domain_xml, GError **error)
{
    g_autoptr(xmlDoc) document = snapshot_xml_parse(domain_xml, "the definition", error);
    return document ? snapshot_machine_disks_read(document) : NULL;
}
