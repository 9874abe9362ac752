/* SPDX-License-Identifier: Apache-2.0 */

/* Block status as a hostile server may tell it. The input is a disk's size and numbers that are
 * taken as the server's answers, to the bitmap and to the allocation, until the disk is covered.
 * Whatever they are: each block of the disk that somebody called dirty is a candidate, and one is
 * zero only if every byte of it was called zero. */

#include "replicator/block-hash.h"
#include "replicator/candidates.h"

#include <string.h>

#define SECTOR 512u
#define BLOCKS_MAX 512u
#define SECTORS_IN_BLOCK (BLOCK_BYTES / SECTOR)
#define DIRTY 1u
#define ZERO 2u

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

struct input {
    const guint8 *data;
    gsize length;
};

static guint64 take_number(struct input *input, gsize bytes)
{
    guint64 number = 0;
    gsize n = MIN(bytes, input->length);
    if (n)
        memcpy(&number, input->data, n);
    input->data += n;
    input->length -= n;
    return number;
}

/* As a server that answers a question some extents at a time; the rest of the disk, when the input
 * is at its end, is clean data. */
static GArray *answer(struct input *input, guint64 start, guint64 end)
{
    struct status_answer answer;
    status_answer_init(&answer, start, end);
    while (answer.position_bytes < end && input->length > 0) {
        guint32 entries[9];
        gsize count = (gsize)take_number(input, 1) % G_N_ELEMENTS(entries);
        guint64 at = count == 8 ? take_number(input, 8) : answer.position_bytes;
        for (gsize i = 0; i < count; i++)
            entries[i] = (guint32)take_number(input, i % 2 ? 1 : 4);
        status_answer_take(&answer, at, entries, count);
    }
    if (answer.position_bytes < end) {
        guint64 rest = end - answer.position_bytes;
        for (guint32 entries[2] = {0, 0}; rest > 0; rest -= entries[0]) {
            entries[0] = (guint32)MIN(rest, G_MAXUINT32);
            status_answer_take(&answer, answer.position_bytes, entries, 2);
        }
    }
    g_assert_cmpuint(answer.position_bytes, ==, end);
    return answer.extents;
}

static void expect_cover(const GArray *status, guint64 start, guint64 end)
{
    for (guint i = 0; i < status->len; i++) {
        const struct status_extent *extent = &g_array_index(status, struct status_extent, i);
        g_assert_cmpuint(extent->offset_bytes, ==, start);
        g_assert_cmpuint(extent->length_bytes, >, 0);
        g_assert_cmpuint(extent->length_bytes, <=, end - start);
        start += extent->length_bytes;
    }
    g_assert_cmpuint(start, ==, end);
}

/* What was said of block: of any of its bytes, and of all. */
static void flags_of(const GArray *status, guint64 block, guint64 disk_bytes, guint32 *ret_any,
                     guint32 *ret_all)
{
    guint64 start = block * BLOCK_BYTES, end = MIN(start + BLOCK_BYTES, disk_bytes);
    gboolean told = FALSE;
    *ret_any = 0;
    *ret_all = G_MAXUINT32;
    for (guint i = 0; i < status->len; i++) {
        const struct status_extent *extent = &g_array_index(status, struct status_extent, i);
        if (extent->offset_bytes >= end || extent->offset_bytes + extent->length_bytes <= start)
            continue;
        *ret_any |= extent->flags;
        *ret_all &= extent->flags;
        told = TRUE;
    }
    if (!told)
        *ret_all = 0;
}

static const struct extent *find(const struct extent_list *list, guint64 offset)
{
    const GArray *extents = extent_list_extents(list);
    for (guint i = 0; i < extents->len; i++) {
        const struct extent *extent = &g_array_index(extents, struct extent, i);
        if (offset >= extent->offset_bytes && offset - extent->offset_bytes < extent->length_bytes)
            return extent;
    }
    return NULL;
}

/* Requests are the extents once more, in pieces. */
static void expect_requests(const struct extent_list *list, guint64 disk_bytes)
{
    guint64 count = extent_list_request_count(list), bytes = 0, end = 0;
    for (guint64 i = 0; i < count; i++) {
        struct extent request = extent_list_request(list, i);
        g_assert_cmpuint(request.offset_bytes, >=, end);
        g_assert_cmpuint(request.offset_bytes % BLOCK_BYTES, ==, 0);
        g_assert_cmpuint(request.length_bytes, >, 0);
        end = request.offset_bytes + request.length_bytes;
        g_assert_true(end == disk_bytes || end % BLOCK_BYTES == 0);
        bytes += request.length_bytes;
    }
    g_assert_cmpuint(end, <=, disk_bytes);
    g_assert_cmpuint(bytes, ==,
                     extent_list_bytes(list, EXTENT_DATA) + extent_list_bytes(list, EXTENT_ZERO));
}

/* dirty NULL: all blocks are candidates; allocation NULL: nothing is known to be zero. */
static void expect_candidates(const struct extent_list *list, const GArray *dirty,
                              const GArray *allocation, guint64 disk_bytes)
{
    for (guint64 block = 0; block * BLOCK_BYTES < disk_bytes; block++) {
        guint32 any = DIRTY, all, any_zero, all_zero = 0;
        if (dirty)
            flags_of(dirty, block, disk_bytes, &any, &all);
        if (allocation)
            flags_of(allocation, block, disk_bytes, &any_zero, &all_zero);
        const struct extent *extent = find(list, block * BLOCK_BYTES);
        g_assert_cmpint(extent != NULL, ==, (any & DIRTY) != 0);
        g_assert_cmpint(extent_list_contains(list, block * BLOCK_BYTES), ==, extent != NULL);
        if (extent && extent->kind == EXTENT_ZERO)
            g_assert_true(all_zero & ZERO);
    }
    expect_requests(list, disk_bytes);
}

static GArray *ask(struct input *input, const GArray *ranges)
{
    GArray *status = g_array_new(FALSE, FALSE, sizeof(struct status_extent));
    for (guint i = 0; i < ranges->len; i++) {
        const struct status_range *range = &g_array_index(ranges, struct status_range, i);
        guint64 end = range->offset_bytes + range->length_bytes;
        g_autoptr(GArray) part = answer(input, range->offset_bytes, end);
        expect_cover(part, range->offset_bytes, end);
        g_array_append_vals(status, part->data, part->len);
    }
    return status;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    struct input input = {data, length};
    guint64 sectors = take_number(&input, 2) % (BLOCKS_MAX * SECTORS_IN_BLOCK) + 1;
    guint64 disk_bytes = sectors * SECTOR, far = take_number(&input, 8);
    /* Far from the beginning, up to the last byte there is. */
    g_autoptr(GArray) remote = answer(&input, far, far | 0xffffffff);
    expect_cover(remote, far, far | 0xffffffff);

    g_autoptr(GArray) status = answer(&input, 0, disk_bytes);
    expect_cover(status, 0, disk_bytes);
    struct extent_list *all = candidates_of_allocation(status, disk_bytes);
    expect_candidates(all, NULL, status, disk_bytes);
    extent_list_free(all);

    struct extent_list *dirty = candidates_of_bitmap(status, disk_bytes);
    expect_candidates(dirty, status, NULL, disk_bytes);
    g_autoptr(GArray) ranges = candidates_to_ask(dirty);
    g_autoptr(GArray) allocation = ask(&input, ranges);
    struct extent_list *both = candidates_with_allocation(dirty, allocation, disk_bytes);
    expect_candidates(both, status, allocation, disk_bytes);
    extent_list_free(both);
    extent_list_free(dirty);
    return 0;
}
