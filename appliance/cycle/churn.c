/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/churn.h"

/* The busiest of so many recovery points counts, and the longest of their cycles. */
#define POINTS_MAX 8u

static gint64 created_unix_s(const struct manifest *manifest)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(manifest->created, NULL);
    return time ? g_date_time_to_unix(time) : 0;
}

/* What a bitmap named is what was written since the recovery point before: a rate. */
static double bytes_per_second(const struct manifest *before, const struct manifest *manifest,
                               const char *disk)
{
    const struct manifest_disk *entry = manifest_disk_find(manifest, disk);
    gint64 seconds = created_unix_s(manifest) - created_unix_s(before);
    if (!entry || entry->mode != SCAN_BITMAP || seconds < 0)
        return 0;
    return (double)entry->figures.candidate_bytes / (double)MAX(seconds, 1);
}

guint64 churn_expect(const struct store_machine *replicas, const char *disk)
{
    const GPtrArray *manifests = replicas->manifests;
    double rate = 0;
    guint64 duration_ms = 0;
    gboolean measured = FALSE;
    guint first = manifests->len > POINTS_MAX ? manifests->len - POINTS_MAX : 1;
    for (guint i = first; i < manifests->len; i++) {
        const struct manifest *manifest = manifests->pdata[i];
        const struct manifest_disk *entry = manifest_disk_find(manifest, disk);
        measured = measured || (entry && entry->mode == SCAN_BITMAP);
        rate = MAX(rate, bytes_per_second(manifests->pdata[i - 1], manifest, disk));
        duration_ms = MAX(duration_ms, manifest->duration_ms);
    }
    return measured ? MAX((guint64)(rate * (double)duration_ms / 1000), 1) : 0;
}
