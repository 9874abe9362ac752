/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One cycle of one machine: all disks brought to the state of their sources and committed together
 * as one recovery point, or none. No policy, no libvirt. */

#include "replicator/manifest.h"
#include "replicator/rate-limit.h"
#include "replicator/work.h"

/* What the caller hears while the cycle runs, all in the thread that called cycle_run. Every
 * function must be set. */
struct cycle_observer {
    void *data;

    /* Several times a second while a disk is worked on, and once at its end. */
    void (*progress)(void *data, const char *disk, guint64 done_bytes, guint64 total_bytes,
                     guint64 read_bytes, guint64 sent_bytes);

    /* Something to know that does not end the cycle. code is a stable token, disk may be NULL. */
    void (*warning)(void *data, const char *code, const char *disk, const char *message);

    /* How the candidates of a disk are found, before they are read. demotion_cause may be NULL. */
    void (*plan)(void *data, const char *disk, enum scan_mode mode, guint64 candidate_bytes,
                 const char *demotion_cause, const char *demotion_detail);

    /* Blocks of a disk are read again, at the source and in the replica; progress is told of them
     * from here on. */
    void (*verify)(void *data, const char *disk, enum verify_mode mode, guint64 total_bytes);

    /* All sources have been read: the snapshot may go. FALSE with *error: what was read does not
     * count, and nothing is committed. */
    gboolean (*source_done)(void *data, GError **error);

    /* The recovery point is durable: the checkpoint may advance. What follows (map, retention) is
     * done again by the next cycle if it fails. */
    void (*committed)(void *data, const struct manifest *manifest);
};

/* Runs the cycle. limit carries work->bandwidth and may be changed from another thread; *cancelled
 * may become 1 at any time (from a signal handler, too). On failure nothing that counts has
 * changed. The caller owns the manifest. */
struct manifest *cycle_run(const struct work *work, struct rate_limit *limit,
                           const struct cycle_observer *observer, const gint *cancelled,
                           GError **error);
