/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/cli/quantity.c: what people write, and what they had better not. */

#include "appliance/cli/quantity.h"
#include "base/error.h"

static void test_durations(void)
{
    static const struct {
        const char *text;
        guint64 seconds;
    } good[] = {{"0", 0},           {"90", 90},     {"90s", 90},
                {"15m", 900},       {"1h", 3600},   {"1h30m", 5400},
                {"2d12h", 216000},  {"7d", 604800}, {"3650d", 315360000},
                {"1d1h1m1s", 90061}};
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        guint64 seconds = 1;
        g_autoptr(GError) error = NULL;
        g_assert_true(quantity_parse_duration(good[i].text, &seconds, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(seconds, ==, good[i].seconds);
    }
}

static void test_no_durations(void)
{
    static const char *const bad[] = {"",     "m",     "-1",
                                      "1x",   "1h30",  "30m1h",
                                      "1m1m", "1 h",   " 1",
                                      "1.5h", "3651d", "99999999999999999999",
                                      "auto", "0x10",  "18446744073709551615d"};
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        guint64 seconds = 42;
        g_autoptr(GError) error = NULL;
        g_assert_false(quantity_parse_duration(bad[i], &seconds, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
        g_assert_cmpuint(seconds, ==, 42);
    }
}

static void test_bytes(void)
{
    static const struct {
        const char *text;
        guint64 bytes;
    } good[] = {
        {"0", 0},           {"512", 512},         {"512B", 512},
        {"64k", 65536},     {"64KiB", 65536},     {"50M", 52428800},
        {"50MB", 52428800}, {"1.5G", 1610612736}, {"2T", G_GUINT64_CONSTANT(2199023255552)}};
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        guint64 bytes = 1;
        g_autoptr(GError) error = NULL;
        g_assert_true(quantity_parse_bytes(good[i].text, &bytes, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(bytes, ==, good[i].bytes);
    }
}

static void test_no_bytes(void)
{
    static const char *const bad[] = {"",    "M",   "-1",  "1X",  "1 M",          " 1",  "1MM",
                                      "1Mi", "1iB", "nan", "inf", "99999999999T", "1M ", "1,5M"};
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        guint64 bytes = 42;
        g_autoptr(GError) error = NULL;
        g_assert_false(quantity_parse_bytes(bad[i], &bytes, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
        g_assert_cmpuint(bytes, ==, 42);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/quantity/durations", test_durations);
    g_test_add_func("/quantity/no-durations", test_no_durations);
    g_test_add_func("/quantity/bytes", test_bytes);
    g_test_add_func("/quantity/no-bytes", test_no_bytes);
    return g_test_run();
}
