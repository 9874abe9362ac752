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

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define JOURNAL_MAGIC "LFMAPJNL"
#define JOURNAL_VERSION 1u
#define JOURNAL_BYTES_MAX (G_MAXSIZE / 2)

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

static GByteArray *journal_encode(const struct map_journal *journal)
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
    GByteArray *bytes = g_byte_array_sized_new(
        (guint)(sizeof header + journal->changes->len * sizeof(struct journal_record) + 16));
    g_byte_array_append(bytes, (const guint8 *)&header, sizeof header);
    for (guint i = 0; i < journal->changes->len; i++) {
        const struct block_change *change = change_at(journal, i);
        g_assert(i == 0 || change_at(journal, i - 1)->block < change->block);
        struct journal_record record = {GUINT64_TO_LE(change->block), change->before,
                                        change->after};
        g_byte_array_append(bytes, (const guint8 *)&record, sizeof record);
    }
    struct block_hash checksum = block_hash_bytes(bytes->data, bytes->len, 0);
    g_byte_array_append(bytes, checksum.bytes, sizeof checksum.bytes);
    return bytes;
}

gboolean map_journal_write(const char *path, const struct map_journal *journal, GError **error)
{
    g_autoptr(GByteArray) bytes = journal_encode(journal);
    int fd = store_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, error);
    if (fd < 0)
        return FALSE;
    gboolean ok = store_file_write(fd, path, bytes->data, bytes->len, 0, error) &&
                  store_file_sync(fd, path, error);
    close(fd);
    return ok;
}

static struct map_journal *corrupt(const char *path, const char *what, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                       "landfall store verify tells which recovery points are whole",
                       "map journal %s: %s", path, what);
    return NULL;
}

static struct map_journal *journal_decode(const char *path, const guint8 *bytes, gsize length,
                                          GError **error)
{
    struct journal_header header;
    if (length < sizeof header + 16)
        return corrupt(path, "it is cut short", error);
    memcpy(&header, bytes, sizeof header);
    if (memcmp(header.magic, JOURNAL_MAGIC, sizeof header.magic) != 0)
        return corrupt(path, "it is not a map journal", error);
    if (GUINT32_FROM_LE(header.version) != JOURNAL_VERSION) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "use the Landfall that wrote this store, or a later one",
                           "map journal %s has version %u, this program knows %u", path,
                           GUINT32_FROM_LE(header.version), JOURNAL_VERSION);
        return NULL;
    }
    guint64 count = (length - sizeof header - 16) / sizeof(struct journal_record);
    if (GUINT64_FROM_LE(header.record_count) != count || count > G_MAXUINT ||
        sizeof header + count * sizeof(struct journal_record) + 16 != length)
        return corrupt(path, "its size is not the one it names", error);
    struct block_hash checksum = block_hash_bytes(bytes, length - 16, 0);
    if (memcmp(checksum.bytes, bytes + length - 16, 16) != 0)
        return corrupt(path, "its checksum is wrong", error);

    struct map_journal *journal = g_new0(struct map_journal, 1);
    journal->generation = GUINT64_FROM_LE(header.generation);
    journal->disk_bytes_before = GUINT64_FROM_LE(header.disk_bytes_before);
    journal->disk_bytes = GUINT64_FROM_LE(header.disk_bytes);
    journal->changes = g_array_sized_new(FALSE, FALSE, sizeof(struct block_change), (guint)count);
    for (guint64 i = 0; i < count; i++) {
        struct journal_record record;
        memcpy(&record, bytes + sizeof header + i * sizeof record, sizeof record);
        struct block_change change = {GUINT64_FROM_LE(record.block), 0, record.before,
                                      record.after};
        if (i > 0 && change.block <= change_at(journal, (guint)i - 1)->block) {
            map_journal_free(journal);
            return corrupt(path, "its records are not in order", error);
        }
        g_array_append_val(journal->changes, change);
    }
    return journal;
}

struct map_journal *map_journal_load(const char *path, GError **error)
{
    gsize length;
    g_autoptr(GError) cause = NULL;
    g_autofree char *text = store_file_load(path, JOURNAL_BYTES_MAX, &length, &cause);
    if (!text) {
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                           "landfall store verify tells which recovery points are whole",
                           "map journal: %s", cause->message);
        return NULL;
    }
    struct map_journal *journal = journal_decode(path, (const guint8 *)text, length, error);
    if (journal && (journal->disk_bytes == 0 || journal->disk_bytes > DISK_BYTES_MAX)) {
        map_journal_free(journal);
        return corrupt(path, "impossible disk size", error);
    }
    return journal;
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

/* The page as it will be: read where the map has it, then the changes of this page laid over.
 * *index is the next change to look at and moves on. */
static gboolean page_after(const struct map_journal *journal, const struct block_map *map,
                           guint64 page, guint *index, struct block_hash hashes[MAP_PAGE_BLOCKS],
                           GError **error)
{
    memset(hashes, 0, MAP_PAGE_BLOCKS * sizeof *hashes);
    if (page < block_map_page_count(block_map_disk_bytes(map)) &&
        !block_map_read_page(map, page, hashes, error))
        return FALSE;
    while (*index < journal->changes->len &&
           change_at(journal, *index)->block / MAP_PAGE_BLOCKS == page) {
        const struct block_change *change = change_at(journal, (*index)++);
        hashes[change->block % MAP_PAGE_BLOCKS] = change->after;
    }
    return TRUE;
}

gboolean map_journal_root_after(const struct map_journal *journal, const struct block_map *map,
                                struct block_hash *ret_root, GError **error)
{
    guint64 old_count, page_count = block_map_page_count(journal->disk_bytes);
    g_autofree struct block_hash *old_hashes = block_map_load_page_hashes(map, &old_count, error);
    if (!old_hashes)
        return FALSE;
    g_autofree struct block_hash *hashes = g_new0(struct block_hash, page_count);
    memcpy(hashes, old_hashes, MIN(old_count, page_count) * sizeof *hashes);
    g_autoptr(GArray) pages = touched_pages(journal, page_count);
    guint index = 0;
    for (guint i = 0; i < pages->len; i++) {
        struct block_hash entries[MAP_PAGE_BLOCKS];
        guint64 page = g_array_index(pages, guint64, i);
        if (!page_after(journal, map, page, &index, entries, error))
            return FALSE;
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
