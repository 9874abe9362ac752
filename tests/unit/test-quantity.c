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

static GDateTime *evening(void)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier("Europe/Berlin");
    g_assert_nonnull(zone);
    return g_date_time_new(zone, 2026, 3, 28, 21, 30, 0); /* the clocks change in this night */
}

static void test_times(void)
{
    static const struct {
        const char *text, *utc;
    } good[] = {
        {"22:00", "2026-03-28T21:00:00Z"},
        {"21:30", "2026-03-29T19:30:00Z"},
        {"9:05", "2026-03-29T07:05:00Z"},
        {"+2h", "2026-03-28T22:30:00Z"},
        {"+1d", "2026-03-29T20:30:00Z"},
        {"2026-03-29 04:00", "2026-03-29T02:00:00Z"},
        {"2026-03-29T04:00", "2026-03-29T02:00:00Z"},
        {"2026-03-29 04:00:30", "2026-03-29T02:00:30Z"},
        {"2026-03-29T04:00Z", "2026-03-29T04:00:00Z"},
        {"2026-03-29T04:00:00-05:00", "2026-03-29T09:00:00Z"},
        {"20260329T040000Z", "2026-03-29T04:00:00Z"},
    };
    g_autoptr(GDateTime) now = evening();
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GDateTime) time = quantity_parse_time(good[i].text, now, &error);
        g_assert_no_error(error);
        g_autoptr(GDateTime) utc = g_date_time_to_utc(time);
        g_autofree char *text = g_date_time_format_iso8601(utc);
        g_assert_cmpstr(text, ==, good[i].utc);
    }
}

static void test_no_times(void)
{
    static const char *const bad[] = {"",       "now",        "24:00",
                                      "22:0",   "22:60",      "22:00:00",
                                      "+",      "+1x",        "2026-03-28 21:30",
                                      "+0",     "2026-03-29", "2026-02-30 10:00",
                                      "-1:00",  "1:2:3",      "2026-03-29 04:00 or so",
                                      " 22:00", "2h",         "2026-01-01T00:00:00Z"};
    g_autoptr(GDateTime) now = evening();
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(quantity_parse_time(bad[i], now, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/quantity/durations", test_durations);
    g_test_add_func("/quantity/no-durations", test_no_durations);
    g_test_add_func("/quantity/bytes", test_bytes);
    g_test_add_func("/quantity/no-bytes", test_no_bytes);
    g_test_add_func("/quantity/times", test_times);
    g_test_add_func("/quantity/no-times", test_no_times);
    return g_test_run();
}
