/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/quantity.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

#define SECONDS_MAX (G_GUINT64_CONSTANT(3650) * 86400) /* ten years: a typing error beyond */

static gboolean no_duration(const char *text, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as 90s, 15m, 1h30m or 7d",
                       "'%s' is no duration", text);
    return FALSE;
}

static guint64 seconds_of(char unit)
{
    switch (unit) {
    case 'd':
        return 86400;
    case 'h':
        return 3600;
    case 'm':
        return 60;
    case 's':
    case '\0':
        return 1;
    default:
        return 0;
    }
}

gboolean quantity_parse_duration(const char *text, guint64 *ret_seconds, GError **error)
{
    guint64 total = 0, larger = G_MAXUINT64;
    const char *rest = text;
    do {
        char *end;
        if (!g_ascii_isdigit(*rest))
            return no_duration(text, error);
        guint64 number = g_ascii_strtoull(rest, &end, 10);
        guint64 unit = seconds_of(*end);
        /* Units go down, and a bare number stands alone: 1h30 may be meant as minutes or seconds.
         */
        if (unit == 0 || unit >= larger || (*end == '\0' && rest != text) ||
            number > SECONDS_MAX / unit || (total += number * unit) > SECONDS_MAX)
            return no_duration(text, error);
        larger = unit;
        rest = *end ? end + 1 : end;
    } while (*rest);
    *ret_seconds = total;
    return TRUE;
}

gboolean quantity_parse_bytes(const char *text, guint64 *ret_bytes, GError **error)
{
    static const char units[] = "KMGT";
    char *end;
    double number = g_ascii_isdigit(*text) ? g_ascii_strtod(text, &end) : -1;
    const char *unit = number >= 0 && *end ? strchr(units, g_ascii_toupper(*end)) : NULL;
    if (unit) {
        number = ldexp(number, 10 * ((int)(unit - units) + 1));
        end++;
    }
    if (number >= 0 && (strcmp(end, unit ? "iB" : "B") == 0 || strcmp(end, "B") == 0))
        end += strlen(end);
    if (number >= 0 && *end == '\0' && number < (double)G_MAXINT64) {
        *ret_bytes = (guint64)number;
        return TRUE;
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as 512K, 50M or 1.5G", "'%s' is no size",
                       text);
    return FALSE;
}

/* The next time that a clock shows HH:MM, or NULL when text is nothing of that kind. */
static GDateTime *next_clock(const char *text, GDateTime *now)
{
    guint64 hour, minute;
    g_auto(GStrv) parts = g_strsplit(text, ":", -1);
    if (g_strv_length(parts) != 2 || strlen(parts[1]) != 2 ||
        !g_ascii_string_to_unsigned(parts[0], 10, 0, 23, &hour, NULL) ||
        !g_ascii_string_to_unsigned(parts[1], 10, 0, 59, &minute, NULL))
        return NULL;
    GTimeZone *zone = g_date_time_get_timezone(now);
    GDateTime *today = NULL;
    for (int day = 0; day < 2 && (!today || g_date_time_compare(today, now) <= 0); day++) {
        g_autoptr(GDateTime) date = g_date_time_add_days(now, day);
        g_clear_pointer(&today, g_date_time_unref);
        today = g_date_time_new(zone, g_date_time_get_year(date), g_date_time_get_month(date),
                                g_date_time_get_day_of_month(date), (int)hour, (int)minute, 0);
    }
    return today;
}

/* GLib wants seconds, and the zone after them. */
static GDateTime *full_time(const char *text, GDateTime *now)
{
    GTimeZone *zone = g_date_time_get_timezone(now);
    GDateTime *time = g_date_time_new_from_iso8601(text, zone);
    gsize head = strlen("2026-01-31 22:00");
    if (time || strlen(text) < head)
        return time;
    g_autofree char *longer = g_strdup_printf("%.*s:00%s", (int)head, text, text + head);
    return g_date_time_new_from_iso8601(longer, zone);
}

static GDateTime *time_from_now(const char *text, GDateTime *now)
{
    guint64 seconds;
    if (!quantity_parse_duration(text, &seconds, NULL))
        return NULL;
    return g_date_time_add_seconds(now, (double)seconds);
}

GDateTime *quantity_parse_time(const char *text, GDateTime *now, GError **error)
{
    GDateTime *time = *text == '+' ? time_from_now(text + 1, now) : next_clock(text, now);
    if (!time)
        time = full_time(text, now);
    if (time && g_date_time_compare(time, now) > 0)
        return time;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "such as \"2026-01-31 22:00\", 22:00, +2h or 2026-01-31T22:00:00Z",
                       time ? "'%s' is over" : "'%s' is no time", text);
    g_clear_pointer(&time, g_date_time_unref);
    return NULL;
}
