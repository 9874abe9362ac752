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

/* Up to n distinct clean blocks. */
static GArray *choose(const struct block_map *map, const struct extent_list *candidates, guint n)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    guint64 total = block_count(block_map_disk_bytes(map));
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
    g_autoptr(GArray) blocks = choose(map, candidates, block_count_max);
    g_autofree guint8 *buffers = g_malloc((gsize)IN_FLIGHT * BLOCK_BYTES);
    for (guint i = 0; i < blocks->len; i += IN_FLIGHT)
        if (!audit_batch(source, handle, map, &g_array_index(blocks, guint64, i),
                         MIN(IN_FLIGHT, blocks->len - i), buffers, cancelled, &result, error))
            return FALSE;
    *ret_result = result;
    return TRUE;
}
