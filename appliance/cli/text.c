/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/text.h"

#include <stdio.h>
#include <string.h>

struct text_table {
    guint column_count;
    const gboolean *right; /* borrowed */
    GPtrArray *rows;       /* char **, the titles first */
};

/* GLib puts a no-break space between number and unit, which no one can grep for. */
char *text_bytes(guint64 bytes)
{
    g_autofree char *text = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
    g_auto(GStrv) parts = g_strsplit(text, "\302\240", -1);
    return g_strjoinv(" ", parts);
}

char *text_duration(guint64 duration_ms)
{
    if (duration_ms < 60000)
        return g_strdup_printf("%.2f s", (double)duration_ms / 1000);
    return g_strdup_printf("%" G_GUINT64_FORMAT ":%02u min", duration_ms / 60000,
                           (unsigned)(duration_ms / 1000 % 60));
}

char *text_span(guint64 seconds)
{
    if (seconds < 120)
        return g_strdup_printf("%" G_GUINT64_FORMAT " s", seconds);
    if (seconds < 120 * 60)
        return g_strdup_printf("%" G_GUINT64_FORMAT " min", seconds / 60);
    if (seconds < 48 * 3600)
        return g_strdup_printf("%.1f h", (double)seconds / 3600);
    return g_strdup_printf("%" G_GUINT64_FORMAT " d", seconds / 86400);
}

char *text_time(const char *iso8601)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(iso8601, NULL);
    return time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%SZ") : g_strdup(iso8601);
}

struct text_table *text_table_new(const char *const *titles, const gboolean *right)
{
    struct text_table *table = g_new0(struct text_table, 1);
    table->column_count = g_strv_length((char **)titles);
    table->right = right;
    table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    text_table_row(table, titles);
    return table;
}

void text_table_row(struct text_table *table, const char *const *cells)
{
    g_assert(g_strv_length((char **)cells) == table->column_count);
    g_ptr_array_add(table->rows, g_strdupv((char **)cells));
}

/* In cells of a terminal: some letters take two, and accents none. */
static glong text_width(const char *text)
{
    glong width = 0;
    for (; *text; text = g_utf8_next_char(text)) {
        gunichar letter = g_utf8_get_char(text);
        width += g_unichar_iszerowidth(letter) ? 0 : g_unichar_iswide(letter) ? 2 : 1;
    }
    return width;
}

static glong column_width(const struct text_table *table, guint column)
{
    glong width = 0;
    for (guint i = 0; i < table->rows->len; i++) {
        char **row = table->rows->pdata[i];
        width = MAX(width, text_width(row[column]));
    }
    return width;
}

static void print_cell(const struct text_table *table, char **row, guint column, glong width)
{
    gboolean last = column + 1 == table->column_count;
    int padding = (int)(width - text_width(row[column]));
    if (table->right[column])
        printf("%*s%s", padding, "", row[column]);
    else
        printf("%s%*s", row[column], last ? 0 : padding, "");
    fputs(last ? "\n" : "  ", stdout);
}

void text_table_print(struct text_table *table)
{
    g_autofree glong *widths = g_new(glong, table->column_count);
    for (guint column = 0; column < table->column_count; column++)
        widths[column] = column_width(table, column);
    for (guint i = 0; i < table->rows->len; i++)
        for (guint column = 0; column < table->column_count; column++)
            print_cell(table, table->rows->pdata[i], column, widths[column]);
    g_ptr_array_unref(table->rows);
    g_free(table);
}
