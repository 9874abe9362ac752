/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The writing side of one disk in one cycle, behind a table of operations, so that a store may be a
 * folder, page blobs or an RBD pool. A back end keeps block data only; block map, journal and
 * manifest are the same for all.
 *
 * Order of calls: begin → (lanes: lane_open, write …, submit, reap, lane_close; zero) → finish →
 * free, or abort → free. After begin comes finish or abort; where another disk of the cycle fails,
 * or the commit, abort also comes after finish. What finish made durable counts once a manifest
 * names it; until then the next recovery may remove it. */

#include "replicator/extent-list.h"
#include "replicator/manifest.h"
#include "replicator/map-journal.h"

/* What lanes write must come from buffers with this alignment, and be padded with zeros up to a
 * multiple of it where the disk's last block is shorter. */
#define REPLICA_ALIGNMENT 4096u

struct replica;
struct replica_lane;

/* All borrowed for the call. */
struct replica_spec {
    const char *folder; /* of the disk in the store */
    const char *disk;   /* name, for errors */
    guint64 disk_bytes;
    guint64 number;                       /* of the recovery point to be made */
    const struct manifest_disk *previous; /* latest state of the replica; NULL: there is none */
    const gint *cancelled;                /* not 0: stop */
};

/* Where a lane's buffers are, so that a back end may make them known to the kernel once. */
struct replica_pool {
    void *bytes;
    gsize length_bytes;
};

/* Called by reap for each write, with the write's cookie and 0 or an errno. */
typedef void (*replica_done)(void *lane_owner, void *cookie, int errnum);

struct replica_ops {
    const char *name;

    /* Starts. Where a first cycle was interrupted, *ret_map comes with what is already there; for
     * every first cycle it is the new map, for later ones NULL. */
    struct replica *(*begin)(const struct replica_spec *spec, struct block_map **ret_map,
                             GError **error);

    /* One lane's way in; used by that lane's thread only. depth: most writes in flight. pool: where
     * what is written lies; empty: anywhere. It outlives the lane. */
    struct replica_lane *(*lane_open)(struct replica *replica, unsigned depth,
                                      const struct replica_pool *pool, replica_done done,
                                      void *lane_owner, GError **error);
    void (*lane_close)(struct replica_lane *lane);   /* nothing may be in flight */
    int (*lane_fd)(const struct replica_lane *lane); /* readable when reap has something to do */

    /* Queues a write of length_bytes (padded) at offset_bytes of the disk: whole blocks. Content
     * stays put until done. *ret_layer_offset is where a layer keeps it (0 in a base). */
    gboolean (*write)(struct replica_lane *lane, const void *data, gsize length_bytes,
                      guint64 offset_bytes, void *cookie, guint64 *ret_layer_offset,
                      GError **error);
    /* After a failure, the queued writes have been answered with it, and no more are taken. */
    gboolean (*submit)(struct replica_lane *lane, GError **error);
    gboolean (*reap)(struct replica_lane *lane, GError **error);

    /* Whole blocks of the disk become zero. Thread-safe. */
    gboolean (*zero)(struct replica *replica, guint64 offset_bytes, guint64 length_bytes,
                     GError **error);

    /* Makes all durable. changes: struct block_change, ascending (empty for a first cycle). The
     * caller owns *ret_layer, the name to put into the manifest. */
    gboolean (*finish)(struct replica *replica, const GArray *changes, char **ret_layer,
                       guint64 *ret_layer_bytes, GError **error);

    /* Takes back what begin and the lanes did, as far as a later cycle could not use it. */
    void (*abort)(struct replica *replica);
    void (*free)(struct replica *replica);
};

/* Files in a folder (replica-local.c): raw base, qcow2 layers. */
extern const struct replica_ops replica_local_ops;
