/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/extent-list.h"
#include "replicator/block-hash.h"

/* A run of blocks with the number of its first request: the prefix sums make request → extent a
 * binary search, so the list grows with the extents and not with the disk. */
struct run {
    guint64 first_request;
};

struct extent_list {
    guint64 disk_bytes;
    gboolean sealed;
    GArray *raw;     /* struct extent, as added, neighbours of one kind merged */
    GArray *extents; /* struct extent, whole blocks; valid once sealed */
    GArray *runs;    /* struct run, parallel to extents, and one more with the total */
};

struct extent_list *extent_list_new(guint64 disk_bytes)
{
    struct extent_list *list = g_new0(struct extent_list, 1);
    list->disk_bytes = disk_bytes;
    list->raw = g_array_new(FALSE, FALSE, sizeof(struct extent));
    list->extents = g_array_new(FALSE, FALSE, sizeof(struct extent));
    list->runs = g_array_new(FALSE, FALSE, sizeof(struct run));
    return list;
}

void extent_list_free(struct extent_list *list)
{
    if (!list)
        return;
    g_array_unref(list->raw);
    g_array_unref(list->extents);
    g_array_unref(list->runs);
    g_free(list);
}

static struct extent *last_extent(GArray *array)
{
    return array->len ? &g_array_index(array, struct extent, array->len - 1) : NULL;
}

static void append_merged(GArray *array, guint64 offset_bytes, guint64 length_bytes,
                          enum extent_kind kind)
{
    struct extent *last = last_extent(array);
    if (length_bytes == 0)
        return;
    if (last && last->kind == kind && last->offset_bytes + last->length_bytes == offset_bytes) {
        last->length_bytes += length_bytes;
        return;
    }
    struct extent extent = {offset_bytes, length_bytes, kind};
    g_array_append_val(array, extent);
}

void extent_list_add(struct extent_list *list, guint64 offset_bytes, guint64 length_bytes,
                     enum extent_kind kind)
{
    g_assert(!list->sealed);
    if (offset_bytes >= list->disk_bytes)
        return;
    length_bytes = MIN(length_bytes, list->disk_bytes - offset_bytes);
    const struct extent *last = last_extent(list->raw);
    g_assert(!last || offset_bytes >= last->offset_bytes + last->length_bytes);
    append_merged(list->raw, offset_bytes, length_bytes, kind);
}

/* Appends blocks [first, end), passing over what an earlier partial block already holds: partial
 * blocks are always data, so the earlier answer stands. */
static void emit_blocks(struct extent_list *list, guint64 first, guint64 end, enum extent_kind kind)
{
    const struct extent *last = last_extent(list->extents);
    if (last)
        first =
            MAX(first, (last->offset_bytes + last->length_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
    if (first >= end)
        return;
    guint64 offset_bytes = first * BLOCK_BYTES;
    guint64 end_bytes = MIN(end * BLOCK_BYTES, list->disk_bytes);
    append_merged(list->extents, offset_bytes, end_bytes - offset_bytes, kind);
}

static void seal_extent(struct extent_list *list, const struct extent *raw)
{
    guint64 end_bytes = raw->offset_bytes + raw->length_bytes;
    guint64 first = raw->offset_bytes / BLOCK_BYTES;
    guint64 whole_first = (raw->offset_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    guint64 end = (end_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    /* The disk's last block is whole when the range reaches the end of the disk. */
    guint64 whole_end = end_bytes == list->disk_bytes ? end : end_bytes / BLOCK_BYTES;
    if (whole_first >= whole_end) {
        emit_blocks(list, first, end, EXTENT_DATA);
        return;
    }
    emit_blocks(list, first, whole_first, EXTENT_DATA);
    emit_blocks(list, whole_first, whole_end, raw->kind);
    emit_blocks(list, whole_end, end, EXTENT_DATA);
}

static guint64 request_bytes(enum extent_kind kind)
{
    return kind == EXTENT_DATA ? REQUEST_BYTES : ZERO_REQUEST_BYTES;
}

void extent_list_seal(struct extent_list *list)
{
    guint64 request = 0;
    g_assert(!list->sealed);
    for (guint i = 0; i < list->raw->len; i++)
        seal_extent(list, &g_array_index(list->raw, struct extent, i));
    g_array_set_size(list->raw, 0);
    for (guint i = 0; i < list->extents->len; i++) {
        const struct extent *extent = &g_array_index(list->extents, struct extent, i);
        guint64 step = request_bytes(extent->kind);
        struct run run = {request};
        g_array_append_val(list->runs, run);
        request += (extent->offset_bytes + extent->length_bytes + step - 1) / step -
                   extent->offset_bytes / step;
    }
    struct run total = {request};
    g_array_append_val(list->runs, total);
    list->sealed = TRUE;
}

const GArray *extent_list_extents(const struct extent_list *list)
{
    g_assert(list->sealed);
    return list->extents;
}

guint64 extent_list_bytes(const struct extent_list *list, enum extent_kind kind)
{
    guint64 bytes = 0;
    g_assert(list->sealed);
    for (guint i = 0; i < list->extents->len; i++) {
        const struct extent *extent = &g_array_index(list->extents, struct extent, i);
        if (extent->kind == kind)
            bytes += extent->length_bytes;
    }
    return bytes;
}

gboolean extent_list_contains(const struct extent_list *list, guint64 offset_bytes)
{
    guint low = 0, high = list->extents->len;
    g_assert(list->sealed);
    while (low < high) {
        guint middle = low + (high - low) / 2;
        const struct extent *extent = &g_array_index(list->extents, struct extent, middle);
        if (offset_bytes < extent->offset_bytes)
            high = middle;
        else if (offset_bytes >= extent->offset_bytes + extent->length_bytes)
            low = middle + 1;
        else
            return TRUE;
    }
    return FALSE;
}

guint64 extent_list_request_count(const struct extent_list *list)
{
    g_assert(list->sealed);
    return g_array_index(list->runs, struct run, list->runs->len - 1).first_request;
}

struct extent extent_list_request(const struct extent_list *list, guint64 index)
{
    guint low = 0, high = list->extents->len;
    g_assert(index < extent_list_request_count(list));
    while (high - low > 1) { /* the last extent whose first request is not after index */
        guint middle = low + (high - low) / 2;
        if (g_array_index(list->runs, struct run, middle).first_request <= index)
            low = middle;
        else
            high = middle;
    }
    const struct extent *extent = &g_array_index(list->extents, struct extent, low);
    guint64 step = request_bytes(extent->kind);
    guint64 number = index - g_array_index(list->runs, struct run, low).first_request;
    guint64 slot = extent->offset_bytes / step + number;
    guint64 start = MAX(extent->offset_bytes, slot * step);
    guint64 end = MIN(extent->offset_bytes + extent->length_bytes, (slot + 1) * step);
    return (struct extent){start, end - start, extent->kind};
}
