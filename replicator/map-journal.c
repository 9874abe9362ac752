/* SPDX-License-Identifier: Apache-2.0 */

/* File format, version 1; integers are little-endian.
 *
 *   offset   bytes  meaning
 *   0        8      magic "LFMAPJNL"
 *   8        4      version, 1
 *   12       4      bytes of a record, 40
 *   16       8      generation this journal leads to
 *   24       8      disk size in bytes before
 *   32       8      disk size in bytes after
 *   40       8      N, number of records
 *   48       N*40   records, ascending by block: block number (8), hash before (16), after (16)
 *   48+N*40  16     XXH3-128 of all bytes before it
 *
 * Valid if and only if the size is 64 + N*40, the checksum holds and the records ascend. A block
 * past the end of the smaller of the two sizes counts as zero there. */

#include "replicator/map-journal.h"
#include "base/error.h"
#include "replicator/store-file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define JOURNAL_MAGIC "LFMAPJNL"
#define JOURNAL_VERSION 1u

/* Records pass through memory so many at a time: a journal of a disk that changed all over is
 * gigabytes. */
#define PIECE_RECORDS 4096u

struct journal_header {
    char magic[8];
    guint32 version;
    guint32 record_bytes;
    guint64 generation;
    guint64 disk_bytes_before;
    guint64 disk_bytes;
    guint64 record_count;
};

struct journal_record {
    guint64 block;
    struct block_hash before;
    struct block_hash after;
};

G_STATIC_ASSERT(sizeof(struct journal_header) == 48);
G_STATIC_ASSERT(sizeof(struct journal_record) == 40);

void map_journal_free(struct map_journal *journal)
{
    if (!journal)
        return;
    if (journal->changes)
        g_array_unref(journal->changes);
    g_free(journal);
}

static const struct block_change *change_at(const struct map_journal *journal, guint i)
{
    return &g_array_index(journal->changes, struct block_change, i);
}

/* A journal being written or read, front to back. */
struct journal_file {
    const char *path;
    int fd;
    guint64 position;
    struct hash_stream *checksum; /* of all bytes so far */
    struct journal_record *piece; /* room for PIECE_RECORDS */
};

static gboolean journal_file_open(struct journal_file *file, const char *path, int flags,
                                  GError **error)
{
    *file = (struct journal_file){.path = path, .fd = store_file_open(path, flags, error)};
    if (file->fd < 0)
        return FALSE;
    file->checksum = hash_stream_new();
    file->piece = g_new(struct journal_record, PIECE_RECORDS);
    return TRUE;
}

static void journal_file_close(struct journal_file *file)
{
    close(file->fd);
    hash_stream_free(file->checksum);
    g_free(file->piece);
}

static gboolean put(struct journal_file *file, const void *data, gsize length, GError **error)
{
    if (!store_file_write(file->fd, file->path, data, length, file->position, error))
        return FALSE;
    hash_stream_add(file->checksum, data, length);
    file->position += length;
    return TRUE;
}

static gboolean get(struct journal_file *file, void *data, gsize length, GError **error)
{
    if (!store_file_read(file->fd, file->path, data, length, file->position, error))
        return FALSE;
    hash_stream_add(file->checksum, data, length);
    file->position += length;
    return TRUE;
}

static gboolean put_records(struct journal_file *file, const struct map_journal *journal,
                            GError **error)
{
    for (guint i = 0; i < journal->changes->len;) {
        guint count = 0;
        for (; count < PIECE_RECORDS && i < journal->changes->len; count++, i++) {
            const struct block_change *change = change_at(journal, i);
            g_assert(i == 0 || change_at(journal, i - 1)->block < change->block);
            file->piece[count] = (struct journal_record){GUINT64_TO_LE(change->block),
                                                         change->before, change->after};
        }
        if (!put(file, file->piece, count * sizeof *file->piece, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean put_journal(struct journal_file *file, const struct map_journal *journal,
                            GError **error)
{
    struct journal_header header = {
        .version = GUINT32_TO_LE(JOURNAL_VERSION),
        .record_bytes = GUINT32_TO_LE((guint32)sizeof(struct journal_record)),
        .generation = GUINT64_TO_LE(journal->generation),
        .disk_bytes_before = GUINT64_TO_LE(journal->disk_bytes_before),
        .disk_bytes = GUINT64_TO_LE(journal->disk_bytes),
        .record_count = GUINT64_TO_LE((guint64)journal->changes->len),
    };
    memcpy(header.magic, JOURNAL_MAGIC, sizeof header.magic);
    if (!put(file, &header, sizeof header, error) || !put_records(file, journal, error))
        return FALSE;
    struct block_hash checksum = hash_stream_value(file->checksum);
    return put(file, checksum.bytes, sizeof checksum.bytes, error) &&
           store_file_sync(file->fd, file->path, error);
}

gboolean map_journal_write(const char *path, const struct map_journal *journal, GError **error)
{
    struct journal_file file;
    if (!journal_file_open(&file, path, O_WRONLY | O_CREAT | O_TRUNC, error))
        return FALSE;
    gboolean ok = put_journal(&file, journal, error);
    journal_file_close(&file);
    return ok;
}

static gboolean corrupt(const char *path, const char *what, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                       "landfall store verify tells which recovery points are whole",
                       "map journal %s: %s", path, what);
    return FALSE;
}

static gboolean header_check(const char *path, const struct journal_header *header,
                             guint64 file_bytes, GError **error)
{
    guint64 rest = file_bytes - sizeof *header - sizeof(struct block_hash);
    guint64 count = GUINT64_FROM_LE(header->record_count);
    guint64 disk_bytes = GUINT64_FROM_LE(header->disk_bytes);
    if (memcmp(header->magic, JOURNAL_MAGIC, sizeof header->magic) != 0)
        return corrupt(path, "it is not a map journal", error);
    if (GUINT32_FROM_LE(header->version) != JOURNAL_VERSION) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "use the Landfall that wrote this store, or a later one",
                           "map journal %s has version %u, this program knows %u", path,
                           GUINT32_FROM_LE(header->version), JOURNAL_VERSION);
        return FALSE;
    }
    if (count != rest / sizeof(struct journal_record) || rest % sizeof(struct journal_record) ||
        count > 2 * block_count(DISK_BYTES_MAX))
        return corrupt(path, "its size is not the one it names", error);
    return (disk_bytes > 0 && disk_bytes <= DISK_BYTES_MAX) ||
           corrupt(path, "impossible disk size", error);
}

/* Appends the records; the array grows with what is read, not with what the header promises. */
static gboolean get_records(struct journal_file *file, guint64 count, GArray *changes,
                            GError **error)
{
    guint64 next_block = 0;
    while (count > 0) {
        guint piece = (guint)MIN(count, PIECE_RECORDS);
        if (!get(file, file->piece, piece * sizeof *file->piece, error))
            return FALSE;
        for (guint i = 0; i < piece; i++) {
            const struct journal_record *record = &file->piece[i];
            struct block_change change = {GUINT64_FROM_LE(record->block), 0, record->before,
                                          record->after};
            if (change.block < next_block || change.block == G_MAXUINT64)
                return corrupt(file->path, "its records are not in order", error);
            next_block = change.block + 1;
            g_array_append_val(changes, change);
        }
        count -= piece;
    }
    return TRUE;
}

static gboolean get_journal(struct journal_file *file, struct map_journal *journal, GError **error)
{
    struct journal_header header;
    struct block_hash stored;
    guint64 file_bytes;
    if (!store_file_size(file->fd, file->path, &file_bytes, error))
        return FALSE;
    if (file_bytes < sizeof header + sizeof stored)
        return corrupt(file->path, "it is cut short", error);
    if (!get(file, &header, sizeof header, error) ||
        !header_check(file->path, &header, file_bytes, error) ||
        !get_records(file, GUINT64_FROM_LE(header.record_count), journal->changes, error))
        return FALSE;
    struct block_hash checksum = hash_stream_value(file->checksum);
    if (!get(file, &stored, sizeof stored, error))
        return FALSE;
    if (!block_hash_equal(&stored, &checksum))
        return corrupt(file->path, "its checksum is wrong", error);
    journal->generation = GUINT64_FROM_LE(header.generation);
    journal->disk_bytes_before = GUINT64_FROM_LE(header.disk_bytes_before);
    journal->disk_bytes = GUINT64_FROM_LE(header.disk_bytes);
    return TRUE;
}

struct map_journal *map_journal_load(const char *path, GError **error)
{
    struct journal_file file;
    g_autoptr(GError) cause = NULL;
    if (!journal_file_open(&file, path, O_RDONLY, &cause)) {
        corrupt(path, cause->message, error);
        return NULL;
    }
    struct map_journal *journal = g_new0(struct map_journal, 1);
    journal->changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
    gboolean ok = get_journal(&file, journal, error);
    journal_file_close(&file);
    if (ok)
        return journal;
    map_journal_free(journal);
    return NULL;
}

/* Numbers of the pages that the changes touch, ascending, within page_count. The caller owns it. */
static GArray *touched_pages(const struct map_journal *journal, guint64 page_count)
{
    GArray *pages = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (guint i = 0; i < journal->changes->len; i++) {
        guint64 page = change_at(journal, i)->block / MAP_PAGE_BLOCKS;
        if (page < page_count &&
            (pages->len == 0 || g_array_index(pages, guint64, pages->len - 1) != page))
            g_array_append_val(pages, page);
    }
    return pages;
}

/* The page as it is in the map, old_hash its hash there; an entry that changed by itself must not
 * become part of a root that a manifest records. */
static gboolean page_before(const struct block_map *map, guint64 page,
                            const struct block_hash *old_hash,
                            struct block_hash ret_hashes[MAP_PAGE_BLOCKS], GError **error)
{
    if (!block_map_read_page(map, page, ret_hashes, error))
        return FALSE;
    struct block_hash hash = block_map_page_hash(ret_hashes);
    if (block_hash_equal(&hash, old_hash))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, block_map_rebuild_hint(),
                       "block map %s: an entry of blocks %" G_GUINT64_FORMAT
                       " to %" G_GUINT64_FORMAT " is damaged",
                       block_map_path(map), page * MAP_PAGE_BLOCKS,
                       (page + 1) * MAP_PAGE_BLOCKS - 1);
    return FALSE;
}

/* Lays the changes of the page over it. *index is the next change to look at and moves on. */
static void page_after(const struct map_journal *journal, guint64 page, guint *index,
                       struct block_hash hashes[MAP_PAGE_BLOCKS])
{
    while (*index < journal->changes->len &&
           change_at(journal, *index)->block / MAP_PAGE_BLOCKS == page) {
        const struct block_change *change = change_at(journal, (*index)++);
        hashes[change->block % MAP_PAGE_BLOCKS] = change->after;
    }
}

gboolean map_journal_root_after(const struct map_journal *journal, const struct block_map *map,
                                struct block_hash *ret_root, GError **error)
{
    guint64 old_count, page_count = block_map_page_count(journal->disk_bytes);
    g_autofree struct block_hash *hashes = block_map_load_page_hashes(map, &old_count, error);
    if (!hashes)
        return FALSE;
    if (page_count > old_count) {
        hashes = g_renew(struct block_hash, hashes, page_count);
        memset(hashes + old_count, 0, (page_count - old_count) * sizeof *hashes);
    }
    g_autoptr(GArray) pages = touched_pages(journal, page_count);
    guint index = 0;
    for (guint i = 0; i < pages->len; i++) {
        struct block_hash entries[MAP_PAGE_BLOCKS] = {0};
        guint64 page = g_array_index(pages, guint64, i);
        if (page < old_count && !page_before(map, page, &hashes[page], entries, error))
            return FALSE;
        page_after(journal, page, &index, entries);
        hashes[page] = block_map_page_hash(entries);
    }
    *ret_root = block_map_root(hashes, page_count, journal->disk_bytes, block_map_seed(map));
    return TRUE;
}

gboolean map_journal_apply(const struct map_journal *journal, struct block_map *map, GError **error)
{
    guint64 count = block_count(journal->disk_bytes);
    g_assert(journal->generation > block_map_generation(map));
    if (!block_map_resize(map, journal->disk_bytes, error))
        return FALSE;
    for (guint i = 0; i < journal->changes->len; i++) {
        const struct block_change *change = change_at(journal, i);
        if (change->block < count && !block_map_write(map, change->block, 1, &change->after, error))
            return FALSE;
    }
    g_autoptr(GArray) pages = touched_pages(journal, block_map_page_count(journal->disk_bytes));
    return block_map_rehash(map, pages, error) && block_map_seal(map, journal->generation, error);
}
