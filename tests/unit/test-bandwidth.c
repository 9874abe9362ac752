/* SPDX-License-Identifier: Apache-2.0 */

/* One bandwidth, shared. */

#include "appliance/jobs/bandwidth.h"

#define COUNT 4

static void check(guint64 total, const guint64 *limits, const guint64 *expected)
{
    guint64 shares[COUNT];
    bandwidth_share(total, limits, shares, COUNT);
    for (gsize i = 0; i < COUNT; i++)
        g_assert_cmpuint(shares[i], ==, expected[i]);
}

static void test_shares(void)
{
    const guint64 none[COUNT] = {0}, some[COUNT] = {0, 50000, 0, 900000};
    const guint64 quarter[COUNT] = {100000, 100000, 100000, 100000};
    const guint64 rest[COUNT] = {175000, 50000, 175000, 175000};
    check(0, none, none);
    check(0, some, some);
    check(400000, none, quarter);
    /* 50,000 for the one that wants no more, and thirds of what is left for the others. */
    check(575000, some, rest);
    /* Enough for all limits: those without one take the rest. */
    const guint64 ample[COUNT] = {1525000, 50000, 1525000, 900000};
    check(4000000, some, ample);
}

static void test_by_chance(void)
{
    for (int round = 0; round < 1000; round++) {
        guint64 limits[COUNT], shares[COUNT], sum = 0;
        guint64 total = (guint64)g_test_rand_int_range(100000, 1000000);
        for (gsize i = 0; i < COUNT; i++)
            limits[i] = (guint64)(g_test_rand_bit() ? g_test_rand_int_range(5000, 600000) : 0);
        bandwidth_share(total, limits, shares, COUNT);
        for (gsize i = 0; i < COUNT; i++) {
            sum += shares[i];
            g_assert_cmpuint(shares[i], >, 0);
            g_assert_true(!limits[i] || shares[i] <= limits[i]);
        }
        g_assert_cmpuint(sum, <=, total);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bandwidth/shares", test_shares);
    g_test_add_func("/bandwidth/J5: never more than there is", test_by_chance);
    return g_test_run();
}
