/* SPDX-License-Identifier: Apache-2.0 */
/* The two definitions virDomainBackupBegin takes: the backup job and its checkpoint. */
#include "snapshot/snapshot-private.h"

#include <string.h>

static const struct disk_decision *decision_for(const GPtrArray *decisions, const char *name)
{
    for (guint i = 0; i < decisions->len; i++) {
        const struct disk_decision *decision = decisions->pdata[i];
        if (strcmp(decision->disk->public.name, name) == 0)
            return decision;
    }
    return NULL;
}

static void add_backup_disk(xmlNodePtr disks, const struct disk_decision *decision)
{
    xmlNodePtr disk = snapshot_xml_child(disks, "disk", NULL);
    snapshot_xml_set(disk, "name", decision->disk->public.name);
    snapshot_xml_set(disk, "backup", "yes");
    snapshot_xml_set(disk, "type", "file");
    snapshot_xml_set(disk, "exportname", decision->disk->public.name);
    if (decision->incremental) {
        snapshot_xml_set(disk, "backupmode", "incremental");
        snapshot_xml_set(disk, "incremental", decision->incremental);
        snapshot_xml_set(disk, "exportbitmap", SNAPSHOT_EXPORT_BITMAP);
    } else {
        snapshot_xml_set(disk, "backupmode", "full");
    }
    xmlNodePtr driver = snapshot_xml_child(disk, "driver", NULL);
    snapshot_xml_set(driver, "type", "qcow2");
    xmlNodePtr scratch = snapshot_xml_child(disk, "scratch", NULL);
    snapshot_xml_set(scratch, "file", decision->scratch_path);
}

char *snapshot_backup_xml(const struct snapshot_machine *machine, const GPtrArray *decisions,
                          const char *socket_path)
{
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"domainbackup");
    xmlDocSetRootElement(document, root);
    snapshot_xml_set(root, "mode", "pull");
    xmlNodePtr server = snapshot_xml_child(root, "server", NULL);
    snapshot_xml_set(server, "transport", "unix");
    snapshot_xml_set(server, "socket", socket_path);
    xmlNodePtr disks = snapshot_xml_child(root, "disks", NULL);
    for (guint i = 0; i < machine->disks->len; i++) {
        const struct machine_disk *disk = machine->disks->pdata[i];
        const struct disk_decision *decision = decision_for(decisions, disk->public.name);
        if (decision) {
            add_backup_disk(disks, decision);
            continue;
        }
        xmlNodePtr node = snapshot_xml_child(disks, "disk", NULL);
        snapshot_xml_set(node, "name", disk->public.name);
        snapshot_xml_set(node, "backup", "no");
    }
    return snapshot_xml_text(document);
}

char *snapshot_checkpoint_xml(const struct snapshot_machine *machine, const GPtrArray *decisions,
                              const char *name)
{
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"domaincheckpoint");
    xmlDocSetRootElement(document, root);
    snapshot_xml_child(root, "name", name);
    xmlNodePtr disks = snapshot_xml_child(root, "disks", NULL);
    guint covered_count = 0;
    for (guint i = 0; i < machine->disks->len; i++) {
        const struct machine_disk *disk = machine->disks->pdata[i];
        const struct disk_decision *decision = decision_for(decisions, disk->public.name);
        gboolean covered = decision && decision->checkpoint;
        xmlNodePtr node = snapshot_xml_child(disks, "disk", NULL);
        snapshot_xml_set(node, "name", disk->public.name);
        snapshot_xml_set(node, "checkpoint", covered ? "bitmap" : "no");
        covered_count += covered ? 1 : 0;
    }
    return covered_count ? snapshot_xml_text(document) : NULL;
}
