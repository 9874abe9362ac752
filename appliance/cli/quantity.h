/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sizes, durations and times as people write them in options: "15m", "1h30m", "50M", "22:00". */

#include <glib.h>

/* Seconds of "90", "90s", "15m", "1h", "7d", or several such in a row from the largest unit down.
 */
gboolean quantity_parse_duration(const char *text, guint64 *ret_seconds, GError **error);

/* Bytes of "512", "50M", "1.5G": K, M, G, T are powers of 1024; "MiB" and "MB" are no other M. */
gboolean quantity_parse_bytes(const char *text, guint64 *ret_bytes, GError **error);

/* A time after now, which is in the time zone of times that name none: "2026-01-31 22:00", with
 * seconds, with a T, with a zone ("Z", "+01:00"); "22:00", the next one; "+2h", from now. The
 * caller owns it. */
GDateTime *quantity_parse_time(const char *text, GDateTime *now, GError **error);
