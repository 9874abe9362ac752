/* SPDX-License-Identifier: Apache-2.0 */

/* Block maps: the input's first 56 bytes are the header, as they are and once more with a checksum
 * that fits; then 2 bytes that choose the size of the file, up to 4 KiB of page hashes, and
 * entries. A map that is taken gives answers within its disk, and stays whole when it is resized.
 */

#include "replicator/block-map.h"
#include "tests/fuzz/scratch-file.h"

#include <string.h>

#define HEADER_BYTES 56u
#define CHECKSUM_AT 40u
#define PAGE_HASHES_AT 4096
#define ENTRIES_AT (4096 + (64 << 20))
#define LOOKS 64u

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

static void expect_resize(struct block_map *map, guint64 disk_bytes)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(block_map_resize(map, disk_bytes, &error));
    g_assert_true(block_map_check(map, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(block_map_disk_bytes(map), ==, disk_bytes);
}

static void look(struct block_map *map)
{
    g_autoptr(GError) error = NULL;
    guint64 disk_bytes = block_map_disk_bytes(map), end = block_count(disk_bytes), page_count;
    g_assert_cmpuint(disk_bytes, <=, DISK_BYTES_MAX);
    gboolean has_size = block_map_check(map, NULL);
    block_map_check_unused(map, disk_bytes, NULL);
    if (disk_bytes > 1ull << 36)
        return; /* as large as a disk may be, and too large to be quick */
    guint64 block = block_map_next_nonzero(map, 0);
    for (guint i = 0; has_size && i < LOOKS && block < end; i++) {
        struct block_hash hashes[3];
        g_assert_true(block_map_read(map, block, 3, hashes, &error));
        guint64 next = block_map_next_nonzero(map, block + 1);
        g_assert_cmpuint(next, >, block);
        block = next;
    }
    g_autofree struct block_hash *pages = block_map_load_page_hashes(map, &page_count, &error);
    if (!has_size)
        return;
    g_assert_no_error(error);
    g_assert_true(block_map_rehash(map, NULL, &error));
    expect_resize(map, 16777216 + 512);
    g_assert_true(block_map_seal(map, 9, &error));
}

static void try_map(const guint8 *header, const guint8 *rest, gsize length)
{
    int fd;
    guint16 pages = 0;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = scratch_file(header, HEADER_BYTES, &fd);
    if (length >= sizeof pages) {
        memcpy(&pages, rest, sizeof pages);
        rest += sizeof pages;
        length -= sizeof pages;
    }
    gsize hashes = MIN(length, 4096), entries = MIN(length - hashes, 65536);
    g_assert_cmpint(pwrite(fd, rest, hashes, PAGE_HASHES_AT), ==, (gssize)hashes);
    g_assert_cmpint(pwrite(fd, rest + hashes, entries, ENTRIES_AT), ==, (gssize)entries);
    g_assert_cmpint(ftruncate(fd, ENTRIES_AT + (off_t)pages * 4096), ==, 0);
    struct block_map *map = block_map_open(path, TRUE, &error);
    g_assert_true(!map == !!error);
    if (map)
        look(map);
    block_map_free(map);
    close(fd);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    guint8 header[HEADER_BYTES];
    if (length < sizeof header)
        return 0;
    memcpy(header, data, sizeof header);
    try_map(header, data + sizeof header, length - sizeof header);
    struct block_hash checksum = block_hash_bytes(header, CHECKSUM_AT, 0);
    memcpy(header + CHECKSUM_AT, checksum.bytes, sizeof checksum.bytes);
    try_map(header, data + sizeof header, length - sizeof header);
    return 0;
}
