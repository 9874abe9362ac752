/* SPDX-License-Identifier: Apache-2.0 */

/* Listing block status. A server walks its tables for each request, so the listing is cut into
 * chunks of nearly 2 GiB and several are kept in flight; each chunk collects its own answer, and
 * the answers are joined in order. */

#include "replicator/block-hash.h"
#include "replicator/nbd-source.h"

#include <string.h>

/* Below 2 GiB, which some servers cannot do, and whole blocks. */
#define CHUNK_BYTES ((2ull << 30) - BLOCK_BYTES)
#define IN_FLIGHT 16u

struct chunk {
    struct status_answer answer;
    struct listing *listing;
    guint64 asked_at; /* position when the request in flight was sent */
};

struct listing {
    const struct nbd_source *source;
    struct nbd_handle *handle;
    const char *context;
    GPtrArray *chunks; /* struct chunk */
    guint next_chunk;  /* the first that was not started */
    guint in_flight;
    GQueue again;       /* chunks whose answer covered only a part */
    gint64 answered_us; /* the last sign of life */
    gboolean failed;
};

static void chunk_free(struct chunk *chunk)
{
    status_answer_clear(&chunk->answer);
    g_free(chunk);
}

static int take_extents(void *data, const char *context, uint64_t offset, uint32_t *entries,
                        size_t entry_count, int *error)
{
    struct chunk *chunk = data;
    (void)error;
    if (strcmp(context, chunk->listing->context) == 0)
        status_answer_take(&chunk->answer, offset, entries, entry_count);
    return 0;
}

/* Runs inside libnbd: it may only note what happened. */
static int chunk_answered(void *data, int *error)
{
    struct chunk *chunk = data;
    struct listing *listing = chunk->listing;
    listing->in_flight--;
    listing->answered_us = g_get_monotonic_time();
    if (*error || chunk->answer.position_bytes == chunk->asked_at)
        listing->failed = TRUE;
    else if (chunk->answer.position_bytes < chunk->answer.end_bytes)
        g_queue_push_tail(&listing->again, chunk);
    return 1;
}

static gboolean send_chunk(struct listing *listing, struct chunk *chunk)
{
    nbd_extent_callback extents = {.callback = take_extents, .user_data = chunk};
    nbd_completion_callback completion = {.callback = chunk_answered, .user_data = chunk};
    chunk->asked_at = chunk->answer.position_bytes;
    listing->in_flight++;
    if (nbd_aio_block_status(listing->handle, chunk->answer.end_bytes - chunk->asked_at,
                             chunk->asked_at, extents, completion, 0) >= 0)
        return TRUE;
    listing->in_flight--;
    return FALSE;
}

static gboolean send_more(struct listing *listing)
{
    while (listing->in_flight < IN_FLIGHT && !listing->failed) {
        struct chunk *chunk = g_queue_pop_head(&listing->again);
        if (!chunk && listing->next_chunk < listing->chunks->len)
            chunk = listing->chunks->pdata[listing->next_chunk++];
        if (!chunk)
            return TRUE;
        if (!send_chunk(listing, chunk))
            return FALSE;
    }
    return TRUE;
}

static gboolean run_listing(struct listing *listing, const gint *cancelled, GError **error)
{
    static const char doing[] = "list the block status of";
    listing->answered_us = g_get_monotonic_time();
    while (send_more(listing) && !listing->failed) {
        if (listing->in_flight == 0)
            return TRUE;
        if (!nbd_source_wait(listing->source, listing->handle, doing, listing->answered_us,
                             cancelled, error))
            return FALSE;
    }
    nbd_source_error(listing->source, doing, error);
    return FALSE;
}

static void cut_range(struct listing *listing, const struct status_range *range)
{
    guint64 end = range->offset_bytes + range->length_bytes;
    for (guint64 at = range->offset_bytes; at < end; at += CHUNK_BYTES) {
        struct chunk *chunk = g_new0(struct chunk, 1);
        status_answer_init(&chunk->answer, at, MIN(at + CHUNK_BYTES, end));
        chunk->listing = listing;
        g_ptr_array_add(listing->chunks, chunk);
    }
}

GArray *nbd_source_status(const struct nbd_source *source, struct nbd_handle **handle,
                          const char *context, const struct status_range *ranges, gsize range_count,
                          const gint *cancelled, GError **error)
{
    struct listing listing = {.source = source, .handle = *handle, .context = context};
    GArray *extents = NULL;
    listing.chunks = g_ptr_array_new_with_free_func((GDestroyNotify)chunk_free);
    g_queue_init(&listing.again);
    for (gsize i = 0; i < range_count; i++)
        cut_range(&listing, &ranges[i]);
    if (run_listing(&listing, cancelled, error)) {
        extents = g_array_new(FALSE, FALSE, sizeof(struct status_extent));
        for (guint i = 0; i < listing.chunks->len; i++) {
            const GArray *part = ((struct chunk *)listing.chunks->pdata[i])->answer.extents;
            g_array_append_vals(extents, part->data, part->len);
        }
    } else {
        nbd_source_close(*handle);
        *handle = NULL;
    }
    g_ptr_array_unref(listing.chunks);
    g_queue_clear(&listing.again);
    return extents;
}
