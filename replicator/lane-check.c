/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/lane-check.h"
#include "base/error.h"
#include "replicator/layer-reader.h"
#include "replicator/map-journal.h"

#include <string.h>

struct lane_check {
    const struct check_expected *expected; /* set once */
    struct layer_chain *chain;
    guint8 *buffer; /* a block of the replica */
};

/* --- what must be --------------------------------------------------------------------------------
 */

/* The first change of a block at or after block. */
static guint find_change(const GArray *changes, guint64 block)
{
    guint low = 0, high = changes->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(changes, struct block_change, middle).block < block)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

gboolean check_expected_read(const struct check_expected *expected, guint64 first, gsize n,
                             struct block_hash *ret_hashes, GError **error)
{
    const GArray *changes = expected->changes;
    if (!block_map_read(expected->map, first, n, ret_hashes, error))
        return FALSE;
    for (guint i = changes ? find_change(changes, first) : 0; changes && i < changes->len; i++) {
        const struct block_change *change = &g_array_index(changes, struct block_change, i);
        if (change->block >= first + n)
            break;
        ret_hashes[change->block - first] = change->after;
    }
    return TRUE;
}

/* --- the lane ------------------------------------------------------------------------------------
 */

struct lane_check *lane_check_open(const struct check_expected *expected, GError **error)
{
    struct lane_check *check = g_new0(struct lane_check, 1);
    check->expected = expected;
    check->buffer = g_malloc(BLOCK_BYTES);
    check->chain = layer_chain_open(expected->folder, expected->layer, error);
    if (check->chain && layer_chain_disk_bytes(check->chain) == expected->disk_bytes)
        return check;
    if (check->chain)
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT, NULL,
                           "layer %s/%s does not have the size of the disk", expected->folder,
                           expected->layer);
    lane_check_close(check);
    return NULL;
}

void lane_check_close(struct lane_check *check)
{
    if (!check)
        return;
    layer_chain_free(check->chain);
    g_free(check->buffer);
    g_free(check);
}

static gboolean fail(const struct lane_check *check, guint64 block, gboolean at_source,
                     GError **error)
{
    const struct check_expected *expected = check->expected;
    if (at_source)
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                           "something writes to the disk, or it does not give the same data twice: "
                           "look at its storage and at the memory of this host; nothing was "
                           "committed",
                           "block %" G_GUINT64_FORMAT " (byte %" G_GUINT64_FORMAT
                           ") of the source is not what it was when it was copied",
                           block, block * BLOCK_BYTES);
    else
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                           "look at the store's storage and at the memory of this host, then run "
                           "the cycle again; nothing was committed",
                           "block %" G_GUINT64_FORMAT " (byte %" G_GUINT64_FORMAT
                           "), read back from %s/%s, is not what was written",
                           block, block * BLOCK_BYTES, expected->folder, expected->layer);
    return FALSE;
}

/* The hash of a block as the layers give it. */
static gboolean hash_replica(struct lane_check *check, guint64 block, struct block_hash *ret_hash,
                             GError **error)
{
    const struct check_expected *expected = check->expected;
    gboolean zero;
    if (!layer_chain_read_block(check->chain, block, check->buffer, &zero, error))
        return FALSE;
    if (zero)
        memset(ret_hash, 0, sizeof *ret_hash);
    else
        *ret_hash = block_hash_compute(check->buffer, block_length(expected->disk_bytes, block),
                                       block_map_seed(expected->map));
    return TRUE;
}

static gboolean check_replica(struct lane_check *check, guint64 block,
                              const struct block_hash *wanted, GError **error)
{
    struct block_hash found;
    return hash_replica(check, block, &found, error) &&
           (block_hash_equal(&found, wanted) || fail(check, block, FALSE, error));
}

gboolean lane_check_data(struct lane_check *check, const void *data, guint64 offset_bytes,
                         gsize length_bytes, GError **error)
{
    const struct check_expected *expected = check->expected;
    struct block_hash wanted[REQUEST_BYTES / BLOCK_BYTES];
    guint64 first = offset_bytes / BLOCK_BYTES;
    gsize n = (gsize)block_count(length_bytes);
    if (!check_expected_read(expected, first, n, wanted, error))
        return FALSE;
    for (gsize i = 0; i < n; i++) {
        const guint8 *block = (const guint8 *)data + i * BLOCK_BYTES;
        struct block_hash found = block_hash_compute(
            block, MIN(BLOCK_BYTES, length_bytes - i * BLOCK_BYTES), block_map_seed(expected->map));
        if (!block_hash_equal(&found, &wanted[i]))
            return fail(check, first + i, TRUE, error);
        if (!check_replica(check, first + i, &wanted[i], error))
            return FALSE;
    }
    return TRUE;
}

gboolean lane_check_zero(struct lane_check *check, const struct extent *range, GError **error)
{
    struct block_hash wanted[MAP_PAGE_BLOCKS];
    guint64 end = block_count(range->offset_bytes + range->length_bytes);
    for (guint64 block = range->offset_bytes / BLOCK_BYTES; block < end;) {
        gsize n = (gsize)MIN(MAP_PAGE_BLOCKS, end - block);
        if (!check_expected_read(check->expected, block, n, wanted, error))
            return FALSE;
        for (gsize i = 0; i < n; i++) {
            if (!block_hash_is_zero(&wanted[i]))
                return fail(check, block + i, TRUE, error);
            if (!check_replica(check, block + i, &wanted[i], error))
                return FALSE;
        }
        block += n;
    }
    return TRUE;
}
