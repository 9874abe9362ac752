/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/volume.h"
#include "base/error.h"
#include "snapshot/xml.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStorageVol, virStorageVolFree)

#define NAME_CHARACTERS G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "._-"

void volume_clear(struct volume *volume)
{
    g_clear_pointer(&volume->name, g_free);
    g_clear_pointer(&volume->path, g_free);
}

static gboolean refused(virStoragePoolPtr pool, enum landfall_error_code code, const char *what,
                        GError **error)
{
    snapshot_libvirt_error_set(error, code, NULL, "storage pool %s: cannot %s",
                               virStoragePoolGetName(pool), what);
    return FALSE;
}

/* Kinds of pools, by what their volumes are. */
static gboolean pool_kind(virStoragePoolPtr pool, gboolean *ret_device, GError **error)
{
    static const char *const files[] = {"dir", "fs", "netfs", "vstorage", NULL};
    static const char *const devices[] = {"logical", "disk", "zfs", NULL};
    char *text = virStoragePoolGetXMLDesc(pool, 0);
    if (!text)
        return refused(pool, LANDFALL_ERROR_SOURCE, "tell what it is", error);
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the storage pool", error);
    free(text);
    if (!document)
        return FALSE;
    g_autofree char *kind = snapshot_xml_string(document, NULL, "string(/pool/@type)");
    *ret_device = kind && g_strv_contains(devices, kind);
    if (*ret_device || (kind && g_strv_contains(files, kind)))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                       "landfall target set HOST --pool POOL, with a pool of files or of devices",
                       "storage pool %s is of kind %s, into which no disk can be brought",
                       virStoragePoolGetName(pool), kind ? kind : "unknown");
    return FALSE;
}

virStoragePoolPtr volume_pool_open(const struct step_host *host, const struct step_work *work,
                                   GError **error)
{
    gboolean device;
    const char *hint = "landfall target set HOST --pool POOL; `virsh pool-list --all` on the host "
                       "shows what there is";
    if (!work->pool) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint,
                           "it is not known into which storage pool of host %s disks go",
                           host->name);
        return NULL;
    }
    g_autoptr(virStoragePool) pool = virStoragePoolLookupByName(host->connection, work->pool);
    if (!pool) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_CONFIG, hint,
                                   "host %s has no storage pool %s", host->name, work->pool);
        return NULL;
    }
    if (virStoragePoolIsActive(pool) != 1 && virStoragePoolCreate(pool, 0) != 0) {
        refused(pool, LANDFALL_ERROR_SOURCE, "start it", error);
        return NULL;
    }
    return pool_kind(pool, &device, error) ? g_steal_pointer(&pool) : NULL;
}

static gboolean describe(virStoragePoolPtr pool, const struct step_work *work, const char *disk,
                         struct volume *ret_volume, GError **error)
{
    g_autofree char *owner = step_work_owner(work);
    gboolean device;
    if (!pool_kind(pool, &device, error))
        return FALSE;
    ret_volume->name =
        g_strdup_printf("%s-%s.%s%s", work->machine_name, disk, owner, device ? "" : ".qcow2");
    g_strcanon(ret_volume->name, NAME_CHARACTERS, '-');
    ret_volume->path = NULL;
    ret_volume->format = device ? "raw" : "qcow2";
    ret_volume->device = device;
    return TRUE;
}

gboolean volume_find(virStoragePoolPtr pool, const struct step_work *work, const char *disk,
                     struct volume *ret_volume, gboolean *ret_exists, GError **error)
{
    if (!describe(pool, work, disk, ret_volume, error))
        return FALSE;
    g_autoptr(virStorageVol) found = virStorageVolLookupByName(pool, ret_volume->name);
    char *path = found ? virStorageVolGetPath(found) : NULL;
    ret_volume->path = g_strdup(path);
    free(path);
    *ret_exists = found != NULL;
    return TRUE;
}

static char *volume_xml(const struct volume *volume, guint64 size_bytes)
{
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, size_bytes);
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"volume");
    xmlDocSetRootElement(document, root);
    snapshot_xml_child(root, "name", volume->name);
    snapshot_xml_set(snapshot_xml_child(root, "capacity", size), "unit", "bytes");
    if (!volume->device) {
        snapshot_xml_child(root, "allocation", "0");
        snapshot_xml_set(
            snapshot_xml_child(snapshot_xml_child(root, "target", NULL), "format", NULL), "type",
            volume->format);
    }
    return snapshot_xml_text(document);
}

gboolean volume_make(virStoragePoolPtr pool, const struct step_work *work, const char *disk,
                     guint64 size_bytes, struct volume *ret_volume, GError **error)
{
    gboolean removed;
    if (!volume_remove(pool, work, disk, &removed, error) ||
        !describe(pool, work, disk, ret_volume, error))
        return FALSE;
    g_autofree char *xml = volume_xml(ret_volume, size_bytes);
    g_autoptr(virStorageVol) made = virStorageVolCreateXML(pool, xml, 0);
    char *path = made ? virStorageVolGetPath(made) : NULL;
    ret_volume->path = g_strdup(path);
    free(path);
    return ret_volume->path || refused(pool, LANDFALL_ERROR_REPLICA, "make a volume", error);
}

/* Files may have come and gone since libvirt last looked. */
gboolean volume_remove(virStoragePoolPtr pool, const struct step_work *work, const char *disk,
                       gboolean *ret_removed, GError **error)
{
    struct volume volume = {NULL};
    *ret_removed = FALSE;
    virStoragePoolRefresh(pool, 0);
    if (!volume_find(pool, work, disk, &volume, ret_removed, error))
        return FALSE;
    g_autoptr(virStorageVol) found =
        *ret_removed ? virStorageVolLookupByName(pool, volume.name) : NULL;
    volume_clear(&volume);
    return !found || virStorageVolDelete(found, 0) == 0 ||
           refused(pool, LANDFALL_ERROR_SOURCE, "remove a volume", error);
}

guint64 volume_pool_free_bytes(virStoragePoolPtr pool)
{
    virStoragePoolInfo info = {0};
    virStoragePoolRefresh(pool, 0);
    return virStoragePoolGetInfo(pool, &info) == 0 ? info.available : 0;
}
