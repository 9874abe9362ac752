/* SPDX-License-Identifier: Apache-2.0 */

/* The delta contract: the bitmap narrows where one can be trusted; where not, this disk alone is
 * scanned, and the cause is kept. */

#include "base/error.h"
#include "replicator/audit.h"
#include "replicator/candidates.h"
#include "replicator/disk-cycle.h"
#include "replicator/store-recover.h"

#include <string.h>

static void demote(struct disk_cycle *disk, const char *cause, const char *detail)
{
    disk->mode = SCAN_HASH_SCAN;
    g_free(disk->demotion_cause);
    g_free(disk->demotion_detail);
    disk->demotion_cause = g_strdup(cause);
    disk->demotion_detail = g_strdup(detail);
}

/* Whether the bitmap counts from the state that the replica has. */
static gboolean bitmap_fits(struct disk_cycle *disk, const struct cycle_context *context)
{
    const struct manifest *latest = store_machine_latest(context->machine);
    const char *since = context->work->bitmap_since;
    if (!manifest_disk_find(latest, disk->work->source.name)) {
        demote(disk, "disk-was-away", "the latest recovery point does not have this disk");
        return FALSE;
    }
    if (since && g_strcmp0(since, latest->checkpoint) != 0) {
        demote(disk, "checkpoint-mismatch",
               "the bitmap does not count from the latest recovery point");
        return FALSE;
    }
    return TRUE;
}

/* Decides before connecting; disk->mode is SCAN_BITMAP only if a bitmap is worth asking for. */
static void decide(struct disk_cycle *disk, const struct cycle_context *context)
{
    const struct work_disk *work = disk->work;
    if (!disk->previous)
        disk->mode = SCAN_INITIAL;
    else if (context->work->full_scan)
        demote(disk, "requested", "a full scan was asked for");
    else if (!work->bitmap)
        demote(disk, work->demotion_cause ? work->demotion_cause : "no-bitmap",
               work->demotion_cause ? work->demotion_detail : "the source offers no dirty bitmap");
    else if (bitmap_fits(disk, context))
        disk->mode = SCAN_BITMAP;
}

/* Asks the server for its size and for what it granted. */
static gboolean examine(struct disk_cycle *disk, GError **error)
{
    const struct work_disk *work = disk->work;
    if (!nbd_source_size(&work->source, disk->handle, &disk->disk_bytes, error))
        return FALSE;
    if (disk->previous && disk->previous->size_bytes != disk->disk_bytes) {
        g_autofree char *detail =
            g_strdup_printf("%" G_GUINT64_FORMAT " bytes before, %" G_GUINT64_FORMAT " now",
                            disk->previous->size_bytes, disk->disk_bytes);
        demote(disk, "size-changed", detail);
    } else if (disk->mode == SCAN_BITMAP && nbd_can_meta_context(disk->handle, work->bitmap) != 1) {
        g_autofree char *detail = g_strdup_printf("the server does not offer %s", work->bitmap);
        demote(disk, "bitmap-not-offered", detail);
    }
    return TRUE;
}

/* Connects for the context that the mode needs; a demotion on the way connects once more. */
static gboolean connect_source(struct disk_cycle *disk, const struct cycle_context *context,
                               GError **error)
{
    const struct work_disk *work = disk->work;
    gboolean by_bitmap = disk->mode == SCAN_BITMAP;
    disk->handle =
        nbd_source_connect(&work->source, by_bitmap ? work->bitmap : NBD_CONTEXT_ALLOCATION,
                           context->cancelled, error);
    if (!disk->handle || !examine(disk, error))
        return FALSE;
    if (!by_bitmap || disk->mode == SCAN_BITMAP)
        return TRUE;
    nbd_close(disk->handle);
    disk->handle =
        nbd_source_connect(&work->source, NBD_CONTEXT_ALLOCATION, context->cancelled, error);
    return disk->handle != NULL;
}

static gboolean list_all(struct disk_cycle *disk, const struct cycle_context *context,
                         GError **error)
{
    g_clear_pointer(&disk->candidates, extent_list_free);
    disk->candidates = candidates_all(&disk->work->source, &disk->handle, disk->disk_bytes,
                                      context->cancelled, error);
    return disk->candidates != NULL;
}

/* A bitmap that missed a change is of no use: everything is looked at, in this very cycle. */
static gboolean escalate(struct disk_cycle *disk, const struct cycle_context *context,
                         GError **error)
{
    g_autofree char *detail = g_strdup_printf(
        "block %" G_GUINT64_FORMAT " changed, and the bitmap calls it clean (%" G_GUINT64_FORMAT
        " of %" G_GUINT64_FORMAT " sampled blocks)",
        disk->audit.missed_block, disk->audit.misses, disk->audit.audited_blocks);
    demote(disk, "audit-missed", detail);
    context->observer->warning(context->observer->data, "audit-missed", disk->work->source.name,
                               detail);
    nbd_close(disk->handle);
    disk->handle =
        nbd_source_connect(&disk->work->source, NBD_CONTEXT_ALLOCATION, context->cancelled, error);
    return disk->handle && list_all(disk, context, error);
}

static gboolean list_dirty(struct disk_cycle *disk, const struct cycle_context *context,
                           GError **error)
{
    disk->candidates = candidates_by_bitmap(&disk->work->source, &disk->handle, disk->work->bitmap,
                                            disk->disk_bytes, context->cancelled, error);
    if (!disk->candidates ||
        !audit_sample(&disk->work->source, disk->handle, disk->map, disk->candidates,
                      context->work->audit_blocks, context->cancelled, &disk->audit, error))
        return FALSE;
    return disk->audit.misses == 0 || escalate(disk, context, error);
}

gboolean disk_cycle_plan(struct disk_cycle *disk, const struct cycle_context *context,
                         GError **error)
{
    const char *name = disk->work->source.name;
    const struct manifest *manifest = store_machine_latest_with_disk(context->machine, name);
    disk->previous = manifest ? manifest_disk_find(manifest, name) : NULL;
    decide(disk, context);
    if (disk->previous && !(disk->map = store_map_open(context->machine, disk->previous, error)))
        return FALSE;
    if (!connect_source(disk, context, error) ||
        !(disk->mode == SCAN_BITMAP ? list_dirty(disk, context, error)
                                    : list_all(disk, context, error)))
        return FALSE;
    guint64 candidate_bytes = extent_list_bytes(disk->candidates, EXTENT_DATA) +
                              extent_list_bytes(disk->candidates, EXTENT_ZERO);
    context->observer->plan(context->observer->data, name, disk->mode, candidate_bytes,
                            disk->demotion_cause, disk->demotion_detail);
    return TRUE;
}
