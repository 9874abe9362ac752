/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/extent-list.c: rounding to blocks, and requests that cover exactly the extents. */

#include "replicator/block-hash.h"
#include "replicator/extent-list.h"

#define K 1024ull
#define BLOCK ((guint64)BLOCK_BYTES)

struct range {
    guint64 offset_bytes;
    guint64 length_bytes;
    enum extent_kind kind;
};

static struct extent_list *list_of(guint64 disk_bytes, const struct range *ranges, gsize n)
{
    struct extent_list *list = extent_list_new(disk_bytes);
    for (gsize i = 0; i < n; i++)
        extent_list_add(list, ranges[i].offset_bytes, ranges[i].length_bytes, ranges[i].kind);
    extent_list_seal(list);
    return list;
}

static void expect(guint64 disk_bytes, const struct range *ranges, gsize n,
                   const struct range *expected, gsize expected_count)
{
    struct extent_list *list = list_of(disk_bytes, ranges, n);
    const GArray *extents = extent_list_extents(list);
    g_assert_cmpuint(extents->len, ==, expected_count);
    for (guint i = 0; i < extents->len; i++) {
        const struct extent *extent = &g_array_index(extents, struct extent, i);
        g_assert_cmpuint(extent->offset_bytes, ==, expected[i].offset_bytes);
        g_assert_cmpuint(extent->length_bytes, ==, expected[i].length_bytes);
        g_assert_cmpint(extent->kind, ==, expected[i].kind);
    }
    extent_list_free(list);
}

#define EXPECT(disk_bytes, ranges, expected)                                                       \
    expect(disk_bytes, ranges, G_N_ELEMENTS(ranges), expected, G_N_ELEMENTS(expected))

static void test_empty(void)
{
    struct extent_list *list = list_of(BLOCK, NULL, 0);
    g_assert_cmpuint(extent_list_request_count(list), ==, 0);
    g_assert_cmpuint(extent_list_bytes(list, EXTENT_DATA), ==, 0);
    g_assert_false(extent_list_contains(list, 0));
    extent_list_free(list);
    extent_list_free(NULL);
}

/* A block that is a candidate only in part is one. */
static void test_round_data(void)
{
    const struct range one_byte[] = {{3 * BLOCK + 5, 1, EXTENT_DATA}};
    const struct range block_3[] = {{3 * BLOCK, BLOCK, EXTENT_DATA}};
    EXPECT(10 * BLOCK, one_byte, block_3);
    const struct range over_border[] = {{2 * BLOCK - 1, 2, EXTENT_DATA}};
    const struct range blocks_1_2[] = {{BLOCK, 2 * BLOCK, EXTENT_DATA}};
    EXPECT(10 * BLOCK, over_border, blocks_1_2);
    const struct range same_block[] = {{0, 512, EXTENT_DATA}, {1024, 512, EXTENT_DATA}};
    const struct range block_0[] = {{0, BLOCK, EXTENT_DATA}};
    EXPECT(10 * BLOCK, same_block, block_0);
}

/* A block that is zero only in part has to be read. */
static void test_round_zero(void)
{
    const struct range zero[] = {{BLOCK - 512, 3 * BLOCK, EXTENT_ZERO}};
    const struct range rounded[] = {
        {0, BLOCK, EXTENT_DATA}, {BLOCK, 2 * BLOCK, EXTENT_ZERO}, {3 * BLOCK, BLOCK, EXTENT_DATA}};
    EXPECT(10 * BLOCK, zero, rounded);
    const struct range within[] = {{BLOCK + 1, BLOCK - 2, EXTENT_ZERO}};
    const struct range read[] = {{BLOCK, BLOCK, EXTENT_DATA}};
    EXPECT(10 * BLOCK, within, read);
    /* Two halves of a block that are zero make a zero block. */
    const struct range halves[] = {{0, 32 * K, EXTENT_ZERO}, {32 * K, 32 * K, EXTENT_ZERO}};
    const struct range whole[] = {{0, BLOCK, EXTENT_ZERO}};
    EXPECT(10 * BLOCK, halves, whole);
}

static void test_mixed_block(void)
{
    const struct range mixed[] = {{0, 100, EXTENT_DATA}, {100, 2 * BLOCK, EXTENT_ZERO}};
    const struct range rounded[] = {
        {0, BLOCK, EXTENT_DATA}, {BLOCK, BLOCK, EXTENT_ZERO}, {2 * BLOCK, BLOCK, EXTENT_DATA}};
    EXPECT(10 * BLOCK, mixed, rounded);
    const struct range reverse[] = {{0, BLOCK + 100, EXTENT_ZERO}, {BLOCK + 100, 5, EXTENT_DATA}};
    const struct range first_zero[] = {{0, BLOCK, EXTENT_ZERO}, {BLOCK, BLOCK, EXTENT_DATA}};
    EXPECT(10 * BLOCK, reverse, first_zero);
}

/* The last block of a disk is whole when the range reaches the end of the disk. */
static void test_last_block(void)
{
    static const guint64 sizes[] = {512, BLOCK - 512, BLOCK, BLOCK + 512, 5 * BLOCK + 1024};
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        for (int kind = EXTENT_DATA; kind <= EXTENT_ZERO; kind++) {
            const struct range all[] = {{0, sizes[i], (enum extent_kind)kind}};
            EXPECT(sizes[i], all, all);
            const struct range beyond[] = {{0, G_MAXUINT64 / 2, (enum extent_kind)kind}};
            EXPECT(sizes[i], beyond, all);
        }
    }
    const struct range tail[] = {{BLOCK + 100, 412, EXTENT_ZERO}};
    const struct range read[] = {{BLOCK, 512, EXTENT_DATA}};
    EXPECT(BLOCK + 512, tail, read);
    const struct range outside[] = {{0, 1, EXTENT_DATA}, {BLOCK + 512, 512, EXTENT_DATA}};
    const struct range first[] = {{0, BLOCK, EXTENT_DATA}};
    EXPECT(BLOCK + 512, outside, first);
}

static void check_request(const struct extent *request)
{
    guint64 step = request->kind == EXTENT_DATA ? REQUEST_BYTES : ZERO_REQUEST_BYTES;
    g_assert_cmpuint(request->length_bytes, >, 0);
    g_assert_cmpuint(request->offset_bytes / step, ==,
                     (request->offset_bytes + request->length_bytes - 1) / step);
}

/* Requests in order are the extents, cut. */
static void check_requests(const struct extent_list *list)
{
    const GArray *extents = extent_list_extents(list);
    guint64 index = 0, bytes[2] = {0, 0};
    for (guint i = 0; i < extents->len; i++) {
        const struct extent *extent = &g_array_index(extents, struct extent, i);
        guint64 at = extent->offset_bytes, end = at + extent->length_bytes;
        while (at < end) {
            struct extent request = extent_list_request(list, index++);
            g_assert_cmpuint(request.offset_bytes, ==, at);
            g_assert_cmpint(request.kind, ==, extent->kind);
            check_request(&request);
            at += request.length_bytes;
            g_assert_cmpuint(at, <=, end);
        }
        bytes[extent->kind] += extent->length_bytes;
        g_assert_true(extent_list_contains(list, extent->offset_bytes));
        g_assert_true(extent_list_contains(list, end - 1));
    }
    g_assert_cmpuint(index, ==, extent_list_request_count(list));
    g_assert_cmpuint(extent_list_bytes(list, EXTENT_DATA), ==, bytes[EXTENT_DATA]);
    g_assert_cmpuint(extent_list_bytes(list, EXTENT_ZERO), ==, bytes[EXTENT_ZERO]);
}

static void test_requests(void)
{
    const struct range ranges[] = {{BLOCK, BLOCK, EXTENT_DATA},
                                   {3 * BLOCK, 11 * BLOCK, EXTENT_DATA},
                                   {16 * BLOCK, 20000 * BLOCK, EXTENT_ZERO},
                                   {20016 * BLOCK, 3 * BLOCK + 512, EXTENT_DATA}};
    struct extent_list *list = list_of(20019 * BLOCK + 512, ranges, G_N_ELEMENTS(ranges));
    check_requests(list);
    g_assert_false(extent_list_contains(list, 0));
    g_assert_false(extent_list_contains(list, 2 * BLOCK));
    g_assert_false(extent_list_contains(list, 15 * BLOCK));
    extent_list_free(list);
}

/* Against a model that keeps a state per sector: a block is zero if all of its sectors are, data if
 * any is a candidate, and absent otherwise. */
static void test_random(void)
{
    enum { SECTORS = 4096, SECTOR_BYTES = 512, IN_BLOCK = BLOCK_BYTES / SECTOR_BYTES };
    for (guint round = 0; round < 300; round++) {
        guint sectors = (guint)g_test_rand_int_range(1, SECTORS);
        guint64 disk_bytes = (guint64)sectors * SECTOR_BYTES;
        g_autofree guint8 *model = g_new0(guint8, SECTORS);
        struct extent_list *list = extent_list_new(disk_bytes);
        for (guint at = 0; at < sectors;) {
            guint state = (guint)g_test_rand_int_range(0, 3);
            guint length = (guint)g_test_rand_int_range(1, g_test_rand_bit() ? 600 : 9);
            if (state)
                extent_list_add(list, (guint64)at * SECTOR_BYTES, (guint64)length * SECTOR_BYTES,
                                state == 1 ? EXTENT_DATA : EXTENT_ZERO);
            for (guint i = at; i < MIN(at + length, sectors); i++)
                model[i] = (guint8)state;
            at += length;
        }
        extent_list_seal(list);
        check_requests(list);
        guint64 data_bytes = 0, zero_bytes = 0;
        for (guint first = 0; first < sectors; first += IN_BLOCK) {
            guint n = MIN((guint)IN_BLOCK, sectors - first), count[3] = {0, 0, 0};
            for (guint i = 0; i < n; i++)
                count[model[first + i]]++;
            gboolean zero = count[2] == n;
            *(zero ? &zero_bytes : &data_bytes) += count[0] == n ? 0 : (guint64)n * SECTOR_BYTES;
            g_assert_cmpint(extent_list_contains(list, (guint64)first * SECTOR_BYTES), ==,
                            count[0] != n);
        }
        g_assert_cmpuint(extent_list_bytes(list, EXTENT_DATA), ==, data_bytes);
        g_assert_cmpuint(extent_list_bytes(list, EXTENT_ZERO), ==, zero_bytes);
        extent_list_free(list);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/extent-list/empty", test_empty);
    g_test_add_func("/extent-list/round-data", test_round_data);
    g_test_add_func("/extent-list/round-zero", test_round_zero);
    g_test_add_func("/extent-list/mixed-block", test_mixed_block);
    g_test_add_func("/extent-list/last-block", test_last_block);
    g_test_add_func("/extent-list/requests", test_requests);
    g_test_add_func("/extent-list/random", test_random);
    return g_test_run();
}
