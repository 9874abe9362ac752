/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/rate-limit.c: a bucket that lets bursts of a quarter of a second through, goes into
 * debt for large requests, and takes a new rate at any time. */

#include "replicator/rate-limit.h"

static void test_no_limit(void)
{
    struct rate_limit *limit = rate_limit_new(0);
    for (guint i = 0; i < 1000; i++)
        g_assert_cmpuint(rate_limit_take(limit, G_MAXINT64 / 2), ==, 0);
    rate_limit_free(limit);
    rate_limit_free(NULL);
}

static void test_burst_and_debt(void)
{
    struct rate_limit *limit = rate_limit_new(1000);
    /* 250 tokens, and one request may overdraw them. */
    g_assert_cmpuint(rate_limit_take(limit, 100), ==, 0);
    g_assert_cmpuint(rate_limit_take(limit, 2000), ==, 0);
    guint wait_ms = rate_limit_take(limit, 1);
    g_assert_cmpuint(wait_ms, >=, 1);
    g_assert_cmpuint(wait_ms, <=, 1000);
    rate_limit_free(limit);
}

static void test_change(void)
{
    struct rate_limit *limit = rate_limit_new(1);
    g_assert_cmpuint(rate_limit_take(limit, 1 << 30), ==, 0);
    g_assert_cmpuint(rate_limit_take(limit, 1), ==, 1000);
    rate_limit_set(limit, 0);
    g_assert_cmpuint(rate_limit_take(limit, 1 << 30), ==, 0);
    rate_limit_set(limit, G_MAXUINT64);
    g_assert_cmpuint(rate_limit_take(limit, 1 << 30), ==, 0);
    g_assert_cmpuint(rate_limit_take(limit, 1 << 30), ==, 0);
    rate_limit_free(limit);
}

/* Over time the rate is kept: requests let through in half a second, one burst aside. */
static void test_rate(void)
{
    const guint64 rate = 10000000, request = 10000;
    struct rate_limit *limit = rate_limit_new(rate);
    gint64 begun_us = g_get_monotonic_time(), now_us = begun_us;
    guint64 taken = 0;
    while ((now_us = g_get_monotonic_time()) < begun_us + 500000)
        if (rate_limit_take(limit, request) == 0)
            taken += request;
    double allowed = (double)rate * ((double)(now_us - begun_us) / 1e6 + 0.25);
    g_assert_cmpfloat((double)taken, <=, allowed + (double)request);
    g_assert_cmpfloat((double)taken, >=, allowed * 0.5);
    rate_limit_free(limit);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rate-limit/no-limit", test_no_limit);
    g_test_add_func("/rate-limit/burst-and-debt", test_burst_and_debt);
    g_test_add_func("/rate-limit/change", test_change);
    g_test_add_func("/rate-limit/rate", test_rate);
    return g_test_run();
}
