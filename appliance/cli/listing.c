/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/listing.h"
#include "appliance/cli/text.h"

#include <stdio.h>
#include <string.h>

JsonNode *listing_node(JsonObject *row, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, ".", -1);
    JsonNode *node = NULL;
    for (char **name = names; row && *name; name++) {
        node = json_object_get_member(row, *name);
        row = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        if (!row && name[1])
            return NULL;
    }
    return node && !JSON_NODE_HOLDS_NULL(node) ? node : NULL;
}

const char *listing_string(JsonObject *row, const char *path)
{
    JsonNode *node = listing_node(row, path);
    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

gint64 listing_int(JsonObject *row, const char *path)
{
    JsonNode *node = listing_node(row, path);
    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_int(node) : 0;
}

/* Names come from hosts and guests: what would move the cursor is shown as a question mark. */
static char *printable(const char *text)
{
    char *copy = g_strdup(text);
    for (char *byte = copy; *byte; byte++)
        if (g_ascii_iscntrl(*byte))
            *byte = '?';
    return copy;
}

static char *value_text(JsonNode *node)
{
    GType type = json_node_get_value_type(node);
    if (type == G_TYPE_STRING)
        return printable(json_node_get_string(node));
    if (type == G_TYPE_BOOLEAN)
        return g_strdup(json_node_get_boolean(node) ? "yes" : "no");
    return json_to_string(node, FALSE);
}

static char *array_text(JsonArray *array)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);
        g_autofree char *one =
            JSON_NODE_HOLDS_VALUE(element) ? value_text(element) : json_to_string(element, FALSE);
        g_string_append_printf(text, "%s%s", i ? ", " : "", one);
    }
    return g_strdup(text->str);
}

char *listing_cell_text(JsonObject *row, const char *path)
{
    JsonNode *node = listing_node(row, path);
    if (!node)
        return NULL;
    if (JSON_NODE_HOLDS_VALUE(node))
        return value_text(node);
    if (JSON_NODE_HOLDS_ARRAY(node))
        return array_text(json_node_get_array(node));
    return json_to_string(node, FALSE);
}

char *listing_cell_bytes(JsonObject *row, const char *path)
{
    return listing_node(row, path) ? text_bytes((guint64)listing_int(row, path)) : NULL;
}

char *listing_cell_rate(JsonObject *row, const char *path)
{
    g_autofree char *bytes = listing_cell_bytes(row, path);
    return bytes && listing_int(row, path) > 0 ? g_strconcat(bytes, "/s", NULL) : NULL;
}

char *listing_cell_time(JsonObject *row, const char *path)
{
    const char *time = listing_string(row, path);
    return time ? text_time(time) : NULL;
}

/* Seconds from now until the time; FALSE when there is none. */
static gboolean seconds_until(JsonObject *row, const char *path, gint64 *ret_seconds)
{
    const char *text = listing_string(row, path);
    g_autoptr(GDateTime) time = text ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    if (!time)
        return FALSE;
    *ret_seconds = g_date_time_difference(time, now) / G_USEC_PER_SEC;
    return TRUE;
}

char *listing_cell_ago(JsonObject *row, const char *path)
{
    gint64 seconds;
    return seconds_until(row, path, &seconds) ? text_span((guint64)MAX(-seconds, 0)) : NULL;
}

char *listing_cell_until(JsonObject *row, const char *path)
{
    gint64 seconds;
    if (!seconds_until(row, path, &seconds))
        return NULL;
    return seconds > 0 ? text_span((guint64)seconds) : g_strdup("now");
}

char *listing_cell_seconds(JsonObject *row, const char *path)
{
    return listing_node(row, path) ? text_span((guint64)MAX(listing_int(row, path), 0)) : NULL;
}

char *listing_cell_ms(JsonObject *row, const char *path)
{
    return listing_node(row, path) ? text_duration((guint64)MAX(listing_int(row, path), 0)) : NULL;
}

char *listing_cell_problem(JsonObject *row, const char *path)
{
    g_autofree char *inner = g_strconcat(path, ".message", NULL);
    const char *message = listing_string(row, inner);
    if (!message)
        message = listing_string(row, path);
    return message ? printable(message) : NULL;
}

const struct listing_column listing_check_columns[] = {
    {"verdict", "verdict", listing_cell_text, FALSE},
    {"check", "check", listing_cell_text, FALSE},
    {"what", "message", listing_cell_problem, FALSE},
    {"hint", "hint", listing_cell_text, FALSE},
    {NULL},
};

void listing_print(JsonArray *rows, const struct listing_column *columns)
{
    g_autoptr(GPtrArray) titles = g_ptr_array_new();
    g_autoptr(GArray) right = g_array_new(FALSE, FALSE, sizeof(gboolean));
    for (const struct listing_column *column = columns; column->title; column++) {
        g_ptr_array_add(titles, (char *)column->title);
        g_array_append_val(right, column->right);
    }
    g_ptr_array_add(titles, NULL);
    struct text_table *table =
        text_table_new((const char *const *)titles->pdata, (const gboolean *)(void *)right->data);
    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonNode *element = json_array_get_element(rows, i);
        JsonObject *row = JSON_NODE_HOLDS_OBJECT(element) ? json_node_get_object(element) : NULL;
        g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
        for (const struct listing_column *column = columns; column->title; column++) {
            char *cell = column->cell(row, column->path);
            g_ptr_array_add(cells, cell && *cell ? cell : (g_free(cell), g_strdup("-")));
        }
        g_ptr_array_add(cells, NULL);
        text_table_row(table, (const char *const *)cells->pdata);
    }
    text_table_print(table);
}

void listing_print_one(JsonObject *row, const struct listing_column *columns)
{
    int width = 0;
    for (const struct listing_column *column = columns; column->title; column++)
        width = MAX(width, (int)strlen(column->title));
    for (const struct listing_column *column = columns; column->title; column++) {
        g_autofree char *cell = column->cell(row, column->path);
        if (cell && *cell)
            printf("%-*s  %s\n", width, column->title, cell);
    }
}
