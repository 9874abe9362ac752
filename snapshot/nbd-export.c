/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot over plain NBD exports: whoever serves them keeps them still. There is no host to ask
 * and no checkpoint to keep, so each cycle is a hash scan. */
#include "snapshot/snapshot-private.h"

static gboolean check_uri(const char *name, const char *text, GError **error)
{
    static const char *const schemes[] = {"nbd",       "nbds",       "nbd+unix", "nbds+unix",
                                          "nbd+vsock", "nbds+vsock", NULL};
    g_autoptr(GError) reason = NULL;
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_ENCODED, &reason);
    if (uri && g_strv_contains(schemes, g_uri_get_scheme(uri)))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "write it as libnbd does: nbd://host/export, nbd+unix:///export?socket=PATH",
                       "disk %s: \"%s\" is not an NBD URI%s%s", name, text, reason ? ": " : "",
                       reason ? reason->message : "");
    return FALSE;
}

struct snapshot *snapshot_begin_nbd(const char *const *names, const char *const *uris,
                                    gsize disk_count, GError **error)
{
    for (gsize i = 0; i < disk_count; i++)
        if (!check_uri(names[i], uris[i], error))
            return NULL;
    struct snapshot *snapshot = snapshot_new(NULL, NULL);
    for (gsize i = 0; i < disk_count; i++) {
        struct snapshot_disk *disk = g_new0(struct snapshot_disk, 1);
        disk->name = g_strdup(names[i]);
        disk->nbd_uri = g_strdup(uris[i]);
        disk->demotion_cause = g_strdup(SNAPSHOT_CAUSE_NBD_EXPORT);
        disk->demotion_detail = g_strdup("a plain NBD export has no checkpoints");
        g_ptr_array_add(snapshot->disks, disk);
    }
    return snapshot;
}
