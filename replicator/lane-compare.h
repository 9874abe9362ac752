/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What of a lane decides: blocks that came from the source are compared with what the replica
 * holds, and those that differ are queued for writing and recorded as changes. */

#include "replicator/lane.h"
#include "replicator/nbd-reader.h"

/* A request on its way through a lane: free → reading → compared, its changed runs writing → free.
 * The buffer a read lands in is what is hashed and what the replica writes: nothing is copied. */
struct lane_slot {
    struct nbd_read read; /* its buffer: REQUEST_BYTES, aligned */
    guint writes_in_flight;
};

/* The lane's thread only. */
struct lane_compare {
    struct lane_job *job;                    /* set once */
    struct replica_lane *replica;            /* set once */
    GArray *changes;                         /* struct block_change */
    guint writes_in_flight;                  /* of all slots, from when they are queued */
    guint writes_queued;                     /* since the last submit */
    struct block_hash page[MAP_PAGE_BLOCKS]; /* entries of page_number, if has_page */
    guint64 page_number;
    gboolean has_page;
};

/* Compares the slot's blocks and queues the writes of those that differ, neighbours in one; counts
 * them in slot and lane. Error replica. */
gboolean lane_compare_data(struct lane_compare *compare, struct lane_slot *slot, GError **error);

/* The source says that the range is zero: blocks that the replica holds otherwise become zero. */
gboolean lane_compare_zero(struct lane_compare *compare, const struct extent *range,
                           GError **error);

static inline void lane_count(guint64 *counter, guint64 n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}
