/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/block-job.h"
#include "snapshot/xml.h"

#define POLL_MS 200u

void block_disk_clear(struct block_disk *disk)
{
    g_clear_pointer(&disk->source, g_free);
    g_clear_pointer(&disk->mirror, g_free);
    g_clear_pointer(&disk->job, g_free);
}

static gboolean off_or_gone(const struct block_wait *wait, const char *what, GError **error)
{
    gboolean active = virDomainIsActive(wait->domain) == 1;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE,
                               active ? NULL : "start the machine at the target, then do it again",
                               "machine %s, disk %s: cannot %s%s", virDomainGetName(wait->domain),
                               wait->disk, what, active ? "" : ": it does not run");
    return FALSE;
}

gboolean block_disk_read(virDomainPtr domain, const char *name, gboolean inactive,
                         struct block_disk *ret_disk, GError **error)
{
    char *text = virDomainGetXMLDesc(domain, inactive ? VIR_DOMAIN_XML_INACTIVE : 0);
    if (!text) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "machine %s has no definition", virDomainGetName(domain));
        return FALSE;
    }
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the definition", error);
    free(text);
    if (!document)
        return FALSE;
    g_autofree char *xpath = g_strdup_printf("/domain/devices/disk[target/@dev='%s']", name);
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, xpath);
    if (nodes->len != 1) {
        landfall_error_set(error, LANDFALL_ERROR_MISSING, NULL, "machine %s has no disk %s",
                           virDomainGetName(domain), name);
        return FALSE;
    }
    xmlNodePtr node = nodes->pdata[0];
    ret_disk->source =
        snapshot_xml_string(document, node, "string(./source/@file | ./source/@dev)");
    ret_disk->mirror =
        snapshot_xml_string(document, node, "string(./mirror/source/@file | ./mirror/source/@dev)");
    ret_disk->job = snapshot_xml_string(document, node, "string(./mirror/@job)");
    ret_disk->ready = snapshot_xml_holds(document, node, "./mirror[@ready='yes']");
    return TRUE;
}

gboolean block_job_check(const struct block_disk *disk, const char *name, const char *job,
                         const char *path, GError **error)
{
    if (g_strcmp0(disk->job, job) == 0 && g_strcmp0(disk->mirror, path) == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "wait for it, or end it with `virsh blockjob --abort` on the host",
                       "disk %s: another job (%s) writes it to %s", name, disk->job,
                       disk->mirror ? disk->mirror : "the network");
    return FALSE;
}

static gboolean is_ready(const struct block_wait *wait, gboolean *ret_ready, GError **error)
{
    struct block_disk disk = {NULL};
    if (!block_disk_read(wait->domain, wait->disk, FALSE, &disk, error))
        return FALSE;
    *ret_ready = disk.ready;
    block_disk_clear(&disk);
    return TRUE;
}

/* A job that has just begun tells 0 of 1. */
static void tell_progress(const struct block_wait *wait, const virDomainBlockJobInfo *info)
{
    double part = info->end > 1 ? (double)info->cur / (double)info->end : 0;
    guint64 done = wait->done_bytes + (guint64)(part * (double)wait->disk_bytes);
    step_progress(wait->run, done, wait->total_bytes);
}

gboolean block_job_wait(const struct block_wait *wait, gboolean *ret_gone, GError **error)
{
    for (;;) {
        virDomainBlockJobInfo info = {0};
        gboolean ready = FALSE;
        int found = virDomainGetBlockJobInfo(wait->domain, wait->disk, &info, 0);
        if (found < 0)
            return off_or_gone(wait, "look at its job", error);
        *ret_gone = found == 0;
        if (*ret_gone)
            return TRUE;
        tell_progress(wait, &info);
        if (info.cur == info.end && !is_ready(wait, &ready, error))
            return FALSE;
        if (ready)
            return TRUE;
        if ((wait->tend && !wait->tend(wait->data, error)) || !step_wait(wait->run, POLL_MS, error))
            return FALSE;
    }
}

static gboolean names_image(const struct block_wait *wait, gboolean inactive, const char *path,
                            GError **error)
{
    struct block_disk disk = {NULL};
    if (!block_disk_read(wait->domain, wait->disk, inactive, &disk, error))
        return FALSE;
    gboolean ok = g_strcmp0(disk.source, path) == 0;
    if (!ok)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                           "look at it with `virsh dumpxml`, with and without --inactive",
                           "machine %s, disk %s: the %s definition has %s and not %s",
                           virDomainGetName(wait->domain), wait->disk,
                           inactive ? "persistent" : "running",
                           disk.source ? disk.source : "a network disk", path);
    block_disk_clear(&disk);
    return ok;
}

gboolean block_job_pivot(const struct block_wait *wait, const char *path, GError **error)
{
    if (virDomainBlockJobAbort(wait->domain, wait->disk, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) != 0)
        return off_or_gone(wait, "turn it to its new image", error);
    return names_image(wait, FALSE, path, error) && names_image(wait, TRUE, path, error);
}
