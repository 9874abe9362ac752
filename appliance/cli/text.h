/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Figures and tables as people read them. */

#include <glib.h>

/* "4.0 GiB", "512 B". The caller owns the text. */
char *text_bytes(guint64 bytes);

/* "0.42 s", "3:07 min". The caller owns the text. */
char *text_duration(guint64 duration_ms);

/* "42 s", "14 min", "3.5 h", "12 d": one unit, as precise as one wants to read it. The caller owns
 * the text. */
char *text_span(guint64 seconds);

/* "2026-01-31 12:00:00Z" from an ISO 8601 time in UTC; other text as it is. The caller owns it. */
char *text_time(const char *iso8601);

/* A table on standard output: columns as wide as their widest cell. right: whether a column is
 * aligned to the right, one flag a column. */
struct text_table;
struct text_table *text_table_new(const char *const *titles, const gboolean *right);

/* One cell for each column, copied. */
void text_table_row(struct text_table *table, const char *const *cells);

/* Prints and frees. */
void text_table_print(struct text_table *table);
