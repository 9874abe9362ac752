/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* When a cycle is due, as arithmetic: intervals, windows of the week in a time zone, backoff and
 * lag. Nothing here has a clock, a timer or a state of its own. Times are microseconds since the
 * epoch, UTC; an instant that never comes is SCHEDULE_NEVER. */

#include <glib.h>

#define SCHEDULE_NEVER G_MAXINT64

/* Windows of the week such as "Mon-Fri 08:00-18:00", "Sat,Sun 00:00-24:00" or "22:00-06:00" (each
 * day), by the clocks of a time zone. A window that ends before it begins goes over midnight and
 * belongs to the day it begins on. */
struct schedule_calendar;

/* windows is NULL-terminated, or NULL: no window. zone is borrowed. Error config: not a window. */
struct schedule_calendar *schedule_calendar_new(const char *const *windows, GTimeZone *zone,
                                                GError **error);
void schedule_calendar_free(struct schedule_calendar *calendar);

/* Whether a window covers the instant. */
gboolean schedule_calendar_covers(const struct schedule_calendar *calendar, gint64 at_us);

/* The first instant from at_us on that no window covers; SCHEDULE_NEVER when they cover the week.
 */
gint64 schedule_calendar_open(const struct schedule_calendar *calendar, gint64 at_us);

/* The next instant after at_us at which a window begins or ends. */
gint64 schedule_calendar_edge(const struct schedule_calendar *calendar, gint64 at_us);

/* Bounds of the interval that adapts itself to how long cycles take. */
struct schedule_auto {
    gint64 minimum_us;
    gint64 maximum_us;
};

/* interval_s, or, when it is 0, half of what the last cycle took, within the bounds. */
gint64 schedule_interval_us(gint64 interval_s, gint64 last_duration_us,
                            const struct schedule_auto *bounds);

/* How long to wait after that many failures in a row (from 1): 30 s, doubled with each, up to the
 * interval and an hour; less or more by up to a fifth, by chance (from 0 to 1), so that machines
 * that failed together do not come back together. */
gint64 schedule_backoff_us(guint failures, gint64 interval_us, double chance);

/* How late the first cycle after a start of the appliance may come, so that machines that are all
 * overdue do not all come at once: a part, by chance, of half the interval and at most a minute. */
gint64 schedule_spread_us(gint64 interval_us, double chance);

/* The instant from which a machine is lagging so much that somebody should know: its next recovery
 * point was due one interval after the snapshot of the last one, and has factor - 1 intervals of
 * grace. Time in a blackout does not count. */
gint64 schedule_lag_limit_us(gint64 snapshot_us, gint64 interval_us, double factor,
                             const struct schedule_calendar *blackout);
