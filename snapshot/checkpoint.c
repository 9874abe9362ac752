/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: list, judge, delete. A checkpoint is libvirt's record plus one dirty bitmap of the
 * same name in each covered image. All bitmaps record at the same time, so deleting one leaves
 * the others complete. */
#include "snapshot/snapshot-private.h"

#include <string.h>

GPtrArray *snapshot_checkpoint_list(struct snapshot_machine *machine, GError **error)
{
    virDomainCheckpointPtr *list = NULL;
    int count =
        virDomainListAllCheckpoints(machine->domain, &list, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
    if (count < 0) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "cannot list the checkpoints of machine %s", machine->name);
        return NULL;
    }
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < count; i++) {
        g_ptr_array_add(names, g_strdup(virDomainCheckpointGetName(list[i])));
        virDomainCheckpointFree(list[i]);
    }
    free(list);
    return names;
}

/* The definition of a checkpoint as a document. */
static xmlDocPtr checkpoint_document(struct snapshot_machine *machine,
                                     virDomainCheckpointPtr checkpoint, unsigned flags,
                                     GError **error)
{
    char *text = virDomainCheckpointGetXMLDesc(checkpoint, flags);
    if (!text) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "machine %s: cannot read checkpoint %s", machine->name,
                                   virDomainCheckpointGetName(checkpoint));
        return NULL;
    }
    xmlDocPtr document = snapshot_xml_parse(text, "a checkpoint", error);
    free(text);
    return document;
}

GHashTable *snapshot_checkpoint_usable_parse(xmlDocPtr document)
{
    GHashTable *usable = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(document, NULL, "//disks/disk[@checkpoint='bitmap' and @size]/@name");
    for (guint i = 0; i < nodes->len; i++) {
        char *name = snapshot_xml_string(document, nodes->pdata[i], "string(.)");
        if (name)
            g_hash_table_add(usable, name);
    }
    return usable;
}

GHashTable *snapshot_checkpoint_usable_disks(struct snapshot_machine *machine, const char *name,
                                             gboolean *ret_missing, GError **error)
{
    g_autoptr(virDomainCheckpoint) checkpoint =
        virDomainCheckpointLookupByName(machine->domain, name, 0);
    if (!checkpoint) {
        gboolean missing = virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_CHECKPOINT;
        if (!missing)
            snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                       "machine %s: cannot look up checkpoint %s", machine->name,
                                       name);
        *ret_missing = missing;
        return NULL;
    }
    *ret_missing = FALSE;
    /* Asked for sizes, libvirt judges the bitmap chain of each disk by the same rules as a backup
     * does, and gives a size where it is whole. Nothing is redefined, and one broken disk does not
     * hide the others. */
    g_autoptr(xmlDoc) document = checkpoint_document(
        machine, checkpoint, VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN | VIR_DOMAIN_CHECKPOINT_XML_SIZE,
        error);
    return document ? snapshot_checkpoint_usable_parse(document) : NULL;
}

/* Redefines the checkpoint so that it covers one disk alone. */
static gboolean redefine_for_disk(struct snapshot_machine *machine, xmlDocPtr whole,
                                  const char *disk_name)
{
    g_autoptr(xmlDoc) document = xmlCopyDoc(whole, 1);
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, "/domaincheckpoint/disks/disk");
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree char *name = snapshot_xml_string(document, nodes->pdata[i], "string(./@name)");
        if (g_strcmp0(name, disk_name) == 0)
            continue;
        snapshot_xml_set(nodes->pdata[i], "checkpoint", "no");
        xmlUnsetProp(nodes->pdata[i], (const xmlChar *)"bitmap");
    }
    g_autofree char *text = snapshot_xml_text(document);
    g_autoptr(virDomainCheckpoint) checkpoint =
        virDomainCheckpointCreateXML(machine->domain, text, VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE);
    return checkpoint != NULL;
}

static gboolean delete_flags(struct snapshot_machine *machine, const char *name, unsigned flags)
{
    g_autoptr(virDomainCheckpoint) checkpoint =
        virDomainCheckpointLookupByName(machine->domain, name, 0);
    if (!checkpoint)
        return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_CHECKPOINT;
    return virDomainCheckpointDelete(checkpoint, flags) == 0;
}

/* libvirt deletes a checkpoint only when every bitmap of it can be found. So where one is gone,
 * each disk gets its own try: the checkpoint is redefined to it alone, and deleted. */
static gboolean delete_disk_by_disk(struct snapshot_machine *machine, const char *name,
                                    GError **error)
{
    g_autoptr(virDomainCheckpoint) checkpoint =
        virDomainCheckpointLookupByName(machine->domain, name, 0);
    if (!checkpoint)
        return TRUE;
    g_autoptr(xmlDoc) whole =
        checkpoint_document(machine, checkpoint, VIR_DOMAIN_CHECKPOINT_XML_SECURE, error);
    if (!whole)
        return FALSE;
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(whole, NULL, "/domaincheckpoint/disks/disk[@checkpoint='bitmap']/@name");
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree char *disk_name = snapshot_xml_string(whole, nodes->pdata[i], "string(.)");
        if (redefine_for_disk(machine, whole, disk_name))
            delete_flags(machine, name, 0);
    }
    if (delete_flags(machine, name, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY))
        return TRUE;
    snapshot_libvirt_error_set(
        error, LANDFALL_ERROR_SOURCE,
        "`virsh checkpoint-delete --metadata` on the host removes the record",
        "machine %s: cannot delete checkpoint %s", machine->name, name);
    return FALSE;
}

gboolean snapshot_checkpoint_delete(struct snapshot_machine *machine, const char *name,
                                    GError **error)
{
    if (delete_flags(machine, name, 0))
        return TRUE;
    /* These say nothing of the bitmaps, and taking the checkpoint apart would not help. */
    int code = virGetLastErrorCode();
    g_autoptr(GError) refusal = NULL;
    snapshot_libvirt_error_set(&refusal, LANDFALL_ERROR_SOURCE,
                               "the next cycle deletes it before anything else",
                               "machine %s: cannot delete checkpoint %s", machine->name, name);
    gboolean active = FALSE;
    if (code != VIR_ERR_OPERATION_TIMEOUT && snapshot_machine_ask_active(machine, &active, NULL) &&
        active)
        return delete_disk_by_disk(machine, name, error);
    g_propagate_error(error, g_steal_pointer(&refusal));
    return FALSE;
}

/* A definition that has libvirt know a checkpoint of this name again, for all disks that can have
 * one. The time is of no consequence, but must be there, and not be 0. */
static char *adoption(const struct snapshot_machine *machine, const char *name, GError **error)
{
    g_autoptr(xmlDoc) domain = snapshot_xml_parse(machine->xml, "the definition", error);
    if (!domain)
        return NULL;
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"domaincheckpoint");
    xmlDocSetRootElement(document, root);
    snapshot_xml_child(root, "name", name);
    snapshot_xml_child(root, "creationTime", "1");
    xmlNodePtr disks = snapshot_xml_child(root, "disks", NULL);
    for (guint i = 0; i < machine->disks->len; i++) {
        const struct machine_disk *disk = machine->disks->pdata[i];
        xmlNodePtr node = snapshot_xml_child(disks, "disk", NULL);
        snapshot_xml_set(node, "name", disk->public.name);
        snapshot_xml_set(node, "checkpoint", disk->public.no_bitmap_cause ? "no" : "bitmap");
    }
    xmlAddChild(root, xmlDocCopyNode(xmlDocGetRootElement(domain), document, 1));
    return snapshot_xml_text(document);
}

gboolean snapshot_checkpoint_delete_lost(struct snapshot_machine *machine, const char *name,
                                         GError **error)
{
    g_autofree char *text = adoption(machine, name, error);
    if (!text)
        return FALSE;
    g_autoptr(virDomainCheckpoint) checkpoint =
        virDomainCheckpointCreateXML(machine->domain, text, VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE);
    if (checkpoint)
        return snapshot_checkpoint_delete(machine, name, error);
    snapshot_libvirt_error_set(
        error, LANDFALL_ERROR_SOURCE,
        "with the machine off, `qemu-img bitmap --remove` takes the bitmap out of an image",
        "machine %s: the host has forgotten checkpoint %s, and its bitmaps stay in the images",
        machine->name, name);
    return FALSE;
}

char *snapshot_checkpoint_probe(struct snapshot_machine *machine, const char *stem,
                                const char *disk_name)
{
    g_autofree char *name = g_strdup_printf("%s-probe-%s", stem, disk_name);
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"domaincheckpoint");
    xmlDocSetRootElement(document, root);
    snapshot_xml_child(root, "name", name);
    xmlNodePtr disk = snapshot_xml_child(snapshot_xml_child(root, "disks", NULL), "disk", NULL);
    snapshot_xml_set(disk, "name", disk_name);
    snapshot_xml_set(disk, "checkpoint", "bitmap");
    g_autofree char *text = snapshot_xml_text(document);
    g_autoptr(virDomainCheckpoint) checkpoint =
        virDomainCheckpointCreateXML(machine->domain, text, 0);
    if (!checkpoint)
        return g_strdup(snapshot_libvirt_message());
    virDomainCheckpointDelete(checkpoint, 0);
    return NULL;
}
