/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/map-journal.c: damage is seen, the root is foretold, and applying it to a map in any
 * state that a kill may leave gives the same map. */

#include "base/error.h"
#include "replicator/map-journal.h"
#include "tests/unit/temp-folder.h"

#include <string.h>

#define BLOCK ((guint64)BLOCK_BYTES)
#define PAGE (MAP_PAGE_BLOCKS * BLOCK)
#define SEED 99ull
#define ENTRIES_OFFSET (4096 + (64u << 20))

static struct block_hash random_hash(void)
{
    guint32 number = (guint32)g_test_rand_int();
    struct block_hash zero = {{0}};
    return number % 4 ? block_hash_bytes(&number, sizeof number, 2) : zero;
}

/* What a cycle would write: changed entries, and the tail cut off by a smaller size. */
static struct map_journal *random_journal(const struct block_map *map, guint64 disk_bytes,
                                          guint changes)
{
    g_autoptr(GError) error = NULL;
    struct map_journal *journal = g_new0(struct map_journal, 1);
    guint64 before_count = block_count(block_map_disk_bytes(map)), count = block_count(disk_bytes);
    journal->generation = block_map_generation(map) + 1;
    journal->disk_bytes_before = block_map_disk_bytes(map);
    journal->disk_bytes = disk_bytes;
    journal->changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
    for (guint64 block = 0; block < MAX(count, before_count); block++) {
        struct block_change change = {.block = block};
        g_assert_true(block_map_read(map, block, 1, &change.before, &error));
        if (block < count && (guint)g_test_rand_int_range(0, (gint32)count) < changes)
            change.after = random_hash();
        else if (block < count)
            continue;
        if (!block_hash_equal(&change.before, &change.after))
            g_array_append_val(journal->changes, change);
    }
    return journal;
}

static struct block_hash root_of(const struct block_map *map)
{
    guint64 page_count;
    g_autoptr(GError) error = NULL;
    g_autofree struct block_hash *pages = block_map_load_page_hashes(map, &page_count, &error);
    g_assert_no_error(error);
    return block_map_root(pages, page_count, block_map_disk_bytes(map), block_map_seed(map));
}

/* The parts of a map's file that hold anything: header, hashes of 16 pages, entries. */
static GByteArray *image_load(const char *path)
{
    GByteArray *image = g_byte_array_new();
    FILE *file = g_fopen(path, "re");
    guint8 buffer[4096];
    gsize n;
    g_assert_nonnull(file);
    g_assert_cmpuint(fread(buffer, 1, 4096, file), ==, 4096);
    g_byte_array_append(image, buffer, 4096);
    g_assert_cmpuint(fread(buffer, 1, 256, file), ==, 256);
    g_byte_array_append(image, buffer, 256);
    g_assert_cmpint(fseek(file, ENTRIES_OFFSET, SEEK_SET), ==, 0);
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        g_byte_array_append(image, buffer, (guint)n);
    fclose(file);
    return image;
}

static void image_save(const char *path, const GByteArray *image)
{
    FILE *file = g_fopen(path, "we");
    g_assert_nonnull(file);
    g_assert_cmpuint(fwrite(image->data, 1, 4352, file), ==, 4352);
    g_assert_cmpint(fseek(file, ENTRIES_OFFSET, SEEK_SET), ==, 0);
    g_assert_cmpuint(fwrite(image->data + 4352, 1, image->len - 4352, file), ==, image->len - 4352);
    g_assert_cmpint(fclose(file), ==, 0);
}

/* Some of what was to be written is there, some is not, down to single entries; the header is old,
 * as it is written last. */
static GByteArray *image_torn(const GByteArray *before, const GByteArray *after)
{
    const GByteArray *size = g_test_rand_bit() ? before : after;
    GByteArray *torn = g_byte_array_new();
    g_byte_array_append(torn, before->data, 4096);
    for (guint at = 4096; at < size->len; at += 16) {
        static const guint8 zero[16];
        const GByteArray *from = g_test_rand_bit() ? before : after;
        g_byte_array_append(torn, at < from->len ? from->data + at : zero, 16);
    }
    return torn;
}

static void test_apply(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "map", NULL);
    g_autofree char *journal_path = g_build_filename(folder, "journal", NULL);
    g_autoptr(GError) error = NULL;
    struct block_map *map = block_map_create(path, 2 * PAGE, SEED, &error);
    for (guint round = 0; round < 40; round++) {
        guint64 disk_bytes = round % 3 ? block_map_disk_bytes(map)
                                       : (guint64)g_test_rand_int_range(1, 4 * 256 * 128) * 512;
        struct map_journal *journal = random_journal(map, disk_bytes, round * 7);
        struct block_hash foretold, root;
        g_assert_true(map_journal_root_after(journal, map, &foretold, &error));
        g_assert_true(map_journal_write(journal_path, journal, &error));
        map_journal_free(journal);
        journal = map_journal_load(journal_path, &error);
        g_assert_no_error(error);
        g_autoptr(GByteArray) before = image_load(path);
        g_assert_true(map_journal_apply(journal, map, &error));
        root = root_of(map);
        g_assert_true(block_hash_equal(&root, &foretold));
        g_assert_true(block_map_rehash(map, NULL, &error)); /* from scratch */
        root = root_of(map);
        g_assert_true(block_hash_equal(&root, &foretold));
        g_autoptr(GByteArray) after = image_load(path);
        for (guint tear = 0; tear < 5; tear++) {
            g_autoptr(GByteArray) torn = image_torn(before, after);
            block_map_free(map);
            image_save(path, torn);
            map = block_map_open(path, TRUE, &error);
            g_assert_no_error(error);
            g_assert_true(map_journal_apply(journal, map, &error));
            g_assert_true(block_map_check(map, &error));
            g_autoptr(GByteArray) healed = image_load(path);
            g_assert_cmpmem(healed->data, healed->len, after->data, after->len);
        }
        map_journal_free(journal);
    }
    block_map_free(map);
}

static void expect_refused(const char *path, enum landfall_error_code code)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(map_journal_load(path, &error));
    g_assert_error(error, LANDFALL_ERROR, (gint)code);
    g_assert_nonnull(strstr(error->message, path));
    g_assert_nonnull(landfall_error_hint(error));
}

static void test_damage(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "map", NULL);
    g_autofree char *journal_path = g_build_filename(folder, "journal", NULL);
    g_autoptr(GError) error = NULL;
    expect_refused(journal_path, LANDFALL_ERROR_CORRUPT);
    struct block_map *map = block_map_create(path, PAGE + 512, SEED, &error);
    struct map_journal *journal = random_journal(map, PAGE + 512, 20);
    g_assert_cmpuint(journal->changes->len, >, 2);
    g_assert_true(map_journal_write(journal_path, journal, &error));
    gsize length;
    g_autofree char *bytes = temp_file_load(journal_path, &length);
    g_assert_cmpuint(length, ==, 64 + 40 * journal->changes->len);
    for (gsize at = 0; at < length; at++) {
        bytes[at] ^= 0x20;
        temp_file_save(journal_path, bytes, length);
        bytes[at] ^= 0x20;
        expect_refused(journal_path,
                       at >= 8 && at < 12 ? LANDFALL_ERROR_UNSUPPORTED : LANDFALL_ERROR_CORRUPT);
    }
    for (gsize cut = 0; cut < length; cut++) {
        temp_file_save(journal_path, bytes, cut);
        expect_refused(journal_path, LANDFALL_ERROR_CORRUPT);
    }
    g_autofree char *longer = g_malloc0(length + 40);
    memcpy(longer, bytes, length);
    temp_file_save(journal_path, longer, length + 40);
    expect_refused(journal_path, LANDFALL_ERROR_CORRUPT);
    /* Whole in itself, and impossible: two records exchanged, the checksum made anew. */
    struct {
        guint8 bytes[40];
    } record;
    memcpy(&record, bytes + 48, 40);
    memmove(bytes + 48, bytes + 88, 40);
    memcpy(bytes + 88, &record, 40);
    struct block_hash checksum = block_hash_bytes(bytes, length - 16, 0);
    memcpy(bytes + length - 16, checksum.bytes, 16);
    temp_file_save(journal_path, bytes, length);
    expect_refused(journal_path, LANDFALL_ERROR_CORRUPT);
    map_journal_free(journal);
    block_map_free(map);
}

/* More records than pass through memory at once, and a number of them that fills it exactly. */
static void test_long(void)
{
    static const guint counts[] = {4096, 10000};
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "journal", NULL);
    g_autoptr(GError) error = NULL;
    for (gsize k = 0; k < G_N_ELEMENTS(counts); k++) {
        struct map_journal journal = {7, 40 * PAGE, 41 * PAGE, NULL};
        gsize length;
        journal.changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
        for (guint i = 0; i < counts[k]; i++) {
            struct block_change change = {i, 0, random_hash(), random_hash()};
            g_array_append_val(journal.changes, change);
        }
        g_assert_true(map_journal_write(path, &journal, &error));
        g_autofree char *bytes = temp_file_load(path, &length);
        struct block_hash checksum = block_hash_bytes(bytes, length - 16, 0);
        g_assert_cmpmem(bytes + length - 16, 16, checksum.bytes, 16);
        struct map_journal *again = map_journal_load(path, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(again->generation, ==, 7);
        g_assert_cmpuint(again->disk_bytes_before, ==, 40 * PAGE);
        g_assert_cmpuint(again->disk_bytes, ==, 41 * PAGE);
        g_assert_cmpmem(again->changes->data, again->changes->len * sizeof(struct block_change),
                        journal.changes->data, counts[k] * sizeof(struct block_change));
        map_journal_free(again);
        g_array_unref(journal.changes);
    }
}

/* An entry that changed by itself does not get into a root. */
static void test_damaged_page(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "map", NULL);
    g_autoptr(GError) error = NULL;
    struct block_map *map = block_map_create(path, 2 * PAGE, SEED, &error);
    struct map_journal *journal = random_journal(map, 2 * PAGE, 20);
    struct block_hash root, stray = block_hash_bytes("stray", 5, 0);
    guint64 touched = g_array_index(journal->changes, struct block_change, 0).block;
    guint64 beside = touched % MAP_PAGE_BLOCKS ? touched - 1 : touched + 1;
    g_assert_true(map_journal_root_after(journal, map, &root, &error));
    g_assert_true(block_map_write(map, beside, 1, &stray, &error));
    g_assert_false(map_journal_root_after(journal, map, &root, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    map_journal_free(journal);
    block_map_free(map);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-journal/apply", test_apply);
    g_test_add_func("/map-journal/damage", test_damage);
    g_test_add_func("/map-journal/long", test_long);
    g_test_add_func("/map-journal/damaged-page", test_damaged_page);
    return g_test_run();
}
