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
