/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A lane: one thread with its own NBD connection, its own way into the replica and a fixed pool of
 * buffers. Lanes of a disk share one atomic index over the requests of the extent list, and
 * nothing else that changes but counters, notes and the first error. */

#include "replicator/lane-check.h"
#include "replicator/nbd-source.h"
#include "replicator/rate-limit.h"
#include "replicator/replica.h"

/* Requests in flight. More, or a second connection, made every case slower that was measured: the
 * buffers of client and server then no longer fit into the processor's caches. */
#define LANE_DEPTH_MAX 16u

/* Bytes and blocks done so far; each is added to atomically. */
struct lane_counters {
    guint64 done_bytes; /* candidates whose content is in the replica */
    guint64 read_bytes;
    guint64 sent_bytes;
    guint64 changed_blocks;
    guint64 zero_blocks;
    guint64 repeated_reads; /* that the server answered with an error first */
};

/* What the lanes of one disk work on. */
struct lane_job {
    /* Set once, before the first lane runs. */
    const struct nbd_source *source;
    const struct extent_list *extents;
    const struct replica_ops *ops;
    struct replica *replica;
    const char *place;                     /* of the replica, for errors */
    struct block_map *map;                 /* what the replica holds */
    guint64 disk_bytes;                    /* of the source; the map may still have another size */
    const struct check_expected *expected; /* what blocks must be; NULL: the lanes copy */
    gboolean in_place;                     /* a first cycle: changes go into the map at once */
    gsize request_bytes;                   /* largest read the server takes */
    struct rate_limit *limit;
    guint reconnect_seconds; /* without a connection before a lane gives up */
    const gint *cancelled;
    struct lane_counters *counters;

    /* Atomic. */
    guint64 next_request;
    gint stopped; /* a lane failed: the others end */

    /* Under lock. */
    GMutex lock;
    GError *error;     /* the first */
    GPtrArray *notes;  /* char *, for the operator: connections lost and made again */
    char *last_repeat; /* why the last of repeated_reads was repeated, or NULL */
};

void lane_job_init(struct lane_job *job);
void lane_job_clear(struct lane_job *job);

/* Takes what lanes noted since the last call: char *, may be empty; the caller unrefs. */
GPtrArray *lane_job_take_notes(struct lane_job *job);

/* Runs one lane to its end in the calling thread. Takes over the connection. Adds the changed
 * blocks to changes (struct block_change, unordered); with in_place, none. Returns FALSE when this
 * lane failed; the first error is in job->error. */
gboolean lane_run(struct lane_job *job, struct nbd_handle *connection, GArray *changes);
