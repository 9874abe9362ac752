/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/plan.h"
#include "appliance/cli/listing.h"
#include "appliance/cli/steps.h"

#include <stdio.h>
#include <string.h>

static const struct listing_column change_columns[] = {
    {"what", "what", listing_cell_text, FALSE},
    {"from", "from", listing_cell_text, FALSE},
    {"to", "to", listing_cell_text, FALSE},
    {"why", "why", listing_cell_text, FALSE},
    {NULL},
};

/* Never NULL for a table: one that is missing has no rows. Owned by the caller. */
static JsonArray *array_of(JsonObject *plan, const char *name)
{
    JsonNode *node = listing_node(plan, name);
    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_array_ref(json_node_get_array(node))
                                               : json_array_new();
}

static double number_of(JsonObject *object, const char *path)
{
    JsonNode *node = listing_node(object, path);
    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_double(node) : 0;
}

/* "shutdown 3.0 s, start 0.9 s" */
static char *parts_of(JsonObject *plan)
{
    JsonNode *node = listing_node(plan, "downtime.parts");
    JsonObject *parts = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    g_autoptr(GList) names = parts ? json_object_get_members(parts) : NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    for (const GList *name = names; name; name = name->next) {
        g_autofree char *word = g_strdelimit(g_strdup(name->data), "_", ' ');
        if (g_str_has_suffix(word, " s"))
            word[strlen(word) - 2] = '\0';
        g_string_append_printf(text, "%s%s %.1f s", text->len ? ", " : ": ", word,
                               number_of(parts, name->data));
    }
    return g_strdup(text->str);
}

static void print_downtime(JsonObject *plan)
{
    if (!listing_node(plan, "downtime.expected_s"))
        return;
    g_autofree char *parts = parts_of(plan);
    printf("\nexpected downtime: %.1f s (%.1f to %.1f)%s\n", number_of(plan, "downtime.expected_s"),
           number_of(plan, "downtime.low_s"), number_of(plan, "downtime.high_s"), parts);
}

/* Definitions come from hosts: no control character but the ends of lines reaches the terminal. */
static void print_diff(const char *diff)
{
    printf("\n");
    for (const char *byte = diff; *byte; byte++)
        putchar(g_ascii_iscntrl(*byte) && *byte != '\n' && *byte != '\t' ? '?' : *byte);
    if (*diff && diff[strlen(diff) - 1] != '\n')
        printf("\n");
}

static void print_fenced(JsonArray *sentences)
{
    if (json_array_get_length(sentences) > 0)
        printf("\nso that the source does not run meanwhile:\n");
    for (guint i = 0; i < json_array_get_length(sentences); i++) {
        g_autoptr(JsonObject) row = json_object_new();
        json_object_set_member(row, "text", json_array_dup_element(sentences, i));
        g_autofree char *text = listing_cell_text(row, "text");
        printf("  %s\n", text ? text : "");
    }
}

void plan_print(JsonObject *plan)
{
    g_autoptr(JsonArray) checks = array_of(plan, "checks");
    g_autoptr(JsonArray) changes = array_of(plan, "changes");
    g_autoptr(JsonArray) fenced = array_of(plan, "fenced");
    const char *diff = listing_string(plan, "diff");
    steps_print_checks(checks);
    if (json_array_get_length(changes) > 0) {
        printf("\n");
        listing_print(changes, change_columns);
    }
    if (diff && *diff)
        print_diff(diff);
    print_downtime(plan);
    print_fenced(fenced);
}

gboolean plan_is_clear(JsonObject *plan)
{
    g_autoptr(JsonArray) checks = array_of(plan, "checks");
    for (guint i = 0; i < json_array_get_length(checks); i++) {
        JsonNode *element = json_array_get_element(checks, i);
        if (JSON_NODE_HOLDS_OBJECT(element) &&
            g_strcmp0(listing_string(json_node_get_object(element), "verdict"), "blocked") == 0)
            return FALSE;
    }
    return TRUE;
}
