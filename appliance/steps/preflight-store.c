/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the replica: that it is there, that the target can get at it, and room for what the
 * machine writes. */
#include "appliance/steps/preflight.h"
#include "replicator/layer-reader.h"
#include "snapshot/xml.h"

#include <gio/gio.h>
#include <sys/stat.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStoragePool, virStoragePoolFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStorageVol, virStorageVolFree)

#define MIB (1024ULL * 1024)
#define SPACE_REFUSED_BYTES (256 * MIB)
#define SPACE_PART 20 /* of the disks: below it, the machine will soon have filled the rest */

/* --- the recovery point --------------------------------------------------------------------------
 */

static void open_layers(struct preflight *preflight, const struct manifest_disk *disk)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = store_machine_disk_folder(preflight->opened.machine, disk->name);
    struct layer_chain *chain = layer_chain_open(folder, disk->layer, &error);
    if (!chain) {
        g_prefix_error(&error, "disk %s: ", disk->name);
        preflight_add_error(preflight, VERDICT_BLOCKED, error);
        return;
    }
    if (layer_chain_disk_bytes(chain) != disk->size_bytes)
        checks_add(&preflight->checks, VERDICT_BLOCKED, "landfall store verify",
                   "disk %s: its layers are of another size", disk->name);
    layer_chain_free(chain);
}

static void check_point(struct preflight *preflight)
{
    const struct step_work *work = preflight->work;
    g_autoptr(GError) error = NULL;
    if (!opened_machine_open(&preflight->opened, work->store_path, work->machine_uuid, STORE_READ,
                             &error) ||
        !(preflight->point =
              opened_machine_point(&preflight->opened, work->recovery_point, &error))) {
        preflight_add_error(preflight, VERDICT_BLOCKED, error);
        return;
    }
    for (guint i = 0; i < preflight->point->disks->len; i++)
        open_layers(preflight, preflight->point->disks->pdata[i]);
}

void preflight_store(struct preflight *preflight)
{
    checks_begin(&preflight->checks, "recovery-point");
    check_point(preflight);
    checks_end(&preflight->checks, "it is there, and its files open");
}

/* --- whether the target sees it ------------------------------------------------------------------
 */

static void not_seen(struct preflight *preflight, const char *path, const char *why)
{
    checks_add(&preflight->checks, VERDICT_BLOCKED,
               "mount the store there, give the right folder (landfall target set HOST "
               "--store-path), or let it be served (--pool)",
               "the target does not see the replica as %s: %s", path, why);
}

/* The same file, not one that looks like it. */
static void look_here(struct preflight *preflight, const char *here, const char *there)
{
    struct stat ours, theirs;
    if (stat(here, &ours) != 0 || stat(there, &theirs) != 0)
        not_seen(preflight, there, "there is no such file");
    else if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
        not_seen(preflight, there, "that is another file");
}

/* libvirt looks into a folder when that is a storage pool. One that is there already is used, else
 * one is made for as long as this takes. */
static virStoragePoolPtr folder_pool(virConnectPtr connection, const char *folder,
                                     gboolean *ret_made)
{
    virStoragePoolPtr pool = virStoragePoolLookupByTargetPath(connection, folder);
    *ret_made = FALSE;
    if (pool)
        return pool;
    g_autofree char *uuid = g_uuid_string_random();
    g_autofree char *name = g_strconcat("landfall-look-", uuid, NULL);
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"pool");
    xmlDocSetRootElement(document, root);
    snapshot_xml_set(root, "type", "dir");
    snapshot_xml_child(root, "name", name);
    snapshot_xml_child(snapshot_xml_child(root, "target", NULL), "path", folder);
    g_autofree char *text = snapshot_xml_text(document);
    pool = virStoragePoolCreateXML(connection, text, 0);
    *ret_made = pool != NULL;
    return pool;
}

static void look_there(struct preflight *preflight, const char *here, const char *there)
{
    struct stat ours;
    virStorageVolInfo info;
    gboolean made;
    g_autofree char *folder = g_path_get_dirname(there);
    g_autofree char *name = g_path_get_basename(there);
    g_autoptr(virStoragePool) pool = folder_pool(preflight->target.connection, folder, &made);
    if (!pool) {
        not_seen(preflight, there, snapshot_libvirt_message());
        return;
    }
    g_autoptr(virStorageVol) volume = virStorageVolLookupByName(pool, name);
    if (!volume || virStorageVolGetInfoFlags(volume, &info, VIR_STORAGE_VOL_GET_PHYSICAL) < 0)
        not_seen(preflight, there, "there is no such file");
    else if (stat(here, &ours) == 0 && (guint64)ours.st_size != info.allocation)
        not_seen(preflight, there, "that is another file");
    if (made)
        virStoragePoolDestroy(pool);
}

static void check_store(struct preflight *preflight)
{
    const struct step_work *work = preflight->work;
    if (work->reach == STEP_REACH_NBD)
        return;
    for (guint i = 0; i < preflight->point->disks->len; i++) {
        const struct manifest_disk *disk = preflight->point->disks->pdata[i];
        g_autofree char *here =
            store_machine_disk_file(preflight->opened.machine, disk->name, disk->layer);
        g_autofree char *there = g_build_filename(work->target_store_path, work->machine_uuid,
                                                  "disks", disk->name, disk->layer, NULL);
        if (preflight->target.local)
            look_here(preflight, here, there);
        else
            look_there(preflight, here, there);
    }
}

/* --- room ----------------------------------------------------------------------------------------
 */

guint64 preflight_disk_bytes(const struct preflight *preflight)
{
    guint64 sum = 0;
    for (guint i = 0; preflight->point && i < preflight->point->disks->len; i++) {
        const struct manifest_disk *disk = preflight->point->disks->pdata[i];
        sum += disk->size_bytes;
    }
    return sum;
}

/* What the layers take up: what block copy will bring to the pool, at the most. */
static guint64 data_bytes(struct preflight *preflight)
{
    guint64 sum = 0;
    for (guint i = 0; i < preflight->point->disks->len; i++) {
        const struct manifest_disk *disk = preflight->point->disks->pdata[i];
        g_autofree char *folder = store_machine_disk_folder(preflight->opened.machine, disk->name);
        struct layer_chain *chain = layer_chain_open(folder, disk->layer, NULL);
        const GPtrArray *names = chain ? layer_chain_names(chain) : NULL;
        for (guint k = 0; names && k < names->len; k++) {
            g_autofree char *path = g_build_filename(folder, names->pdata[k], NULL);
            struct stat status;
            if (stat(path, &status) == 0)
                sum += (guint64)status.st_blocks * 512;
        }
        layer_chain_free(chain);
    }
    return MIN(sum, preflight_disk_bytes(preflight));
}

static void judge_space(struct preflight *preflight, const char *where, guint64 free_bytes,
                        guint64 needed, guint64 wanted)
{
    g_autofree char *there = g_format_size_full(free_bytes, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *least = g_format_size_full(needed, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *most = g_format_size_full(wanted, G_FORMAT_SIZE_IEC_UNITS);
    if (free_bytes < needed)
        checks_add(&preflight->checks, VERDICT_BLOCKED, "free space there",
                   "%s has %s free, and the machine needs %s at once", where, there, least);
    else if (free_bytes < wanted)
        checks_add(&preflight->checks, VERDICT_WARNING, "free space there before the machine does",
                   "%s has %s free, and the machine may come to need %s", where, there, most);
}

static void check_pool(struct preflight *preflight)
{
    const char *name = preflight->work->pool;
    virStoragePoolInfo info;
    g_autofree char *where = g_strdup_printf("pool %s of the target", name ? name : "(none)");
    if (!name) {
        checks_add(&preflight->checks, VERDICT_BLOCKED, "landfall target set HOST --pool POOL",
                   "no storage pool is set for the target");
        return;
    }
    g_autoptr(virStoragePool) pool = virStoragePoolLookupByName(preflight->target.connection, name);
    if (!pool)
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "define it there, or set another: landfall target set HOST --pool POOL",
                   "the target has no storage pool called %s", name);
    else if (virStoragePoolGetInfo(pool, &info) < 0 || info.state != VIR_STORAGE_POOL_RUNNING)
        checks_add(&preflight->checks, VERDICT_BLOCKED, "start it there: virsh pool-start",
                   "the target's storage pool %s is not active", name);
    else
        judge_space(preflight, where, info.available, data_bytes(preflight),
                    preflight_disk_bytes(preflight));
}

/* The overlays lie in the store: with a pool for the time until all is copied, else for good. */
static void check_space(struct preflight *preflight)
{
    g_autofree char *where =
        g_strdup_printf("store %s", preflight->work->store_name ? preflight->work->store_name
                                                                : preflight->work->store_path);
    g_autoptr(GFile) folder = g_file_new_for_path(preflight->work->store_path);
    g_autoptr(GFileInfo) info =
        g_file_query_filesystem_info(folder, G_FILE_ATTRIBUTE_FILESYSTEM_FREE, NULL, NULL);
    if (preflight->work->reach == STEP_REACH_NBD)
        check_pool(preflight);
    if (info && g_file_info_has_attribute(info, G_FILE_ATTRIBUTE_FILESYSTEM_FREE))
        judge_space(preflight, where,
                    g_file_info_get_attribute_uint64(info, G_FILE_ATTRIBUTE_FILESYSTEM_FREE),
                    MIN(SPACE_REFUSED_BYTES, preflight_disk_bytes(preflight)),
                    preflight_disk_bytes(preflight) / SPACE_PART);
}

void preflight_reach(struct preflight *preflight)
{
    if (!preflight->point || !preflight->target.connection)
        return;
    checks_begin(&preflight->checks, "store");
    check_store(preflight);
    checks_end(&preflight->checks, preflight->work->reach == STEP_REACH_NBD
                                       ? "it is served to the target"
                                       : "the target sees the replica");
    checks_begin(&preflight->checks, "space");
    check_space(preflight);
    checks_end(&preflight->checks, "there is room for what the machine writes");
}
