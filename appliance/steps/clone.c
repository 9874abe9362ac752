/* SPDX-License-Identifier: Apache-2.0 */

/* clone, remove-clone: the disks of the operation's machine. Each is a qcow2 overlay in
 * STORE/MACHINE/clones/OWNER that takes what the machine writes and stands on the recovery point's
 * layer. It names that by a relative path, so that it opens wherever the store is seen.
 *
 *   clone → { "folder": PATH here, "target_folder": PATH at the target, "store_id": TEXT,
 *             "disks": [ { "name": TEXT, "path": PATH at the target, "format": "qcow2",
 *                          "size_bytes": N, "keep_owner": true | false,
 *                          "layers": [ { "path": PATH at the target, "format": TEXT } … ] } … ] }
 *           "nvram": PATH at the target of a copy of the source's UEFI variables, "nvram_copied":
 * true Where the target does not see the store, paths are those here, and there is no
 *           target_folder.
 *   remove-clone → { "removed": N files } */

#include "appliance/steps/clone.h"
#include "appliance/cycle/opened-machine.h"
#include "appliance/steps/access.h"
#include "appliance/steps/nvram.h"
#include "appliance/steps/qemu-img.h"
#include "appliance/steps/replica.h"
#include "appliance/steps/steps.h"
#include "base/error.h"
#include "replicator/layer-reader.h"
#include "replicator/store-file.h"
#include "replicator/store-hold.h"
#include "replicator/store-name.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* From the owner's folder to the machine's. */
#define UP "../.."
#define OVERLAY_FORMAT "qcow2"

struct clone {
    const struct step_work *work;
    struct opened_machine opened;
    struct step_access access;
    char *folder;         /* of the overlays, here */
    char *target_machine; /* the machine's folder, at the target */
};

static const char *format_of(const char *layer)
{
    return strcmp(layer, BASE_NAME) == 0 ? "raw" : "qcow2";
}

/* --- overlays ------------------------------------------------------------------------------------
 */

/* A file of that name is complete: it got the name last. A machine may have run on it. */
static gboolean make_overlay(const struct clone *clone, const struct manifest_disk *disk,
                             const char *overlay, GError **error)
{
    gboolean exists;
    if (!store_file_exists(overlay, &exists, error) || exists)
        return exists;
    g_autofree char *partial = g_strconcat(overlay, ".part", NULL);
    g_autofree char *backing = g_build_filename(UP, "disks", disk->name, disk->layer, NULL);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, disk->size_bytes);
    const char *const arguments[] = {"create", "-q",    "-f", OVERLAY_FORMAT,
                                     "-b",     backing, "-F", format_of(disk->layer),
                                     partial,  size,    NULL};
    gboolean ok = qemu_img_run(arguments, NULL, error) &&
                  step_access_grant(&clone->access, partial, ACCESS_READ | ACCESS_WRITE, error);
    if (ok && g_rename(partial, overlay) != 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL,
                                 "cannot rename %s to %s", partial, overlay);
        ok = FALSE;
    }
    if (!ok)
        unlink(partial);
    return ok;
}

/* The chain below the overlay, top first, as the target sees it. NULL on failure. */
static JsonArray *open_layers(const struct clone *clone, const struct manifest_disk *disk,
                              GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(clone->opened.machine, disk->name);
    struct layer_chain *chain = layer_chain_open(folder, disk->layer, error);
    if (!chain || !step_access_grant(&clone->access, folder, ACCESS_ENTER, error)) {
        layer_chain_free(chain);
        return NULL;
    }
    JsonArray *layers = json_array_new();
    const GPtrArray *names = layer_chain_names(chain);
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < names->len; i++) {
        const char *name = names->pdata[i];
        g_autofree char *here = g_build_filename(folder, name, NULL);
        g_autofree char *there =
            g_build_filename(clone->target_machine, "disks", disk->name, name, NULL);
        JsonObject *layer = json_object_new();
        json_object_set_string_member(layer, "path", there);
        json_object_set_string_member(layer, "format", format_of(name));
        json_array_add_object_element(layers, layer);
        ok = step_access_grant(&clone->access, here, ACCESS_READ, error);
    }
    layer_chain_free(chain);
    if (!ok)
        g_clear_pointer(&layers, json_array_unref);
    return layers;
}

static JsonObject *clone_disk(const struct clone *clone, const struct manifest_disk *disk,
                              GError **error)
{
    g_autofree char *owner = step_work_owner(clone->work);
    g_autofree char *file = g_strconcat(disk->name, "." OVERLAY_FORMAT, NULL);
    g_autofree char *here = g_build_filename(clone->folder, file, NULL);
    g_autofree char *there =
        g_build_filename(clone->target_machine, CLONES_FOLDER, owner, file, NULL);
    JsonArray *layers = open_layers(clone, disk, error);
    if (!layers || !make_overlay(clone, disk, here, error)) {
        g_clear_pointer(&layers, json_array_unref);
        g_prefix_error(error, "disk %s: ", disk->name);
        return NULL;
    }
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", disk->name);
    json_object_set_string_member(object, "path", there);
    json_object_set_string_member(object, "format", OVERLAY_FORMAT);
    json_object_set_int_member(object, "size_bytes", (gint64)disk->size_bytes);
    json_object_set_boolean_member(object, "keep_owner", clone->access.needed);
    json_object_set_array_member(object, "layers", layers);
    return object;
}

/* --- the machine's folder ------------------------------------------------------------------------
 */

/* QEMU's user gets as far as the overlays and the layers. */
static gboolean open_folders(const struct clone *clone, GError **error)
{
    const struct store_machine *machine = clone->opened.machine;
    g_autofree char *disks = store_machine_disk_folder(machine, NULL);
    g_autofree char *clones = g_path_get_dirname(clone->folder);
    const char *const folders[] = {clone->opened.store->path, machine->path, disks, clones,
                                   clone->folder};
    if (!store_folder_create(clones, error) || !store_folder_create(clone->folder, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++)
        if (!step_access_grant(&clone->access, folders[i], ACCESS_ENTER, error))
            return FALSE;
    return TRUE;
}

static JsonArray *clone_disks(const struct step_run *run, const struct clone *clone,
                              const struct manifest *manifest, GError **error)
{
    g_autoptr(JsonArray) disks = json_array_new();
    for (guint i = 0; i < manifest->disks->len; i++) {
        JsonObject *disk = step_is_cancelled(run, error)
                               ? NULL
                               : clone_disk(clone, manifest->disks->pdata[i], error);
        if (!disk)
            return NULL;
        json_array_add_object_element(disks, disk);
    }
    return store_folder_sync(clone->folder, error) ? g_steal_pointer(&disks) : NULL;
}

static JsonObject *make_clone(const struct step_run *run, struct clone *clone, GError **error)
{
    const struct step_work *work = run->work;
    g_autofree char *owner = step_work_owner(work);
    const struct manifest *manifest =
        opened_machine_point(&clone->opened, work->recovery_point, error);
    /* Before there is anything that stands on it; pin has done so, and again does no harm. */
    if (!manifest || !store_hold_set(clone->opened.machine, manifest->number, owner, error))
        return NULL;
    clone->folder = store_hold_folder(clone->opened.machine, owner);
    clone->target_machine = g_build_filename(work->target_store_path ? work->target_store_path
                                                                     : clone->opened.store->path,
                                             clone->opened.machine->key, NULL);
    gboolean nvram = FALSE;
    JsonArray *disks = open_folders(clone, error) &&
                               (!work->target_store_path ||
                                nvram_copy(run, &clone->access, clone->folder, &nvram, error))
                           ? clone_disks(run, clone, manifest, error)
                           : NULL;
    if (!disks)
        return NULL;
    JsonObject *result = json_object_new();
    g_autofree char *target = g_build_filename(clone->target_machine, CLONES_FOLDER, owner, NULL);
    json_object_set_string_member(result, "folder", clone->folder);
    if (work->target_store_path)
        json_object_set_string_member(result, "target_folder", target);
    if (nvram) {
        g_autofree char *path = g_build_filename(target, NVRAM_FILE, NULL);
        json_object_set_string_member(result, "nvram", path);
        json_object_set_boolean_member(result, "nvram_copied", TRUE);
    }
    json_object_set_string_member(result, "store_id", clone->opened.store->id);
    json_object_set_array_member(result, "disks", disks);
    return result;
}

/* Where the target sees the store its QEMU has to get at the files; where it does not, what serves
 * them to it is ours. */
static gboolean look_at_target(struct clone *clone, GError **error)
{
    struct step_host host;
    if (!clone->work->target_store_path)
        return TRUE;
    if (!step_host_open_target(clone->work, &host, error))
        return FALSE;
    gboolean ok = step_access_of(&host, &clone->access, error);
    step_host_close(&host);
    return ok;
}

JsonObject *step_clone(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    struct clone clone = {.work = work};
    JsonObject *result = NULL;
    if (look_at_target(&clone, error) &&
        opened_machine_open(&clone.opened, work->store_path, work->machine_uuid, STORE_READ, error))
        result = make_clone(run, &clone, error);
    opened_machine_close(&clone.opened);
    g_free(clone.folder);
    g_free(clone.target_machine);
    return result;
}

/* --- the end of it -------------------------------------------------------------------------------
 */

/* QEMU locks what it has open: an overlay that a machine runs on is not taken from under it,
 * whoever started it. */
static gboolean check_unused(const char *folder, const GPtrArray *names, GError **error)
{
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        const char *const arguments[] = {"info", path, NULL};
        g_autoptr(GError) cause = NULL;
        if (!g_str_has_suffix(path, "." OVERLAY_FORMAT) || qemu_img_run(arguments, NULL, &cause) ||
            !g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT))
            continue;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    return TRUE;
}

static gboolean remove_folder(const char *folder, gint64 *ret_count, GError **error)
{
    g_autoptr(GPtrArray) names = store_folder_list(folder, error);
    if (!names || !check_unused(folder, names, error))
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        if (!store_file_remove(path, error))
            return FALSE;
    }
    *ret_count = names->len;
    if (g_rmdir(folder) == 0 || errno == ENOENT)
        return TRUE;
    landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot remove %s",
                             folder);
    return FALSE;
}

/* *ret_folder: owned by the caller; NULL: there is none. */
static gboolean find_folder(const struct step_work *work, char **ret_folder, GError **error)
{
    g_autofree char *owner = step_work_owner(work);
    struct opened_machine opened;
    gboolean gone, exists = FALSE;
    if (!step_replica_open(work, &opened, &gone, error))
        return FALSE;
    g_autofree char *folder = gone ? NULL : store_hold_folder(opened.machine, owner);
    opened_machine_close(&opened);
    if (folder && !store_file_exists(folder, &exists, error))
        return FALSE;
    *ret_folder = exists ? g_steal_pointer(&folder) : NULL;
    return TRUE;
}

gboolean clone_check_unused(const struct step_work *work, GError **error)
{
    g_autofree char *folder = NULL;
    if (!find_folder(work, &folder, error))
        return FALSE;
    g_autoptr(GPtrArray) names = folder ? store_folder_list(folder, error) : g_ptr_array_new();
    return names && check_unused(folder, names, error);
}

JsonObject *step_remove_clone(const struct step_run *run, GError **error)
{
    g_autofree char *folder = NULL;
    gint64 count = 0;
    if (!find_folder(run->work, &folder, error) ||
        (folder && !remove_folder(folder, &count, error)))
        return NULL;
    JsonObject *result = json_object_new();
    json_object_set_int_member(result, "removed", count);
    return result;
}
