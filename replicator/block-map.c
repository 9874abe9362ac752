/* SPDX-License-Identifier: Apache-2.0 */

/* File format, version 1; integers are little-endian.
 *
 *   offset       bytes  meaning
 *   0            8      magic "LFBLKMAP"
 *   8            4      version, 1
 *   12           4      block size, 65536
 *   16           8      disk size in bytes
 *   24           8      seed of the hashes
 *   32           8      generation: number of the recovery point these entries belong to
 *   40           16     XXH3-128 of bytes 0 … 39
 *   4096         P*16   page hashes, P = pages of the disk; room for those of 64 TiB
 *   4096+64 MiB  P*4096 entries, 16 bytes a block, pages of 256
 *
 * What no page or block of the disk has, and bytes 56 … 4095, is zero.
 *
 * The file is sparse: an entry of a zero block is zero, the hash of a page of zero blocks is zero.
 * It is valid if and only if (1) the header's checksum holds, (2) the file's size is 4096 + 64 MiB
 * + P*4096, (3) the root over the page hashes is the one in the manifest of that generation, or of
 * a later recovery point that names the same generation. Readers check (1) at open, (2) once no
 * journal is left to be applied, (3) when they commit on top; `store verify` checks the entries
 * themselves. */

#include "replicator/block-map.h"
#include "base/error.h"
#include "replicator/store-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAP_MAGIC "LFBLKMAP"
#define MAP_VERSION 1u
#define HEADER_BYTES 4096u
#define PAGE_BYTES (MAP_PAGE_BLOCKS * sizeof(struct block_hash))
#define PAGES_MAX (DISK_BYTES_MAX / (MAP_PAGE_BLOCKS * (guint64)BLOCK_BYTES))
#define ENTRIES_OFFSET (HEADER_BYTES + PAGES_MAX * sizeof(struct block_hash))

#define REBUILD_HINT                                                                               \
    "prove the replica and make a new map from it: landfall store verify STORE MACHINE "           \
    "--rebuild-block-map"

G_STATIC_ASSERT(PAGE_BYTES == 4096);

struct map_header {
    char magic[8];
    guint32 version;
    guint32 block_bytes;
    guint64 disk_bytes;
    guint64 seed;
    guint64 generation;
    struct block_hash checksum;
};

G_STATIC_ASSERT(sizeof(struct map_header) == 56);

struct block_map {
    char *path;         /* set once */
    int fd;             /* set once */
    guint64 seed;       /* set once */
    guint64 disk_bytes; /* changed by the owner's thread, when no lane runs */
    guint64 generation; /* the same */
};

guint64 block_count(guint64 disk_bytes)
{
    return (disk_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

gsize block_length(guint64 disk_bytes, guint64 block)
{
    g_assert(block < block_count(disk_bytes));
    return (gsize)MIN(BLOCK_BYTES, disk_bytes - block * BLOCK_BYTES);
}

guint64 block_map_page_count(guint64 disk_bytes)
{
    return (block_count(disk_bytes) + MAP_PAGE_BLOCKS - 1) / MAP_PAGE_BLOCKS;
}

const char *block_map_rebuild_hint(void)
{
    return REBUILD_HINT;
}

static guint64 map_file_bytes(guint64 disk_bytes)
{
    return ENTRIES_OFFSET + block_map_page_count(disk_bytes) * PAGE_BYTES;
}

static gboolean write_header(struct block_map *map, GError **error)
{
    struct map_header header = {
        .version = GUINT32_TO_LE(MAP_VERSION),
        .block_bytes = GUINT32_TO_LE(BLOCK_BYTES),
        .disk_bytes = GUINT64_TO_LE(map->disk_bytes),
        .seed = GUINT64_TO_LE(map->seed),
        .generation = GUINT64_TO_LE(map->generation),
    };
    memcpy(header.magic, MAP_MAGIC, sizeof header.magic);
    header.checksum = block_hash_bytes(&header, G_STRUCT_OFFSET(struct map_header, checksum), 0);
    return store_file_write(map->fd, map->path, &header, sizeof header, 0, error);
}

static struct block_map *map_new(const char *path, int fd)
{
    struct block_map *map = g_new0(struct block_map, 1);
    map->path = g_strdup(path);
    map->fd = fd;
    return map;
}

void block_map_free(struct block_map *map)
{
    if (!map)
        return;
    close(map->fd);
    g_free(map->path);
    g_free(map);
}

struct block_map *block_map_create(const char *path, guint64 disk_bytes, guint64 seed,
                                   GError **error)
{
    g_assert(disk_bytes > 0 && disk_bytes <= DISK_BYTES_MAX);
    int fd = store_file_open(path, O_RDWR | O_CREAT | O_TRUNC, error);
    if (fd < 0)
        return NULL;
    struct block_map *map = map_new(path, fd);
    map->disk_bytes = disk_bytes;
    map->seed = seed;
    if (!store_file_truncate(fd, path, map_file_bytes(disk_bytes), error) ||
        !write_header(map, error)) {
        block_map_free(map);
        return NULL;
    }
    return map;
}

static gboolean header_take(struct block_map *map, const struct map_header *header, GError **error)
{
    struct block_hash checksum =
        block_hash_bytes(header, G_STRUCT_OFFSET(struct map_header, checksum), 0);
    /* The version comes before the checksum: a later one may keep its checksum elsewhere, and the
     * advice for a damaged map would throw a good one away. */
    if (memcmp(header->magic, MAP_MAGIC, sizeof header->magic) == 0 &&
        GUINT32_FROM_LE(header->version) != MAP_VERSION) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "use the Landfall that wrote this store, or a later one",
                           "block map %s has version %u, this program knows %u", map->path,
                           GUINT32_FROM_LE(header->version), MAP_VERSION);
        return FALSE;
    }
    if (memcmp(header->magic, MAP_MAGIC, sizeof header->magic) != 0 ||
        GUINT32_FROM_LE(header->block_bytes) != BLOCK_BYTES ||
        !block_hash_equal(&checksum, &header->checksum)) {
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, REBUILD_HINT,
                           "block map %s: the header is damaged", map->path);
        return FALSE;
    }
    map->disk_bytes = GUINT64_FROM_LE(header->disk_bytes);
    if (map->disk_bytes == 0 || map->disk_bytes > DISK_BYTES_MAX) {
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, REBUILD_HINT,
                           "block map %s: impossible disk size", map->path);
        return FALSE;
    }
    map->seed = GUINT64_FROM_LE(header->seed);
    map->generation = GUINT64_FROM_LE(header->generation);
    return TRUE;
}

gboolean block_map_check(const struct block_map *map, GError **error)
{
    guint64 size_bytes;
    if (!store_file_size(map->fd, map->path, &size_bytes, error))
        return FALSE;
    if (size_bytes != map_file_bytes(map->disk_bytes)) {
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, REBUILD_HINT,
                           "block map %s has %" G_GUINT64_FORMAT
                           " bytes; a disk of %" G_GUINT64_FORMAT " bytes needs %" G_GUINT64_FORMAT,
                           map->path, size_bytes, map->disk_bytes, map_file_bytes(map->disk_bytes));
        return FALSE;
    }
    return TRUE;
}

struct block_map *block_map_open(const char *path, gboolean writable, GError **error)
{
    struct map_header header;
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0) {
        landfall_error_set_errno(
            error, errno == ENOENT ? LANDFALL_ERROR_CORRUPT : LANDFALL_ERROR_REPLICA, errno,
            errno == ENOENT ? REBUILD_HINT : NULL, "block map %s", path);
        return NULL;
    }
    struct block_map *map = map_new(path, fd);
    g_autoptr(GError) cause = NULL;
    if (!store_file_read(fd, path, &header, sizeof header, 0, &cause)) {
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, REBUILD_HINT, "block map: %s",
                           cause->message);
    } else if (header_take(map, &header, error)) {
        return map;
    }
    block_map_free(map);
    return NULL;
}

guint64 block_map_disk_bytes(const struct block_map *map)
{
    return map->disk_bytes;
}

guint64 block_map_seed(const struct block_map *map)
{
    return map->seed;
}

guint64 block_map_generation(const struct block_map *map)
{
    return map->generation;
}

const char *block_map_path(const struct block_map *map)
{
    return map->path;
}

static guint64 entry_offset(guint64 block)
{
    return ENTRIES_OFFSET + block * sizeof(struct block_hash);
}

gboolean block_map_read(const struct block_map *map, guint64 first, gsize count,
                        struct block_hash *ret_hashes, GError **error)
{
    guint64 end = block_count(map->disk_bytes);
    gsize there = first < end ? (gsize)MIN(count, end - first) : 0;
    memset(ret_hashes + there, 0, (count - there) * sizeof *ret_hashes);
    return store_file_read(map->fd, map->path, ret_hashes, there * sizeof *ret_hashes,
                           entry_offset(first), error);
}

gboolean block_map_write(struct block_map *map, guint64 first, gsize count,
                         const struct block_hash *hashes, GError **error)
{
    g_assert(first + count <= block_count(map->disk_bytes));
    return store_file_write(map->fd, map->path, hashes, count * sizeof *hashes, entry_offset(first),
                            error);
}

guint64 block_map_next_nonzero(const struct block_map *map, guint64 first)
{
    if (first >= block_count(map->disk_bytes))
        return G_MAXUINT64;
    off_t data = lseek(map->fd, (off_t)entry_offset(first), SEEK_DATA);
    if (data < 0) /* ENXIO: holes up to the end; anything else: cannot tell, so look */
        return errno == ENXIO ? G_MAXUINT64 : first;
    guint64 block = ((guint64)data - ENTRIES_OFFSET) / sizeof(struct block_hash);
    return MAX(block, first);
}

struct block_hash block_map_page_hash(const struct block_hash hashes[MAP_PAGE_BLOCKS])
{
    struct block_hash zero = {{0}};
    if (bytes_are_zero(hashes, PAGE_BYTES))
        return zero;
    return block_hash_bytes(hashes, PAGE_BYTES, 0);
}

gboolean block_map_read_page(const struct block_map *map, guint64 page,
                             struct block_hash ret_hashes[MAP_PAGE_BLOCKS], GError **error)
{
    g_assert(page < block_map_page_count(map->disk_bytes));
    return store_file_read(map->fd, map->path, ret_hashes, PAGE_BYTES,
                           ENTRIES_OFFSET + page * PAGE_BYTES, error);
}

static guint64 page_hash_offset(guint64 page)
{
    return HEADER_BYTES + page * sizeof(struct block_hash);
}

struct block_hash *block_map_load_page_hashes(const struct block_map *map, guint64 *ret_page_count,
                                              GError **error)
{
    guint64 page_count = block_map_page_count(map->disk_bytes);
    g_autofree struct block_hash *hashes = g_new(struct block_hash, page_count);
    if (!store_file_read(map->fd, map->path, hashes, page_count * sizeof *hashes,
                         page_hash_offset(0), error))
        return NULL;
    *ret_page_count = page_count;
    return g_steal_pointer(&hashes);
}

struct block_hash block_map_root(const struct block_hash *page_hashes, guint64 page_count,
                                 guint64 disk_bytes, guint64 seed)
{
    struct {
        struct block_hash pages;
        guint64 disk_bytes;
        guint64 seed;
    } root = {
        .pages = block_hash_bytes(page_hashes, page_count * sizeof *page_hashes, 0),
        .disk_bytes = GUINT64_TO_LE(disk_bytes),
        .seed = GUINT64_TO_LE(seed),
    };
    return block_hash_bytes(&root, sizeof root, 0);
}

static gboolean rehash_page(struct block_map *map, guint64 page, GError **error)
{
    struct block_hash hashes[MAP_PAGE_BLOCKS];
    if (!block_map_read_page(map, page, hashes, error))
        return FALSE;
    struct block_hash hash = block_map_page_hash(hashes);
    return store_file_write(map->fd, map->path, &hash, sizeof hash, page_hash_offset(page), error);
}

gboolean block_map_rehash(struct block_map *map, const GArray *pages, GError **error)
{
    if (pages) {
        for (guint i = 0; i < pages->len; i++)
            if (!rehash_page(map, g_array_index(pages, guint64, i), error))
                return FALSE;
        return TRUE;
    }
    guint64 end = block_count(map->disk_bytes);
    for (guint64 block = block_map_next_nonzero(map, 0); block < end;) {
        guint64 page = block / MAP_PAGE_BLOCKS;
        if (!rehash_page(map, page, error))
            return FALSE;
        block = block_map_next_nonzero(map, (page + 1) * MAP_PAGE_BLOCKS);
    }
    return TRUE;
}

gboolean block_map_resize(struct block_map *map, guint64 disk_bytes, GError **error)
{
    guint64 old_count = block_count(map->disk_bytes), new_count = block_count(disk_bytes);
    guint64 old_pages = block_map_page_count(map->disk_bytes);
    guint64 new_pages = block_map_page_count(disk_bytes);
    g_assert(disk_bytes > 0 && disk_bytes <= DISK_BYTES_MAX);
    if (new_count < old_count &&
        !store_file_punch(map->fd, map->path, entry_offset(new_count),
                          (old_count - new_count) * sizeof(struct block_hash), error))
        return FALSE;
    if (new_pages < old_pages &&
        !store_file_punch(map->fd, map->path, page_hash_offset(new_pages),
                          (old_pages - new_pages) * sizeof(struct block_hash), error))
        return FALSE;
    /* The header may not speak for a size that the file could lose again. */
    if (!store_file_truncate(map->fd, map->path, map_file_bytes(disk_bytes), error) ||
        (new_pages < old_pages && !store_file_sync_size(map->fd, map->path, error)))
        return FALSE;
    map->disk_bytes = disk_bytes;
    return TRUE;
}

/* Zeros from start to end of the file, passing over its holes. */
static gboolean range_is_zero(const struct block_map *map, guint64 start, guint64 end,
                              gboolean *ret_zero, GError **error)
{
    guint8 piece[PAGE_BYTES];
    *ret_zero = TRUE;
    while (*ret_zero && start < end) {
        off_t data = lseek(map->fd, (off_t)start, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return TRUE;
        if (data > 0) /* else cannot tell, so look */
            start = MAX(start, (guint64)data);
        gsize length = (gsize)MIN(sizeof piece, end - MIN(start, end));
        if (!store_file_read(map->fd, map->path, piece, length, start, error))
            return FALSE;
        *ret_zero = length == 0 || bytes_are_zero(piece, length);
        start += length;
    }
    return TRUE;
}

gboolean block_map_check_unused(const struct block_map *map, guint64 disk_bytes, GError **error)
{
    guint64 file_bytes;
    if (!store_file_size(map->fd, map->path, &file_bytes, error))
        return FALSE;
    const struct {
        const char *behind;
        guint64 start;
        guint64 end;
    } ranges[] = {
        {"header", sizeof(struct map_header), HEADER_BYTES},
        {"page hashes", page_hash_offset(block_map_page_count(disk_bytes)), ENTRIES_OFFSET},
        {"entries", entry_offset(block_count(disk_bytes)), file_bytes},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(ranges); i++) {
        gboolean zero;
        if (!range_is_zero(map, ranges[i].start, MIN(ranges[i].end, file_bytes), &zero, error))
            return FALSE;
        if (zero)
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, REBUILD_HINT,
                           "block map %s: there is something behind its %s", map->path,
                           ranges[i].behind);
        return FALSE;
    }
    return TRUE;
}

gboolean block_map_sync(const struct block_map *map, GError **error)
{
    return store_file_sync(map->fd, map->path, error);
}

gboolean block_map_seal(struct block_map *map, guint64 generation, GError **error)
{
    if (!block_map_sync(map, error))
        return FALSE;
    guint64 before = map->generation;
    map->generation = generation;
    if (write_header(map, error) && block_map_sync(map, error))
        return TRUE;
    /* After a failed sync the page cache may tell what the disk does not know: the journal must be
     * applied again. */
    map->generation = before;
    if (!write_header(map, NULL))
        g_debug("%s: its header cannot be put back", map->path);
    return FALSE;
}
