/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/audit.h"
#include "base/error.h"

#include <errno.h>

#define IN_FLIGHT 16u
#define TRIES_PER_BLOCK 8u /* on a disk where nearly all is dirty, few clean blocks are found */

/* Samples in flight together. */
struct batch {
    guint pending;
    gint64 answered_us; /* the last sign of life */
};

struct sample {
    guint64 block;
    guint8 *buffer;
    struct batch *batch;
    int errnum;
};

static int sample_read(void *data, int *errnum)
{
    struct sample *sample = data;
    sample->errnum = *errnum;
    sample->batch->pending--;
    sample->batch->answered_us = g_get_monotonic_time();
    return 1;
}

/* The last clean block of a page that holds data, or G_MAXUINT64. */
static guint64 last_data_of_page(const struct block_hash hashes[MAP_PAGE_BLOCKS],
                                 const struct extent_list *candidates, guint64 page)
{
    for (guint i = MAP_PAGE_BLOCKS; i-- > 0;) {
        guint64 block = page * MAP_PAGE_BLOCKS + i;
        if (!block_hash_is_zero(&hashes[i]) &&
            !extent_list_contains(candidates, block * BLOCK_BYTES))
            return block;
    }
    return G_MAXUINT64;
}

/* The last clean block of the disk that holds data, or G_MAXUINT64. An image that was shrunk and
 * grown again has lost its end, and its bitmap does not know: if anything that counts is lost and
 * was not written anew, then this block is. */
static gboolean last_data(const struct block_map *map, const struct extent_list *candidates,
                          guint64 *ret_block, GError **error)
{
    guint64 page_count;
    g_autofree struct block_hash *pages = block_map_load_page_hashes(map, &page_count, error);
    if (!pages)
        return FALSE;
    *ret_block = G_MAXUINT64;
    for (guint64 page = page_count; page-- > 0 && *ret_block == G_MAXUINT64;) {
        struct block_hash hashes[MAP_PAGE_BLOCKS];
        if (block_hash_is_zero(&pages[page]))
            continue;
        if (!block_map_read_page(map, page, hashes, error))
            return FALSE;
        *ret_block = last_data_of_page(hashes, candidates, page);
    }
    return TRUE;
}

/* Up to n distinct clean blocks: first, if there is one, then such as chance finds. */
static GArray *choose(const struct block_map *map, const struct extent_list *candidates,
                      guint64 first, guint n)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    guint64 total = block_count(block_map_disk_bytes(map));
    if (first != G_MAXUINT64) {
        g_hash_table_add(seen, g_memdup2(&first, sizeof first));
        g_array_append_val(blocks, first);
    }
    for (guint try = 0; try < n * TRIES_PER_BLOCK && blocks->len < n; try++) {
        guint64 block = (((guint64)g_random_int() << 32) | g_random_int()) % total;
        if (!extent_list_contains(candidates, block * BLOCK_BYTES) &&
            g_hash_table_add(seen, g_memdup2(&block, sizeof block)))
            g_array_append_val(blocks, block);
    }
    return blocks;
}

static gboolean compare(const struct nbd_source *source, const struct block_map *map,
                        const struct sample *sample, struct audit_result *result, GError **error)
{
    struct block_hash expected;
    gsize length = block_length(block_map_disk_bytes(map), sample->block);
    if (sample->errnum) {
        landfall_error_set_errno(error, LANDFALL_ERROR_SOURCE, sample->errnum, NULL,
                                 "cannot read block %" G_GUINT64_FORMAT " of %s", sample->block,
                                 source->uri);
        return FALSE;
    }
    if (!block_map_read(map, sample->block, 1, &expected, error))
        return FALSE;
    struct block_hash found = block_hash_compute(sample->buffer, length, block_map_seed(map));
    result->audited_blocks++;
    if (!block_hash_equal(&found, &expected)) {
        if (result->misses == 0)
            result->missed_block = sample->block;
        result->misses++;
    }
    return TRUE;
}

/* Reads and compares up to IN_FLIGHT blocks. */
static gboolean audit_batch(const struct nbd_source *source, struct nbd_handle *handle,
                            const struct block_map *map, const guint64 *blocks, guint n,
                            guint8 *buffers, const gint *cancelled, struct audit_result *result,
                            GError **error)
{
    struct sample samples[IN_FLIGHT];
    struct batch batch = {.answered_us = g_get_monotonic_time()};
    gboolean sent = TRUE;
    for (guint i = 0; i < n && sent; i++) {
        samples[i] = (struct sample){blocks[i], buffers + (gsize)i * BLOCK_BYTES, &batch, 0};
        nbd_completion_callback done = {.callback = sample_read, .user_data = &samples[i]};
        batch.pending++;
        sent = nbd_aio_pread(handle, samples[i].buffer,
                             block_length(block_map_disk_bytes(map), blocks[i]),
                             blocks[i] * BLOCK_BYTES, done, 0) >= 0;
    }
    if (!sent) {
        nbd_source_error(source, "read from", error);
        return FALSE;
    }
    while (batch.pending > 0)
        if (!nbd_source_wait(source, handle, "read from", batch.answered_us, cancelled, error))
            return FALSE;
    for (guint i = 0; i < n; i++)
        if (!compare(source, map, &samples[i], result, error))
            return FALSE;
    return TRUE;
}

gboolean audit_sample(const struct nbd_source *source, struct nbd_handle *handle,
                      const struct block_map *map, const struct extent_list *candidates,
                      guint block_count_max, const gint *cancelled, struct audit_result *ret_result,
                      GError **error)
{
    struct audit_result result = {0};
    guint64 first;
    if (block_count_max == 0) {
        *ret_result = result;
        return TRUE;
    }
    if (!last_data(map, candidates, &first, error))
        return FALSE;
    g_autoptr(GArray) blocks = choose(map, candidates, first, block_count_max);
    g_autofree guint8 *buffers = g_malloc((gsize)IN_FLIGHT * BLOCK_BYTES);
    for (guint i = 0; i < blocks->len; i += IN_FLIGHT)
        if (!audit_batch(source, handle, map, &g_array_index(blocks, guint64, i),
                         MIN(IN_FLIGHT, blocks->len - i), buffers, cancelled, &result, error))
            return FALSE;
    *ret_result = result;
    return TRUE;
}
