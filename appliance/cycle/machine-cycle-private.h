/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of a machine's cycle share. A cycle has one thread; only *cancelled is written
 * from elsewhere, by whoever is told to stop. */

#include "appliance/cycle/machine-cycle.h"
#include "replicator/store.h"
#include "replicator/work.h"
#include "snapshot/snapshot.h"

struct machine_cycle {
    /* Given, and borrowed. */
    const struct machine_cycle_options *options;
    const struct machine_cycle_observer *observer;
    const gint *cancelled;

    /* Set once each, in this order, before the child begins. */
    struct store *store;
    struct snapshot_host *host;       /* NULL: plain NBD exports */
    struct snapshot_machine *machine; /* likewise */
    char *key;                        /* of the machine in the store */
    struct store_lock *lock;          /* what is ours on the host is ours alone while we hold it */
    struct store_machine *replicas;   /* as they were before the cycle */
    struct snapshot *snapshot;

    /* Of the monotonic clock; 0: not yet, or not heard of. */
    gint64 started_us;
    gint64 begun_us; /* of the snapshot */
    gint64 taken_us; /* of the snapshot: the disks can be read */
    gint64 read_us;  /* the last source has been read, and proven where that was asked for */
    gint64 ended_us; /* of the snapshot; 0: it is held */
    gint64 committed_us;

    guint warnings_told; /* of the snapshot's, which grow until it is closed */
};

/* --- machine-cycle.c -----------------------------------------------------------------------------
 */

/* Tells a warning. */
void machine_cycle_warn(const struct machine_cycle *cycle, const char *code, const char *message);

/* FALSE with error cancelled. */
gboolean machine_cycle_go_on(const struct machine_cycle *cycle, GError **error);

/* The latest recovery point as it was before the cycle, or NULL. */
const struct manifest *machine_cycle_base(const struct machine_cycle *cycle);

/* --- cycle-place.c -------------------------------------------------------------------------------
 */

/* Takes the machine's place in the store, and settles what an earlier cycle left there: sets lock
 * and replicas. From here on nobody else cycles the machine into this store. */
gboolean machine_cycle_open_place(struct machine_cycle *cycle, GError **error);

/* --- cycle-work.c --------------------------------------------------------------------------------
 */

/* How consistent the recovery point is going to be, in a word of the manifest's. */
const char *machine_cycle_consistency(const struct machine_cycle *cycle);

/* What the child is told to do with the snapshot. The caller owns it. */
struct work *machine_cycle_work(const struct machine_cycle *cycle);

/* --- cycle-times.c -------------------------------------------------------------------------------
 */

/* Adds to the result where the time went, one part after the other. */
void machine_cycle_add_times(const struct machine_cycle *cycle, JsonObject *result);
