/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sizes and durations as people write them in options: "15m", "1h30m", "50M". */

#include <glib.h>

/* Seconds of "90", "90s", "15m", "1h", "7d", or several such in a row from the largest unit down.
 */
gboolean quantity_parse_duration(const char *text, guint64 *ret_seconds, GError **error);

/* Bytes of "512", "50M", "1.5G": K, M, G, T are powers of 1024; "MiB" and "MB" are no other M. */
gboolean quantity_parse_bytes(const char *text, guint64 *ret_bytes, GError **error);
