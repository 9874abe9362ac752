/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What runs next: entries wait until they are due, and leave in the order of their rank, an
 * operator's priority, the load of their hosts and how long they have been due, within limits. The
 * queue has no clock and starts nothing. */

#include <glib.h>

enum queue_rank {               /* first come first */
                  QUEUE_FINAL,  /* the last cycle before a machine moves: somebody waits, the guest
                                   is down */
                  QUEUE_CLEAN,  /* the end of a replication: short, and gives room */
                  QUEUE_MANUAL, /* asked for by somebody */
                  QUEUE_INITIAL,
                  QUEUE_DELTA,
                  QUEUE_VERIFY,
};

struct queue_limits {
    guint running;  /* at most so many at once */
    guint per_host; /* of those, on one host */
    guint lengthy;  /* of those, first copies and proofs; the final cycle knows no limits */
};

/* Owned by the caller, who changes it only while the queue does not hold it. */
struct queue_entry {
    const char *host; /* borrowed */
    enum queue_rank rank;
    gint64 priority; /* higher is earlier within a rank */
    gint64 due_us;
    void *owner;
};

struct queue;

struct queue *queue_new(void);
void queue_free(struct queue *queue);

/* Lets the entry wait; it is borrowed until queue_take gives it back and queue_done follows, or
 * until it is withdrawn. */
void queue_add(struct queue *queue, struct queue_entry *entry);
void queue_withdraw(struct queue *queue, struct queue_entry *entry);

/* The entry that is to run now, which then counts as running; NULL: none is due, or the limits are
 * reached. */
struct queue_entry *queue_take(struct queue *queue, const struct queue_limits *limits,
                               gint64 now_us);
void queue_done(struct queue *queue, struct queue_entry *entry);

/* When the next waiting entry that is not due yet becomes so; G_MAXINT64: there is none. */
gint64 queue_next_due_us(const struct queue *queue, gint64 now_us);

/* How many are due and wait, and how many run. */
guint queue_waiting(const struct queue *queue, gint64 now_us);
guint queue_running(const struct queue *queue);
