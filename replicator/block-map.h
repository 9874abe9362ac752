/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The block map of one replica: the hash of each block as of one generation (the number of the last
 * recovery point that changed the replica), and the two-level hash tree over it whose root a
 * manifest records. The file's format stands at the head of block-map.c.
 *
 * Between commits the file is read only; a commit's journal changes it (map-journal.h). Reads and
 * writes of distinct entries may come from several threads at once. */

#include "replicator/block-hash.h"

/* One map page covers 256 blocks, 16 MiB of disk: a leaf of the hash tree. */
#define MAP_PAGE_BLOCKS 256u

/* The file reserves room for the page hashes of a disk of this size. */
#define DISK_BYTES_MAX (64ull << 40)

struct block_map;

/* Number of blocks of a disk; the last may be short. */
guint64 block_count(guint64 disk_bytes);

/* Length of block number block: BLOCK_BYTES, or less for the last. */
gsize block_length(guint64 disk_bytes, guint64 block);

/* Creates (or empties) the file for a disk whose blocks are all zero, generation 0: the map of a
 * replica that has no recovery point yet. */
struct block_map *block_map_create(const char *path, guint64 disk_bytes, guint64 seed,
                                   GError **error);

/* Opens an existing map. Errors: corrupt (missing, or a damaged header), unsupported (made by a
 * later version). The size is checked by block_map_check, once no journal is left to be applied: a
 * process killed while it resized the map leaves another size behind. */
struct block_map *block_map_open(const char *path, gboolean writable, GError **error);
void block_map_free(struct block_map *map);

/* Error corrupt unless the file's size is the one its disk needs. */
gboolean block_map_check(const struct block_map *map, GError **error);

/* Error corrupt where something stands in a place that a map of a disk of disk_bytes has no use
 * for: behind the header, the page hashes and the entries. disk_bytes is the map's own, or that of
 * the largest journal that waits to be applied. */
gboolean block_map_check_unused(const struct block_map *map, guint64 disk_bytes, GError **error);

guint64 block_map_disk_bytes(const struct block_map *map);
guint64 block_map_seed(const struct block_map *map);
guint64 block_map_generation(const struct block_map *map);

/* Entries [first, first + count); those past the end of the map read as zero (a disk that grew). */
gboolean block_map_read(const struct block_map *map, guint64 first, gsize count,
                        struct block_hash *ret_hashes, GError **error);
gboolean block_map_write(struct block_map *map, guint64 first, gsize count,
                         const struct block_hash *hashes, GError **error);

/* The first block at or after first that may not be zero, or G_MAXUINT64: passes over holes of the
 * file, so that looking at a large range of zeros costs nothing. */
guint64 block_map_next_nonzero(const struct block_map *map, guint64 first);

/* Hash of the page with these entries: all zero for a page of zero blocks. */
struct block_hash block_map_page_hash(const struct block_hash hashes[MAP_PAGE_BLOCKS]);

/* Reads page number page: entries past the end of the disk are zero. */
gboolean block_map_read_page(const struct block_map *map, guint64 page,
                             struct block_hash ret_hashes[MAP_PAGE_BLOCKS], GError **error);

/* The table of page hashes, page_count long; the caller owns it (g_free). */
struct block_hash *block_map_load_page_hashes(const struct block_map *map, guint64 *ret_page_count,
                                              GError **error);
guint64 block_map_page_count(guint64 disk_bytes);

/* The root over page hashes: what a manifest records. */
struct block_hash block_map_root(const struct block_hash *page_hashes, guint64 page_count,
                                 guint64 disk_bytes, guint64 seed);

/* Recomputes the page hashes of the page numbers (guint64) in pages; NULL: of all that are not
 * holes. */
gboolean block_map_rehash(struct block_map *map, const GArray *pages, GError **error);

/* Changes the size: entries past a smaller end go, new ones are zero. */
gboolean block_map_resize(struct block_map *map, guint64 disk_bytes, GError **error);

/* Makes durable what the file says. */
gboolean block_map_sync(const struct block_map *map, GError **error);

/* Makes the entries durable, then the header with the generation: in this order, so that a header
 * never speaks for entries that are not there. */
gboolean block_map_seal(struct block_map *map, guint64 generation, GError **error);

/* What an operator does about a damaged map. */
const char *block_map_rebuild_hint(void);

/* Path, for errors. Borrowed. */
const char *block_map_path(const struct block_map *map);
