/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/schedule.h"
#include "base/error.h"

#include <string.h>

#define DAYS_OF_WEEK 7
#define BACKOFF_FIRST_US (30 * G_TIME_SPAN_SECOND)
#define BACKOFF_MAX_US G_TIME_SPAN_HOUR
#define SPREAD_MAX_US G_TIME_SPAN_MINUTE

struct window {
    guint days; /* bit 0: begins on Mondays */
    int begin_hour, begin_minute;
    int end_hour, end_minute;
    gboolean ends_next_day;
};

struct schedule_calendar {
    GTimeZone *zone;
    GArray *windows; /* struct window */
};

/* --- windows -------------------------------------------------------------------------------------
 */

static const char *const day_names[DAYS_OF_WEEK] = {"Mon", "Tue", "Wed", "Thu",
                                                    "Fri", "Sat", "Sun"};

/* -1: not the name of a day. */
static int day_number(const char *name)
{
    for (int i = 0; i < DAYS_OF_WEEK; i++)
        if (g_ascii_strcasecmp(name, day_names[i]) == 0)
            return i;
    return -1;
}

/* "Mon-Fri,Sun" as bits; 0 when it names no days. A range may go over the end of the week. */
static guint parse_days(const char *text)
{
    guint days = 0;
    g_auto(GStrv) ranges = g_strsplit(text, ",", -1);
    for (char **range = ranges; *range; range++) {
        g_auto(GStrv) ends = g_strsplit(*range, "-", 2);
        int first = ends[0] ? day_number(ends[0]) : -1;
        int last = ends[0] && ends[1] ? day_number(ends[1]) : first;
        if (first < 0 || last < 0)
            return 0;
        for (int day = first;; day = (day + 1) % DAYS_OF_WEEK) {
            days |= 1u << day;
            if (day == last)
                break;
        }
    }
    return days;
}

static int number_of(const GMatchInfo *match, const char *name)
{
    g_autofree char *text = g_match_info_fetch_named(match, name);
    return (int)g_ascii_strtoll(text, NULL, 10);
}

static gboolean parse_window(const char *text, struct window *ret_window)
{
    g_autoptr(GRegex) pattern =
        g_regex_new("^\\s*(?:(?<days>[A-Za-z,-]+)\\s+)?(?<bh>[01]?\\d|2[0-3]):(?<bm>[0-5]\\d)\\s*-"
                    "\\s*(?<eh>[01]?\\d|2[0-4]):(?<em>[0-5]\\d)\\s*$",
                    0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(pattern, text, 0, &match))
        return FALSE;
    g_autofree char *days = g_match_info_fetch_named(match, "days");
    struct window window = {
        .days = days && *days ? parse_days(days) : (1u << DAYS_OF_WEEK) - 1,
        .begin_hour = number_of(match, "bh"),
        .begin_minute = number_of(match, "bm"),
        .end_hour = number_of(match, "eh"),
        .end_minute = number_of(match, "em"),
    };
    int begin = window.begin_hour * 60 + window.begin_minute;
    int end = window.end_hour * 60 + window.end_minute;
    if (window.days == 0 || begin == end || end > 24 * 60)
        return FALSE;
    window.ends_next_day = end < begin || end == 24 * 60;
    if (end == 24 * 60)
        window.end_hour = 0;
    *ret_window = window;
    return TRUE;
}

struct schedule_calendar *schedule_calendar_new(const char *const *windows, GTimeZone *zone,
                                                GError **error)
{
    struct schedule_calendar *calendar = g_new0(struct schedule_calendar, 1);
    calendar->zone = g_time_zone_ref(zone);
    calendar->windows = g_array_new(FALSE, FALSE, sizeof(struct window));
    for (; windows && *windows; windows++) {
        struct window window;
        if (!parse_window(*windows, &window)) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                               "write it like \"Mon-Fri 08:00-18:00\", \"Sat,Sun 00:00-24:00\" or "
                               "\"22:00-06:00\"",
                               "'%s' is not a window of time", *windows);
            schedule_calendar_free(calendar);
            return NULL;
        }
        g_array_append_val(calendar->windows, window);
    }
    return calendar;
}

void schedule_calendar_free(struct schedule_calendar *calendar)
{
    if (!calendar)
        return;
    g_time_zone_unref(calendar->zone);
    g_array_unref(calendar->windows);
    g_free(calendar);
}

/* --- windows in time -----------------------------------------------------------------------------
 */

/* The local date days after that of an instant, at noon, which every day has. */
static GDateTime *local_day(const struct schedule_calendar *calendar, gint64 at_us, int days)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(at_us / G_USEC_PER_SEC);
    g_autoptr(GDateTime) local = g_date_time_to_timezone(utc, calendar->zone);
    g_autoptr(GDateTime) noon =
        g_date_time_new(calendar->zone, g_date_time_get_year(local), g_date_time_get_month(local),
                        g_date_time_get_day_of_month(local), 12, 0, 0);
    return g_date_time_add_days(noon, days);
}

/* The instant when the clocks show that time on that day. Where they skip it, the first that they
 * show after it; where they show it twice, the later (GLib's choice). */
static gint64 local_instant(const struct schedule_calendar *calendar, GDateTime *day, int hour,
                            int minute)
{
    g_autoptr(GDateTime) at =
        g_date_time_new(calendar->zone, g_date_time_get_year(day), g_date_time_get_month(day),
                        g_date_time_get_day_of_month(day), hour, minute, 0);
    return g_date_time_to_unix(at) * G_USEC_PER_SEC;
}

/* FALSE: the window does not begin on that day. */
static gboolean window_on(const struct schedule_calendar *calendar, const struct window *window,
                          GDateTime *day, gint64 *ret_begin_us, gint64 *ret_end_us)
{
    if (!(window->days & 1u << (g_date_time_get_day_of_week(day) - 1)))
        return FALSE;
    g_autoptr(GDateTime) last =
        window->ends_next_day ? g_date_time_add_days(day, 1) : g_date_time_ref(day);
    *ret_begin_us = local_instant(calendar, day, window->begin_hour, window->begin_minute);
    *ret_end_us = local_instant(calendar, last, window->end_hour, window->end_minute);
    return TRUE;
}

/* The latest end of the windows that cover the instant, or the instant itself: none does. */
static gint64 covered_until(const struct schedule_calendar *calendar, gint64 at_us)
{
    gint64 until_us = at_us;
    for (int days = -1; days <= 0 && calendar->windows->len; days++) {
        g_autoptr(GDateTime) day = local_day(calendar, at_us, days);
        for (guint i = 0; i < calendar->windows->len; i++) {
            gint64 begin_us, end_us;
            if (window_on(calendar, &g_array_index(calendar->windows, struct window, i), day,
                          &begin_us, &end_us) &&
                begin_us <= at_us && end_us > until_us)
                until_us = end_us;
        }
    }
    return until_us;
}

gboolean schedule_calendar_covers(const struct schedule_calendar *calendar, gint64 at_us)
{
    return covered_until(calendar, at_us) > at_us;
}

gint64 schedule_calendar_open(const struct schedule_calendar *calendar, gint64 at_us)
{
    gint64 open_us = at_us, end_us;
    while ((end_us = covered_until(calendar, open_us)) > open_us) {
        open_us = end_us;
        if (open_us - at_us > (DAYS_OF_WEEK + 1) * G_TIME_SPAN_DAY)
            return SCHEDULE_NEVER;
    }
    return open_us;
}

gint64 schedule_calendar_edge(const struct schedule_calendar *calendar, gint64 at_us)
{
    gint64 edge_us = SCHEDULE_NEVER;
    for (int days = -1; days <= DAYS_OF_WEEK && calendar->windows->len; days++) {
        g_autoptr(GDateTime) day = local_day(calendar, at_us, days);
        for (guint i = 0; i < calendar->windows->len; i++) {
            gint64 begin_us, end_us;
            if (!window_on(calendar, &g_array_index(calendar->windows, struct window, i), day,
                           &begin_us, &end_us))
                continue;
            if (begin_us > at_us)
                edge_us = MIN(edge_us, begin_us);
            if (end_us > at_us)
                edge_us = MIN(edge_us, end_us);
        }
    }
    return edge_us;
}

/* --- intervals -----------------------------------------------------------------------------------
 */

gint64 schedule_interval_us(gint64 interval_s, gint64 last_duration_us,
                            const struct schedule_auto *bounds)
{
    if (interval_s > 0)
        return interval_s * G_TIME_SPAN_SECOND;
    return MIN(MAX(bounds->minimum_us, last_duration_us / 2), bounds->maximum_us);
}

gint64 schedule_backoff_us(guint failures, gint64 interval_us, double chance)
{
    gint64 longest_us = MIN(interval_us, BACKOFF_MAX_US);
    gint64 wait_us = BACKOFF_FIRST_US;
    for (guint i = 1; i < failures && wait_us < longest_us; i++)
        wait_us *= 2;
    wait_us = MIN(wait_us, longest_us);
    return wait_us + (gint64)((double)wait_us * (chance * 0.4 - 0.2));
}

gint64 schedule_spread_us(gint64 interval_us, double chance)
{
    return (gint64)((double)MIN(interval_us / 2, SPREAD_MAX_US) * chance);
}

gint64 schedule_lag_limit_us(gint64 snapshot_us, gint64 interval_us, double factor,
                             const struct schedule_calendar *blackout)
{
    gint64 due_us = schedule_calendar_open(blackout, snapshot_us + interval_us);
    if (due_us == SCHEDULE_NEVER)
        return SCHEDULE_NEVER;
    gint64 grace_us = (gint64)((double)interval_us * (factor - 1.0));
    return schedule_calendar_open(blackout, due_us + grace_us);
}
