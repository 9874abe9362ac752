/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/block-map.c and block-hash.c: hashes at the edges of blocks, entries, the hash tree,
 * other sizes, damage. */

#include "base/error.h"
#include "replicator/block-map.h"
#include "tests/unit/temp-folder.h"

#include <string.h>

#define BLOCK ((guint64)BLOCK_BYTES)
#define PAGE (MAP_PAGE_BLOCKS * BLOCK)
#define SEED 0x1122334455667788ull

static const guint64 sizes[] = {512,          BLOCK - 512,        BLOCK,       BLOCK + 512,
                                PAGE - BLOCK, PAGE - 512,         PAGE,        PAGE + 512,
                                3 * PAGE,     8192 * BLOCK - 512, 8193 * BLOCK};

static struct block_hash hash_of(guint64 number)
{
    return block_hash_bytes(&number, sizeof number, 1);
}

static void test_counts(void)
{
    g_assert_cmpuint(block_count(512), ==, 1);
    g_assert_cmpuint(block_count(BLOCK), ==, 1);
    g_assert_cmpuint(block_count(BLOCK + 512), ==, 2);
    g_assert_cmpuint(block_length(512, 0), ==, 512);
    g_assert_cmpuint(block_length(BLOCK + 512, 0), ==, BLOCK);
    g_assert_cmpuint(block_length(BLOCK + 512, 1), ==, 512);
    g_assert_cmpuint(block_map_page_count(PAGE), ==, 1);
    g_assert_cmpuint(block_map_page_count(PAGE + 512), ==, 2);
}

/* Zero is told from anything else wherever the other byte is, and length and seed count. */
static void test_hash(void)
{
    g_autofree guint8 *data = g_malloc0(BLOCK_BYTES);
    struct block_hash hash = block_hash_compute(data, BLOCK_BYTES, SEED);
    g_assert_true(block_hash_is_zero(&hash));
    hash = block_hash_compute(data, 1, SEED);
    g_assert_true(block_hash_is_zero(&hash));
    for (gsize at = 0; at < BLOCK_BYTES; at += at < 600 ? 1 : 4093) {
        data[at] = 1;
        hash = block_hash_compute(data, BLOCK_BYTES, SEED);
        g_assert_false(block_hash_is_zero(&hash));
        g_assert_false(bytes_are_zero(data, BLOCK_BYTES));
        data[at] = 0;
    }
    data[0] = 7;
    struct block_hash whole = block_hash_compute(data, BLOCK_BYTES, SEED);
    struct block_hash part = block_hash_compute(data, 512, SEED);
    struct block_hash other = block_hash_compute(data, BLOCK_BYTES, SEED + 1);
    g_assert_false(block_hash_equal(&whole, &part));
    g_assert_false(block_hash_equal(&whole, &other));
}

static void test_hex(void)
{
    struct block_hash hash = hash_of(1), back = {{0}};
    g_autofree char *hex = block_hash_to_hex(&hash);
    g_assert_true(block_hash_from_hex(hex, &back));
    g_assert_true(block_hash_equal(&hash, &back));
    static const char *const wrong[] = {"",
                                        "0",
                                        "0123456789abcdef0123456789abcde",
                                        "0123456789abcdef0123456789abcdef0",
                                        "0123456789ABCDEF0123456789abcdef",
                                        "0123456789abcdeg0123456789abcdef",
                                        " 123456789abcdef0123456789abcdef"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_false(block_hash_from_hex(wrong[i], &back));
    g_assert_true(block_hash_equal(&hash, &back));
}

static struct block_hash root_of(const struct block_map *map)
{
    guint64 page_count;
    g_autoptr(GError) error = NULL;
    g_autofree struct block_hash *pages = block_map_load_page_hashes(map, &page_count, &error);
    g_assert_no_error(error);
    return block_map_root(pages, page_count, block_map_disk_bytes(map), block_map_seed(map));
}

/* For each size at an edge: first, last and middle entries survive closing, and count in the root.
 */
static void test_entries(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "map", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        guint64 count = block_count(sizes[i]), places[] = {0, count / 2, count - 1};
        struct block_map *map = block_map_create(path, sizes[i], SEED, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(block_map_next_nonzero(map, 0), ==, G_MAXUINT64);
        struct block_hash empty = root_of(map), last = empty;
        for (gsize k = 0; k < G_N_ELEMENTS(places); k++) {
            struct block_hash hash = hash_of(k + 1);
            g_assert_true(block_map_write(map, places[k], 1, &hash, &error));
        }
        g_assert_true(block_map_rehash(map, NULL, &error));
        struct block_hash root = root_of(map);
        g_assert_false(block_hash_equal(&root, &empty));
        g_assert_true(block_map_seal(map, 7, &error));
        block_map_free(map);
        map = block_map_open(path, FALSE, &error);
        g_assert_no_error(error);
        g_assert_true(block_map_check(map, &error));
        g_assert_cmpuint(block_map_disk_bytes(map), ==, sizes[i]);
        g_assert_cmpuint(block_map_generation(map), ==, 7);
        g_assert_cmpuint(block_map_seed(map), ==, SEED);
        last = root_of(map);
        g_assert_true(block_hash_equal(&root, &last));
        struct block_hash read[3], expected = hash_of(3);
        g_assert_true(block_map_read(map, count - 1, 3, read, &error));
        g_assert_true(block_hash_equal(&read[0], &expected));
        g_assert_true(block_hash_is_zero(&read[1]) && block_hash_is_zero(&read[2]));
        g_assert_cmpuint(block_map_next_nonzero(map, count - 1), ==, count - 1);
        g_assert_cmpuint(block_map_next_nonzero(map, count), ==, G_MAXUINT64);
        block_map_free(map);
    }
}

/* What one reaches by steps is what one makes at once: the tree knows no history. */
static void test_incremental(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "map", NULL);
    g_autofree char *fresh_path = g_build_filename(folder, "fresh", NULL);
    g_autoptr(GError) error = NULL;
    struct block_map *map = block_map_create(path, 5 * PAGE - 512, SEED, &error);
    for (guint round = 0; round < 60; round++) {
        g_autoptr(GArray) pages = g_array_new(FALSE, FALSE, sizeof(guint64));
        if (round % 5 == 4)
            g_assert_true(block_map_resize(
                map, (guint64)g_test_rand_int_range(1, 10 * MAP_PAGE_BLOCKS * 128) * 512, &error));
        guint64 count = block_count(block_map_disk_bytes(map));
        for (guint64 page = 0; page < block_map_page_count(block_map_disk_bytes(map)); page++)
            g_array_append_val(pages, page); /* a cut page may change without a write */
        for (guint i = 0; i < 40; i++) {
            guint64 block = (guint64)g_test_rand_int_range(0, (gint32)count);
            struct block_hash hash = {{0}};
            if (g_test_rand_bit())
                hash = hash_of((guint64)g_test_rand_int_range(0, G_MAXINT32));
            g_assert_true(block_map_write(map, block, 1, &hash, &error));
        }
        g_assert_true(block_map_rehash(map, pages, &error));
        struct block_map *fresh =
            block_map_create(fresh_path, block_map_disk_bytes(map), SEED, &error);
        g_autofree struct block_hash *all = g_new(struct block_hash, count);
        g_assert_true(block_map_read(map, 0, count, all, &error));
        for (guint64 block = 0; block < count; block++)
            if (!block_hash_is_zero(&all[block]))
                g_assert_true(block_map_write(fresh, block, 1, &all[block], &error));
        g_assert_true(block_map_rehash(fresh, NULL, &error));
        struct block_hash root = root_of(map), expected = root_of(fresh);
        g_assert_true(block_hash_equal(&root, &expected));
        block_map_free(fresh);
    }
    block_map_free(map);
}

/* A tail that was cut off does not come back. */
static void test_regrow(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "map", NULL);
    static const guint64 cuts[] = {512, BLOCK, 3 * BLOCK + 512, PAGE - 512, PAGE, PAGE + BLOCK};
    for (gsize i = 0; i < G_N_ELEMENTS(cuts); i++) {
        g_autoptr(GError) error = NULL;
        struct block_map *map = block_map_create(path, 3 * PAGE, SEED, &error);
        struct block_hash hashes[3 * MAP_PAGE_BLOCKS];
        for (guint block = 0; block < G_N_ELEMENTS(hashes); block++)
            hashes[block] = hash_of(block);
        g_assert_true(block_map_write(map, 0, G_N_ELEMENTS(hashes), hashes, &error));
        g_assert_true(block_map_rehash(map, NULL, &error));
        g_assert_true(block_map_resize(map, cuts[i], &error));
        g_assert_true(block_map_check(map, &error));
        g_assert_true(block_map_resize(map, 3 * PAGE, &error));
        g_assert_true(block_map_read(map, 0, G_N_ELEMENTS(hashes), hashes, &error));
        for (guint block = 0; block < G_N_ELEMENTS(hashes); block++)
            g_assert_cmpint(block_hash_is_zero(&hashes[block]), ==, block >= block_count(cuts[i]));
        guint64 page_count;
        g_autofree struct block_hash *pages = block_map_load_page_hashes(map, &page_count, &error);
        for (guint64 page = block_map_page_count(cuts[i]); page < page_count; page++)
            g_assert_true(block_hash_is_zero(&pages[page]));
        block_map_free(map);
    }
}

/* Size and seed count in the root, so that maps of different disks are never taken for each other.
 */
static void test_root(void)
{
    struct block_hash pages[2] = {hash_of(1), hash_of(2)};
    struct block_hash root = block_map_root(pages, 2, PAGE + 512, SEED);
    struct block_hash size = block_map_root(pages, 2, PAGE + 1024, SEED);
    struct block_hash seed = block_map_root(pages, 2, PAGE + 512, SEED + 1);
    struct block_hash swapped = {{0}}, exchanged[2] = {pages[1], pages[0]};
    swapped = block_map_root(exchanged, 2, PAGE + 512, SEED);
    g_assert_false(block_hash_equal(&root, &size));
    g_assert_false(block_hash_equal(&root, &seed));
    g_assert_false(block_hash_equal(&root, &swapped));
}

static void test_damage(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "map", NULL);
    g_autoptr(GError) error = NULL;
    g_assert_null(block_map_open(path, TRUE, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    g_clear_error(&error);
    struct block_map *map = block_map_create(path, PAGE, SEED, &error);
    g_assert_true(block_map_seal(map, 3, &error));
    block_map_free(map);
    for (gsize at = 0; at < 56; at++) {
        FILE *file = g_fopen(path, "r+e");
        g_assert_cmpint(fseek(file, (long)at, SEEK_SET), ==, 0);
        int byte = fgetc(file);
        for (guint write = 0; write < 2; write++) { /* spoil, look, mend */
            g_assert_cmpint(fseek(file, (long)at, SEEK_SET), ==, 0);
            fputc(write ? byte : byte ^ 0x10, file);
            fflush(file);
            map = block_map_open(path, TRUE, &error);
            g_assert_cmpint(map != NULL, ==, write);
            gboolean in_version = at >= 8 && at < 12;
            gint code = in_version ? LANDFALL_ERROR_UNSUPPORTED : LANDFALL_ERROR_CORRUPT;
            if (!write)
                g_assert_error(error, LANDFALL_ERROR, code);
            g_clear_error(&error);
            block_map_free(map);
        }
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/block-map/counts", test_counts);
    g_test_add_func("/block-map/hash", test_hash);
    g_test_add_func("/block-map/hex", test_hex);
    g_test_add_func("/block-map/entries", test_entries);
    g_test_add_func("/block-map/incremental", test_incremental);
    g_test_add_func("/block-map/regrow", test_regrow);
    g_test_add_func("/block-map/root", test_root);
    g_test_add_func("/block-map/damage", test_damage);
    return g_test_run();
}
