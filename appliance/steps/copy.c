/* SPDX-License-Identifier: Apache-2.0 */

/* copy, remove-copy: the disks of a machine that runs on what is served come into the target's
 * storage pool while it runs. QEMU copies a disk, keeps the copy the same as long as it is written
 * to, and turns to it; the machine's definitions name the volume from then on. Run again, a disk
 * that has been turned is done, a job that still runs is waited for, and any other begins anew:
 * what the machine has written lies in the overlay until then. Meanwhile the server is looked
 * after: where it has died it is started again, and the machine, which has been standing still
 * since, goes on.
 *
 *   options: "copy_mib_s": N (0: as fast as it goes)
 *   copy → { "pool": NAME, "disks": [ { "name": TEXT, "volume": NAME, "path": PATH,
 *                                       "format": TEXT, "size_bytes": N } … ], "ms": N }
 *   remove-copy → { "removed": N volumes } */

#include "appliance/steps/block-job.h"
#include "appliance/steps/serve.h"
#include "appliance/steps/steps.h"
#include "appliance/steps/volume.h"
#include "base/json.h"
#include "snapshot/xml.h"

#define MIB 1048576u
/* As full as this, a pool is what made a copy fail. */
#define POOL_FULL_BYTES (64u * MIB)
#define TRIES 30u
#define RETRY_MS 1000u

struct copy {
    const struct step_run *run;
    struct step_host host;
    virDomainPtr domain;
    virStoragePoolPtr pool;
    char *folder; /* of the overlays */
    guint64 total_bytes;
    guint64 done_bytes;
    guint64 rate_mib;
};

/* --- the server, and the machine on it -----------------------------------------------------------
 */

static gboolean tend_server(void *data, GError **error)
{
    struct copy *copy = data;
    struct nbd_address address = {NULL, 0, NULL};
    gboolean started;
    if (!serve_ensure(copy->run->work, &copy->host, copy->folder, &address, &started, error))
        return FALSE;
    nbd_address_clear(&address);
    if (started)
        step_warn(copy->run, "the process that serves the disks had gone; it runs again");
    serve_let_go_on(copy->domain);
    return TRUE;
}

/* --- one disk ------------------------------------------------------------------------------------
 */

static char *destination_xml(const struct volume *volume)
{
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"disk");
    xmlDocSetRootElement(document, root);
    snapshot_xml_set(root, "type", volume->device ? "block" : "file");
    xmlNodePtr driver = snapshot_xml_child(root, "driver", NULL);
    snapshot_xml_set(driver, "name", "qemu");
    snapshot_xml_set(driver, "type", volume->format);
    snapshot_xml_set(driver, "discard", "unmap");
    snapshot_xml_set(snapshot_xml_child(root, "source", NULL), volume->device ? "dev" : "file",
                     volume->path);
    return snapshot_xml_text(document);
}

/* libvirt keeps no job of a persistent machine over its end, and wants to hear that this is known.
 */
static gboolean begin(const struct copy *copy, const char *disk, const struct volume *volume,
                      GError **error)
{
    virTypedParameterPtr parameters = NULL;
    int count = 0, capacity = 0;
    g_autofree char *xml = destination_xml(volume);
    if (copy->rate_mib)
        virTypedParamsAddULLong(&parameters, &count, &capacity, VIR_DOMAIN_BLOCK_COPY_BANDWIDTH,
                                copy->rate_mib * MIB);
    gboolean ok = virDomainBlockCopy(copy->domain, disk, xml, parameters, count,
                                     VIR_DOMAIN_BLOCK_COPY_REUSE_EXT |
                                         VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB) == 0;
    virTypedParamsFree(parameters, count);
    if (!ok)
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE,
                                   virDomainIsActive(copy->domain) == 1
                                       ? NULL
                                       : "start the machine at the target, then do it again",
                                   "disk %s cannot be copied to %s", disk, volume->path);
    return ok;
}

static gboolean ended_early(const struct copy *copy, const char *disk, GError **error)
{
    const char *pool = virStoragePoolGetName(copy->pool);
    gboolean full = volume_pool_free_bytes(copy->pool) < POOL_FULL_BYTES;
    g_autofree char *hint =
        full ? g_strdup_printf("make room in storage pool %s, then do it again; the machine runs "
                               "on meanwhile",
                               pool)
             : g_strdup("do it again: the machine runs on, and the disk is copied anew; "
                        "/var/log/libvirt/qemu on the host may know why");
    landfall_error_set(error, full ? LANDFALL_ERROR_REPLICA : LANDFALL_ERROR_SOURCE, hint,
                       "the copy of disk %s into storage pool %s has failed%s", disk, pool,
                       full ? ": the pool is full" : "");
    return FALSE;
}

/* One try. *ret_gone: the job has failed; the disk is what it was. */
static gboolean try_to_bring(struct copy *copy, const struct block_wait *wait,
                             struct volume *volume, gboolean *ret_gone, GError **error)
{
    struct block_disk state = {NULL};
    if (!block_disk_read(copy->domain, wait->disk, FALSE, &state, error))
        return FALSE;
    gboolean runs = state.job != NULL;
    gboolean ok = !runs || block_job_check(&state, wait->disk, "copy", volume->path, error);
    block_disk_clear(&state);
    if (ok && !runs) {
        volume_clear(volume);
        ok =
            tend_server(copy, error) &&
            volume_make(copy->pool, copy->run->work, wait->disk, wait->disk_bytes, volume, error) &&
            begin(copy, wait->disk, volume, error);
    }
    return ok && block_job_wait(wait, ret_gone, error) &&
           (*ret_gone || block_job_pivot(wait, volume->path, error));
}

/* A job that loses the server fails, and so does the next as long as QEMU has not found it again.
 */
static gboolean bring(struct copy *copy, const char *disk, guint64 size_bytes,
                      struct volume *volume, GError **error)
{
    const struct block_wait wait = {
        .run = copy->run,
        .domain = copy->domain,
        .disk = disk,
        .done_bytes = copy->done_bytes,
        .disk_bytes = size_bytes,
        .total_bytes = copy->total_bytes,
        .tend = tend_server,
        .data = copy,
    };
    gboolean gone = FALSE;
    for (guint tries = 0; tries < TRIES; tries++) {
        if (!try_to_bring(copy, &wait, volume, &gone, error))
            return FALSE;
        if (!gone)
            return TRUE;
        if (volume_pool_free_bytes(copy->pool) < POOL_FULL_BYTES)
            break;
        if (!step_wait(copy->run, RETRY_MS, error))
            return FALSE;
    }
    return ended_early(copy, disk, error);
}

static JsonObject *disk_result(const char *disk, guint64 size_bytes, const struct volume *volume)
{
    JsonObject *result = json_object_new();
    json_object_set_string_member(result, "name", disk);
    json_object_set_string_member(result, "volume", volume->name);
    json_object_set_string_member(result, "path", volume->path);
    json_object_set_string_member(result, "format", volume->format);
    json_object_set_int_member(result, "size_bytes", (gint64)size_bytes);
    return result;
}

static JsonObject *copy_disk(struct copy *copy, JsonObject *fact, GError **error)
{
    struct block_disk state = {NULL};
    struct volume volume = {NULL};
    JsonObject *result = NULL;
    guint64 size_bytes;
    const char *disk;
    gboolean exists;
    if (!json_member_string(fact, "name", LANDFALL_ERROR_CONFIG, &disk, error) ||
        !json_member_uint(fact, "size_bytes", LANDFALL_ERROR_CONFIG, &size_bytes, error))
        return NULL;
    gboolean ok = block_disk_read(copy->domain, disk, FALSE, &state, error) &&
                  volume_find(copy->pool, copy->run->work, disk, &volume, &exists, error);
    gboolean done = ok && exists && g_strcmp0(state.source, volume.path) == 0;
    if (ok && (done || bring(copy, disk, size_bytes, &volume, error)))
        result = disk_result(disk, size_bytes, &volume);
    copy->done_bytes += size_bytes;
    volume_clear(&volume);
    block_disk_clear(&state);
    return result;
}

/* --- the machine ---------------------------------------------------------------------------------
 */

static gboolean count_bytes(struct copy *copy, JsonArray *disks, GError **error)
{
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk;
        guint64 size_bytes;
        if (!json_element_object(disks, i, "disk", LANDFALL_ERROR_CONFIG, &disk, error) ||
            !json_member_uint(disk, "size_bytes", LANDFALL_ERROR_CONFIG, &size_bytes, error))
            return FALSE;
        copy->total_bytes += size_bytes;
    }
    return TRUE;
}

static JsonObject *copy_disks(struct copy *copy, GError **error)
{
    gint64 begun_us = g_get_monotonic_time();
    JsonArray *disks = serve_disks(copy->run->work, error);
    g_autoptr(JsonArray) results = json_array_new();
    if (!disks || !count_bytes(copy, disks, error))
        return NULL;
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *result = step_is_cancelled(copy->run, error)
                                 ? NULL
                                 : copy_disk(copy, json_array_get_object_element(disks, i), error);
        if (!result)
            return NULL;
        json_array_add_object_element(results, result);
    }
    JsonObject *result = json_object_new();
    json_object_set_string_member(result, "pool", copy->run->work->pool);
    json_object_set_array_member(result, "disks", g_steal_pointer(&results));
    json_object_set_int_member(result, "ms", (g_get_monotonic_time() - begun_us) / 1000);
    return result;
}

static gboolean open_all(struct copy *copy, GError **error)
{
    const struct step_work *work = copy->run->work;
    gboolean gone = FALSE;
    copy->folder = serve_folder(work, &gone, error);
    if (gone)
        landfall_error_set(error, LANDFALL_ERROR_MISSING, NULL,
                           "the store has no machine '%s' any more", work->machine_name);
    if (!copy->folder || !step_work_option_uint(work, "copy_mib_s", 0, &copy->rate_mib, error) ||
        !step_host_open_target(work, &copy->host, error) ||
        !step_host_need_machine(&copy->host, work, &copy->domain, error))
        return FALSE;
    copy->pool = volume_pool_open(&copy->host, work, error);
    return copy->pool != NULL;
}

JsonObject *step_copy(const struct step_run *run, GError **error)
{
    struct copy copy = {.run = run};
    JsonObject *result = open_all(&copy, error) ? copy_disks(&copy, error) : NULL;
    g_clear_pointer(&copy.pool, virStoragePoolFree);
    g_clear_pointer(&copy.domain, virDomainFree);
    step_host_close(&copy.host);
    g_free(copy.folder);
    return result;
}

/* --- undone --------------------------------------------------------------------------------------
 */

static gboolean remove_volumes(const struct step_host *host, const struct step_work *work,
                               gint64 *ret_count, GError **error)
{
    JsonArray *disks = serve_disks(work, error);
    g_autoptr(virStoragePool) pool = disks ? volume_pool_open(host, work, error) : NULL;
    if (!pool)
        return FALSE;
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk;
        const char *name;
        gboolean removed;
        if (!json_element_object(disks, i, "disk", LANDFALL_ERROR_CONFIG, &disk, error) ||
            !json_member_string(disk, "name", LANDFALL_ERROR_CONFIG, &name, error) ||
            !volume_remove(pool, work, name, &removed, error))
            return FALSE;
        *ret_count += removed;
    }
    return TRUE;
}

/* A machine that is still there may run on them. */
static gboolean is_undefined(const struct step_host *host, const struct step_work *work,
                             GError **error)
{
    virDomainPtr domain = NULL;
    if (!step_host_find_machine(host, work, &domain, error))
        return FALSE;
    if (!domain)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "undefine it first",
                       "machine %s is still defined on host %s", virDomainGetName(domain),
                       host->name);
    virDomainFree(domain);
    return FALSE;
}

JsonObject *step_remove_copy(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    gint64 count = 0;
    gboolean needed = work->reach == STEP_REACH_NBD && work->pool && step_work_fact(work, "clone");
    if (needed) {
        struct step_host host;
        if (!step_host_open_target(work, &host, error))
            return NULL;
        gboolean ok =
            is_undefined(&host, work, error) && remove_volumes(&host, work, &count, error);
        step_host_close(&host);
        if (!ok)
            return NULL;
    }
    JsonObject *result = json_object_new();
    json_object_set_int_member(result, "removed", count);
    return result;
}
