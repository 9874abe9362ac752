/* SPDX-License-Identifier: Apache-2.0 */

/* The delta contract: the bitmap narrows where one can be trusted; where not, this disk alone is
 * scanned, and the cause is kept. */

#include "base/error.h"
#include "replicator/audit.h"
#include "replicator/candidates.h"
#include "replicator/disk-cycle.h"
#include "replicator/nbd-reader.h"
#include "replicator/store-recover.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define PLAN_RETRY_MS 1000

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
    nbd_source_close(disk->handle);
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
    nbd_source_close(disk->handle);
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

/* Everything that plan_once found, for another try. */
static void forget_plan(struct disk_cycle *disk)
{
    g_clear_pointer(&disk->handle, nbd_source_close);
    g_clear_pointer(&disk->candidates, extent_list_free);
    g_clear_pointer(&disk->demotion_cause, g_free);
    g_clear_pointer(&disk->demotion_detail, g_free);
    disk->audit = (struct audit_result){0};
}

static gboolean plan_once(struct disk_cycle *disk, const struct cycle_context *context,
                          gboolean *ret_connected, GError **error)
{
    decide(disk, context);
    *ret_connected = connect_source(disk, context, error);
    if (!*ret_connected) {
        /* A connection that was cut in the handshake was one. */
        *ret_connected = nbd_get_errno() == ECONNRESET;
        return FALSE;
    }
    return disk->mode == SCAN_BITMAP ? list_dirty(disk, context, error)
                                     : list_all(disk, context, error);
}

/* A server that was there once is tried again: listing and audit are short and are begun anew. One
 * that never answered is an error at once. */
static gboolean plan_patiently(struct disk_cycle *disk, const struct cycle_context *context,
                               GError **error)
{
    guint failures = 0; /* of a server that was there */
    gint64 first_us = 0;
    for (;;) {
        g_autoptr(GError) cause = NULL;
        gboolean connected;
        if (plan_once(disk, context, &connected, &cause))
            return TRUE;
        gint64 now_us = g_get_monotonic_time();
        if (connected && failures++ == 0)
            first_us = now_us;
        if (failures == 0 || failures == NBD_READER_TRIES ||
            !g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_SOURCE) ||
            now_us - first_us > context->work->reconnect_seconds * G_TIME_SPAN_SECOND) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        context->observer->warning(context->observer->data, "plan-repeated",
                                   disk->work->source.name, cause->message);
        forget_plan(disk);
        poll(NULL, 0, PLAN_RETRY_MS); /* a signal to end cuts it short */
    }
}

gboolean disk_cycle_plan(struct disk_cycle *disk, const struct cycle_context *context,
                         GError **error)
{
    const char *name = disk->work->source.name;
    const struct manifest *manifest = store_machine_latest_with_disk(context->machine, name);
    disk->previous = manifest ? manifest_disk_find(manifest, name) : NULL;
    if (disk->previous && !(disk->map = store_map_open(context->machine, disk->previous, error)))
        return FALSE;
    if (!plan_patiently(disk, context, error))
        return FALSE;
    guint64 candidate_bytes = extent_list_bytes(disk->candidates, EXTENT_DATA) +
                              extent_list_bytes(disk->candidates, EXTENT_ZERO);
    context->observer->plan(context->observer->data, name, disk->mode, candidate_bytes,
                            disk->demotion_cause, disk->demotion_detail);
    return TRUE;
}
