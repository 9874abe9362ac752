/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/rate-limit.h"

/* The bucket holds a quarter of a second, and goes into debt for a request larger than that: a
 * request is let through when the bucket is not in debt. */
#define BURST_DIVISOR 4

struct rate_limit {
    GMutex lock;
    gint64 bytes_per_second; /* under lock; 0: no limit */
    gint64 tokens_bytes;     /* under lock; negative: debt */
    gint64 filled_us;        /* under lock */
};

struct rate_limit *rate_limit_new(guint64 bytes_per_second)
{
    struct rate_limit *limit = g_new0(struct rate_limit, 1);
    g_mutex_init(&limit->lock);
    rate_limit_set(limit, bytes_per_second);
    return limit;
}

void rate_limit_free(struct rate_limit *limit)
{
    if (!limit)
        return;
    g_mutex_clear(&limit->lock);
    g_free(limit);
}

void rate_limit_set(struct rate_limit *limit, guint64 bytes_per_second)
{
    g_mutex_lock(&limit->lock);
    limit->bytes_per_second = (gint64)MIN(bytes_per_second, (guint64)G_MAXINT64 / 16);
    limit->tokens_bytes = limit->bytes_per_second / BURST_DIVISOR;
    limit->filled_us = g_get_monotonic_time();
    g_mutex_unlock(&limit->lock);
}

static void fill(struct rate_limit *limit)
{
    gint64 now_us = g_get_monotonic_time();
    double seconds = (double)(now_us - limit->filled_us) / G_USEC_PER_SEC;
    gint64 burst = limit->bytes_per_second / BURST_DIVISOR;
    gint64 fresh = (gint64)MIN(seconds * (double)limit->bytes_per_second, (double)G_MAXINT64 / 16);
    if (fresh == 0)
        return; /* keep the time that was too short for a token */
    limit->tokens_bytes = MIN(limit->tokens_bytes + fresh, burst);
    limit->filled_us = now_us;
}

guint rate_limit_take(struct rate_limit *limit, guint64 bytes)
{
    guint wait_ms = 0;
    g_mutex_lock(&limit->lock);
    if (limit->bytes_per_second > 0) {
        fill(limit);
        if (limit->tokens_bytes >= 0)
            limit->tokens_bytes -= (gint64)bytes;
        else
            wait_ms = (guint)MIN(-limit->tokens_bytes * 1000 / limit->bytes_per_second + 1, 1000);
    }
    g_mutex_unlock(&limit->lock);
    return wait_ms;
}
