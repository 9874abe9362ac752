/* SPDX-License-Identifier: Apache-2.0 */

/* When cycles are due: windows across midnight, the week's end and the days on which clocks change;
 * intervals, backoff, lag. */

#include "appliance/jobs/schedule.h"
#include "base/error.h"

/* Central Europe by its rule, so that no table of time zones is needed: 2026-03-29 02:00 becomes
 * 03:00, 2026-10-25 03:00 becomes 02:00. */
#define EUROPE "CET-1CEST,M3.5.0,M10.5.0/3"

static gint64 at(const char *text)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, utc);
    g_assert_nonnull(time);
    return g_date_time_to_unix(time) * G_USEC_PER_SEC;
}

static struct schedule_calendar *calendar_of(const char *zone_name, const char *window,
                                             const char *other)
{
    const char *windows[] = {window, other, NULL};
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier(zone_name);
    g_autoptr(GError) error = NULL;
    g_assert_nonnull(zone);
    struct schedule_calendar *calendar = schedule_calendar_new(windows, zone, &error);
    g_assert_no_error(error);
    return calendar;
}

static void check_opens(const struct schedule_calendar *calendar, const char *from, const char *to)
{
    gint64 open_us = schedule_calendar_open(calendar, at(from));
    g_autoptr(GDateTime) open = g_date_time_new_from_unix_utc(open_us / G_USEC_PER_SEC);
    g_autofree char *text = g_date_time_format(open, "%Y-%m-%dT%H:%M:%SZ");
    g_assert_cmpstr(text, ==, to);
    g_assert_cmpint(schedule_calendar_covers(calendar, at(from)), ==, open_us != at(from));
}

static void test_week(void)
{
    struct schedule_calendar *office = calendar_of("UTC", "Mon-Fri 08:00-18:00", NULL);
    check_opens(office, "2026-11-20T07:59:59Z", "2026-11-20T07:59:59Z"); /* a Friday */
    check_opens(office, "2026-11-20T08:00:00Z", "2026-11-20T18:00:00Z");
    check_opens(office, "2026-11-20T17:59:59Z", "2026-11-20T18:00:00Z");
    check_opens(office, "2026-11-20T18:00:00Z", "2026-11-20T18:00:00Z");
    check_opens(office, "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z");
    schedule_calendar_free(office);
    struct schedule_calendar *weekend = calendar_of("UTC", "sat-mon 00:00-24:00", NULL);
    check_opens(weekend, "2026-11-21T00:00:00Z", "2026-11-24T00:00:00Z");
    check_opens(weekend, "2026-11-23T23:59:59Z", "2026-11-24T00:00:00Z");
    check_opens(weekend, "2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z");
    schedule_calendar_free(weekend);
}

static void test_midnight(void)
{
    struct schedule_calendar *night = calendar_of("UTC", "Fri 22:00-06:00", NULL);
    check_opens(night, "2026-11-20T21:59:59Z", "2026-11-20T21:59:59Z");
    check_opens(night, "2026-11-20T22:00:00Z", "2026-11-21T06:00:00Z");
    check_opens(night, "2026-11-21T05:59:59Z", "2026-11-21T06:00:00Z");
    check_opens(night, "2026-11-21T22:00:00Z", "2026-11-21T22:00:00Z");
    check_opens(night, "2026-11-20T03:00:00Z", "2026-11-20T03:00:00Z"); /* Thursday's night */
    schedule_calendar_free(night);
    struct schedule_calendar *chain = calendar_of("UTC", "22:00-06:00", "06:00-08:30");
    check_opens(chain, "2026-11-20T23:00:00Z", "2026-11-21T08:30:00Z");
    schedule_calendar_free(chain);
}

static void test_never(void)
{
    struct schedule_calendar *all = calendar_of("UTC", "00:00-24:00", NULL);
    g_assert_cmpint(schedule_calendar_open(all, at("2026-11-20T00:00:00Z")), ==, SCHEDULE_NEVER);
    g_assert_cmpint(schedule_lag_limit_us(at("2026-11-20T00:00:00Z"), 1, 2, all), ==,
                    SCHEDULE_NEVER);
    schedule_calendar_free(all);
    struct schedule_calendar *none = calendar_of("UTC", NULL, NULL);
    check_opens(none, "2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z");
    g_assert_cmpint(schedule_calendar_edge(none, at("2026-11-20T12:00:00Z")), ==, SCHEDULE_NEVER);
    schedule_calendar_free(none);
}

/* Windows follow the clocks of their zone: in summer an hour earlier by UTC. */
static void test_clock_changes(void)
{
    struct schedule_calendar *day = calendar_of(EUROPE, "08:00-18:00", NULL);
    check_opens(day, "2026-03-28T07:00:00Z", "2026-03-28T17:00:00Z"); /* winter */
    check_opens(day, "2026-03-28T06:59:59Z", "2026-03-28T06:59:59Z");
    check_opens(day, "2026-03-29T06:00:00Z", "2026-03-29T16:00:00Z"); /* the day of the change */
    check_opens(day, "2026-03-29T05:59:59Z", "2026-03-29T05:59:59Z");
    check_opens(day, "2026-10-25T06:59:59Z", "2026-10-25T06:59:59Z"); /* and back */
    check_opens(day, "2026-10-25T07:00:00Z", "2026-10-25T17:00:00Z");
    schedule_calendar_free(day);
    /* Over the night that loses an hour, and over the one that has 25 to the day. */
    struct schedule_calendar *night = calendar_of(EUROPE, "22:00-06:00", NULL);
    check_opens(night, "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z");
    check_opens(night, "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z");
    schedule_calendar_free(night);
    /* An end that the clocks skip is where they go on; one shown twice is over at the second. */
    struct schedule_calendar *skipped = calendar_of(EUROPE, "01:00-02:30", NULL);
    g_assert_true(schedule_calendar_covers(skipped, at("2026-03-29T00:59:59Z")));
    g_assert_false(schedule_calendar_covers(skipped, at("2026-03-29T01:30:00Z")));
    check_opens(skipped, "2026-10-24T23:00:00Z", "2026-10-25T01:30:00Z");
    schedule_calendar_free(skipped);
}

static void test_edges(void)
{
    struct schedule_calendar *office = calendar_of("UTC", "Mon-Fri 08:00-18:00", "Mon 12:00-13:00");
    g_assert_cmpint(schedule_calendar_edge(office, at("2026-11-20T18:00:00Z")), ==,
                    at("2026-11-23T08:00:00Z"));
    g_assert_cmpint(schedule_calendar_edge(office, at("2026-11-23T08:00:00Z")), ==,
                    at("2026-11-23T12:00:00Z"));
    g_assert_cmpint(schedule_calendar_edge(office, at("2026-11-23T13:00:00Z")), ==,
                    at("2026-11-23T18:00:00Z"));
    schedule_calendar_free(office);
    struct schedule_calendar *weekly = calendar_of("UTC", "Mon 08:00-09:00", NULL);
    g_assert_cmpint(schedule_calendar_edge(weekly, at("2026-11-23T09:00:00Z")), ==,
                    at("2026-11-30T08:00:00Z"));
    schedule_calendar_free(weekly);
}

static void test_not_windows(void)
{
    static const char *const bad[] = {"",
                                      "Mon",
                                      "Mon-Fri",
                                      "25:00-26:00",
                                      "08:00-08:00",
                                      "8-18",
                                      "08:00-24:30",
                                      "Mo 08:00-09:00",
                                      "Mon- 08:00-09:00",
                                      "08:60-09:00",
                                      "Mon 8:0-9:0",
                                      "Mon,,Tue 08:00-09:00",
                                      "08:00-09:00 Mon",
                                      "Mon-Tue-Wed 08:00-09:00"};
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *windows[] = {bad[i], NULL};
        g_autoptr(GError) error = NULL;
        g_assert_null(schedule_calendar_new(windows, utc, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
        g_assert_nonnull(landfall_error_hint(error));
    }
}

static void test_interval(void)
{
    const struct schedule_auto bounds = {G_TIME_SPAN_HOUR, 12 * G_TIME_SPAN_HOUR};
    g_assert_cmpint(schedule_interval_us(60, 5 * G_TIME_SPAN_HOUR, &bounds), ==,
                    G_TIME_SPAN_MINUTE);
    g_assert_cmpint(schedule_interval_us(0, 0, &bounds), ==, G_TIME_SPAN_HOUR);
    g_assert_cmpint(schedule_interval_us(0, 2 * G_TIME_SPAN_HOUR, &bounds), ==, G_TIME_SPAN_HOUR);
    g_assert_cmpint(schedule_interval_us(0, 6 * G_TIME_SPAN_HOUR, &bounds), ==,
                    3 * G_TIME_SPAN_HOUR);
    g_assert_cmpint(schedule_interval_us(0, 100 * G_TIME_SPAN_HOUR, &bounds), ==,
                    12 * G_TIME_SPAN_HOUR);
}

static void test_backoff(void)
{
    gint64 hours = 15 * G_TIME_SPAN_HOUR;
    g_assert_cmpint(schedule_backoff_us(1, hours, 0.5), ==, 30 * G_TIME_SPAN_SECOND);
    g_assert_cmpint(schedule_backoff_us(2, hours, 0.5), ==, 60 * G_TIME_SPAN_SECOND);
    g_assert_cmpint(schedule_backoff_us(4, hours, 0.5), ==, 240 * G_TIME_SPAN_SECOND);
    g_assert_cmpint(schedule_backoff_us(100, hours, 0.5), ==, G_TIME_SPAN_HOUR);
    g_assert_cmpint(schedule_backoff_us(G_MAXUINT, hours, 0.5), ==, G_TIME_SPAN_HOUR);
    g_assert_cmpint(schedule_backoff_us(9, G_TIME_SPAN_MINUTE, 0.5), ==, G_TIME_SPAN_MINUTE);
    for (guint failures = 1; failures < 12; failures++) {
        gint64 middle_us = schedule_backoff_us(failures, hours, 0.5);
        for (int i = 0; i < 100; i++) {
            gint64 wait_us = schedule_backoff_us(failures, hours, g_test_rand_double());
            g_assert_cmpint(wait_us, >=, middle_us * 4 / 5);
            g_assert_cmpint(wait_us, <=, middle_us * 6 / 5);
        }
    }
}

static void test_spread(void)
{
    g_assert_cmpint(schedule_spread_us(G_TIME_SPAN_MINUTE, 0), ==, 0);
    g_assert_cmpint(schedule_spread_us(G_TIME_SPAN_MINUTE, 1), ==, G_TIME_SPAN_MINUTE / 2);
    g_assert_cmpint(schedule_spread_us(G_TIME_SPAN_DAY, 1), ==, G_TIME_SPAN_MINUTE);
}

static void test_lag(void)
{
    struct schedule_calendar *none = calendar_of("UTC", NULL, NULL);
    struct schedule_calendar *office = calendar_of("UTC", "Mon-Fri 08:00-18:00", NULL);
    gint64 quarter_us = 15 * G_TIME_SPAN_MINUTE;
    g_assert_cmpint(schedule_lag_limit_us(at("2026-11-20T10:00:00Z"), quarter_us, 2, none), ==,
                    at("2026-11-20T10:30:00Z"));
    /* Due at eight, which is closed until six, and then there is the grace. */
    g_assert_cmpint(schedule_lag_limit_us(at("2026-11-20T07:50:00Z"), quarter_us, 2, office), ==,
                    at("2026-11-20T18:15:00Z"));
    /* Due in time, with the grace cut off by the blackout. */
    g_assert_cmpint(schedule_lag_limit_us(at("2026-11-20T07:40:00Z"), quarter_us, 2, office), ==,
                    at("2026-11-20T18:00:00Z"));
    schedule_calendar_free(none);
    schedule_calendar_free(office);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schedule/week", test_week);
    g_test_add_func("/schedule/midnight", test_midnight);
    g_test_add_func("/schedule/never", test_never);
    g_test_add_func("/schedule/J2: windows follow the clocks", test_clock_changes);
    g_test_add_func("/schedule/edges", test_edges);
    g_test_add_func("/schedule/not-windows", test_not_windows);
    g_test_add_func("/schedule/interval", test_interval);
    g_test_add_func("/schedule/backoff", test_backoff);
    g_test_add_func("/schedule/spread", test_spread);
    g_test_add_func("/schedule/lag", test_lag);
    return g_test_run();
}
