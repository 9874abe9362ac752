/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/candidates.h"

/* Meaning of the flags: NBD protocol, "base:allocation"; QEMU's docs/interop/nbd.txt for bitmaps.
 */
#define STATE_ZERO 2u
#define BITMAP_DIRTY 1u

/* Shorter dirty ranges are read and found to be zero by looking: asking costs a walk through the
 * server's tables. A discard of a large range is worth the question. */
#define ASK_ALLOCATION_BYTES (4ull << 20)

struct extent_list *candidates_of_allocation(const GArray *status, guint64 disk_bytes)
{
    struct extent_list *list = extent_list_new(disk_bytes);
    for (guint i = 0; i < status->len; i++) {
        const struct status_extent *extent = &g_array_index(status, struct status_extent, i);
        extent_list_add(list, extent->offset_bytes, extent->length_bytes,
                        extent->flags & STATE_ZERO ? EXTENT_ZERO : EXTENT_DATA);
    }
    extent_list_seal(list);
    return list;
}

struct extent_list *candidates_all(const struct nbd_source *source, struct nbd_handle **handle,
                                   guint64 disk_bytes, const gint *cancelled, GError **error)
{
    if (nbd_can_meta_context(*handle, NBD_CONTEXT_ALLOCATION) == 1) {
        struct status_range all = {0, disk_bytes};
        g_autoptr(GArray) status =
            nbd_source_status(source, handle, NBD_CONTEXT_ALLOCATION, &all, 1, cancelled, error);
        return status ? candidates_of_allocation(status, disk_bytes) : NULL;
    }
    struct extent_list *list = extent_list_new(disk_bytes);
    extent_list_add(list, 0, disk_bytes, EXTENT_DATA);
    extent_list_seal(list);
    return list;
}

struct extent_list *candidates_of_bitmap(const GArray *status, guint64 disk_bytes)
{
    struct extent_list *list = extent_list_new(disk_bytes);
    for (guint i = 0; i < status->len; i++) {
        const struct status_extent *extent = &g_array_index(status, struct status_extent, i);
        if (extent->flags & BITMAP_DIRTY)
            extent_list_add(list, extent->offset_bytes, extent->length_bytes, EXTENT_DATA);
    }
    extent_list_seal(list);
    return list;
}

GArray *candidates_to_ask(const struct extent_list *list)
{
    const GArray *extents = extent_list_extents(list);
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(struct status_range));
    for (guint i = 0; i < extents->len; i++) {
        const struct extent *extent = &g_array_index(extents, struct extent, i);
        struct status_range range = {extent->offset_bytes, extent->length_bytes};
        if (extent->length_bytes >= ASK_ALLOCATION_BYTES)
            g_array_append_val(ranges, range);
    }
    return ranges;
}

struct extent_list *candidates_with_allocation(const struct extent_list *dirty,
                                               const GArray *status, guint64 disk_bytes)
{
    const GArray *extents = extent_list_extents(dirty);
    struct extent_list *list = extent_list_new(disk_bytes);
    guint next = 0;
    for (guint i = 0; i < extents->len; i++) {
        const struct extent *extent = &g_array_index(extents, struct extent, i);
        guint64 end = extent->offset_bytes + extent->length_bytes;
        if (extent->length_bytes < ASK_ALLOCATION_BYTES) {
            extent_list_add(list, extent->offset_bytes, extent->length_bytes, EXTENT_DATA);
            continue;
        }
        for (; next < status->len; next++) {
            const struct status_extent *part = &g_array_index(status, struct status_extent, next);
            if (part->offset_bytes >= end)
                break;
            extent_list_add(list, part->offset_bytes, part->length_bytes,
                            part->flags & STATE_ZERO ? EXTENT_ZERO : EXTENT_DATA);
        }
    }
    extent_list_seal(list);
    return list;
}

/* Asks on a connection of its own: with both contexts on one, the server would walk its tables for
 * the whole disk while it lists the bitmap. */
static GArray *ask_allocation(const struct nbd_source *source, const GArray *ranges,
                              const gint *cancelled, GError **error)
{
    GArray *status = NULL;
    struct nbd_handle *handle =
        nbd_source_connect(source, NBD_CONTEXT_ALLOCATION, cancelled, error);
    if (!handle)
        return NULL;
    if (nbd_can_meta_context(handle, NBD_CONTEXT_ALLOCATION) == 1) {
        status = nbd_source_status(source, &handle, NBD_CONTEXT_ALLOCATION,
                                   (const struct status_range *)(const void *)ranges->data,
                                   ranges->len, cancelled, error);
    } else { /* nothing is known: all of it is to be read */
        status = g_array_new(FALSE, FALSE, sizeof(struct status_extent));
        for (guint i = 0; i < ranges->len; i++) {
            const struct status_range *range = &g_array_index(ranges, struct status_range, i);
            struct status_extent extent = {range->offset_bytes, range->length_bytes, 0};
            g_array_append_val(status, extent);
        }
    }
    nbd_source_close(handle);
    return status;
}

struct extent_list *candidates_by_bitmap(const struct nbd_source *source,
                                         struct nbd_handle **handle, const char *bitmap,
                                         guint64 disk_bytes, const gint *cancelled, GError **error)
{
    struct status_range all = {0, disk_bytes};
    g_autoptr(GArray) status = nbd_source_status(source, handle, bitmap, &all, 1, cancelled, error);
    if (!status)
        return NULL;
    struct extent_list *dirty = candidates_of_bitmap(status, disk_bytes);
    g_autoptr(GArray) ranges = candidates_to_ask(dirty);
    if (ranges->len == 0 || nbd_can_multi_conn(*handle) != 1)
        return dirty;
    g_autoptr(GArray) allocation = ask_allocation(source, ranges, cancelled, error);
    struct extent_list *list =
        allocation ? candidates_with_allocation(dirty, allocation, disk_bytes) : NULL;
    extent_list_free(dirty);
    return list;
}
