/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/lane-compare.h"

#include <string.h>

#define REQUEST_BLOCKS (REQUEST_BYTES / BLOCK_BYTES)
#define ZERO_STEP_BLOCKS 256u

static gboolean record_change(struct lane_compare *compare, const struct block_change *change,
                              GError **error)
{
    struct lane_job *job = compare->job;
    lane_count(&job->counters->changed_blocks, 1);
    if (block_hash_is_zero(&change->after))
        lane_count(&job->counters->zero_blocks, 1);
    if (job->in_place)
        return block_map_write(job->map, change->block, 1, &change->after, error);
    g_array_append_val(compare->changes, *change);
    return TRUE;
}

/* The same for n neighbours that hold data now. */
static gboolean record_run(struct lane_compare *compare, guint64 block, guint n,
                           guint64 layer_offset, const struct block_hash *before,
                           const struct block_hash *after, GError **error)
{
    struct lane_job *job = compare->job;
    if (job->in_place) {
        lane_count(&job->counters->changed_blocks, n);
        return block_map_write(job->map, block, n, after, error);
    }
    for (guint i = 0; i < n; i++) {
        struct block_change change = {
            .block = block + i,
            .layer_offset = layer_offset ? layer_offset + (guint64)i * BLOCK_BYTES : 0,
            .before = before[i],
            .after = after[i],
        };
        if (!record_change(compare, &change, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean make_zero(struct lane_compare *compare, guint64 block,
                          const struct block_hash *before, GError **error)
{
    struct lane_job *job = compare->job;
    struct block_change change = {.block = block, .before = *before};
    return job->ops->zero(job->replica, block * BLOCK_BYTES, block_length(job->disk_bytes, block),
                          error) &&
           record_change(compare, &change, error);
}

gboolean lane_compare_zero(struct lane_compare *compare, const struct extent *range, GError **error)
{
    struct lane_job *job = compare->job;
    struct block_hash hashes[ZERO_STEP_BLOCKS];
    guint64 block = range->offset_bytes / BLOCK_BYTES;
    guint64 end = block_count(range->offset_bytes + range->length_bytes);
    while ((block = block_map_next_nonzero(job->map, block)) < end) {
        gsize step = (gsize)MIN(ZERO_STEP_BLOCKS, end - block);
        if (!block_map_read(job->map, block, step, hashes, error))
            return FALSE;
        for (gsize i = 0; i < step; i++)
            if (!block_hash_is_zero(&hashes[i]) &&
                !make_zero(compare, block + i, &hashes[i], error))
                return FALSE;
        block += step;
    }
    lane_count(&job->counters->done_bytes, range->length_bytes);
    return TRUE;
}

/* Writes blocks [first, first + n) of the slot, which are neighbours, and records them. */
static gboolean queue_run(struct lane_compare *compare, struct lane_slot *slot, guint first,
                          guint n, const struct block_hash *before, const struct block_hash *after,
                          GError **error)
{
    struct lane_job *job = compare->job;
    guint64 layer_offset, offset = slot->read.offset_bytes + (guint64)first * BLOCK_BYTES;
    gsize length =
        MIN((gsize)n * BLOCK_BYTES, slot->read.length_bytes - (gsize)first * BLOCK_BYTES);
    gsize padded = (length + REPLICA_ALIGNMENT - 1) / REPLICA_ALIGNMENT * REPLICA_ALIGNMENT;
    guint8 *data = slot->read.buffer + (gsize)first * BLOCK_BYTES;
    memset(data + length, 0, padded - length);
    if (!job->ops->write(compare->replica, data, padded, offset, slot, &layer_offset, error))
        return FALSE;
    slot->writes_in_flight++;
    compare->writes_in_flight++;
    compare->writes_queued++;
    lane_count(&job->counters->sent_bytes, length);
    return record_run(compare, offset / BLOCK_BYTES, n, layer_offset, before + first, after + first,
                      error);
}

/* The entries of n blocks. Those of one map page are read at once and kept: a lane's requests come
 * one after the other. Each entry is looked at once in a pass, before anybody writes it, so that
 * what is kept is not stale where it matters. */
static gboolean read_entries(struct lane_compare *compare, guint64 block, guint n,
                             struct block_hash *ret_before, GError **error)
{
    const struct block_map *map = compare->job->map;
    guint64 page = block / MAP_PAGE_BLOCKS;
    gsize first = (gsize)(block % MAP_PAGE_BLOCKS);
    g_assert(first + n <= MAP_PAGE_BLOCKS); /* requests are aligned to their size */
    if (!compare->has_page || compare->page_number != page) {
        compare->has_page = FALSE;
        if (!block_map_read(map, page * MAP_PAGE_BLOCKS, MAP_PAGE_BLOCKS, compare->page, error))
            return FALSE;
        compare->has_page = TRUE;
        compare->page_number = page;
    }
    memcpy(ret_before, compare->page + first, n * sizeof *ret_before);
    return TRUE;
}

gboolean lane_compare_data(struct lane_compare *compare, struct lane_slot *slot, GError **error)
{
    const struct block_map *map = compare->job->map;
    struct block_hash before[REQUEST_BLOCKS], after[REQUEST_BLOCKS];
    const struct nbd_read *read = &slot->read;
    guint64 block = read->offset_bytes / BLOCK_BYTES;
    guint n = (guint)block_count(read->length_bytes), run = 0;
    if (!read_entries(compare, block, n, before, error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        gsize at = (gsize)i * BLOCK_BYTES;
        after[i] = block_hash_compute(read->buffer + at, MIN(BLOCK_BYTES, read->length_bytes - at),
                                      block_map_seed(map));
        gboolean changed = !block_hash_equal(&before[i], &after[i]);
        if (changed && !block_hash_is_zero(&after[i])) {
            run++;
            continue;
        }
        if (run && !queue_run(compare, slot, i - run, run, before, after, error))
            return FALSE;
        run = 0;
        if (changed && !make_zero(compare, block + i, &before[i], error))
            return FALSE;
    }
    return !run || queue_run(compare, slot, n - run, run, before, after, error);
}
