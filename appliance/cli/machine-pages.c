/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/machine-pages.h"
#include "base/json.h"

/* So many are asked for at once. */
#define PAGE 64

/* *ret_next: what to ask for next, 0: these are the last. */
static gboolean add_page(struct daemon *daemon, const char *path, GPtrArray *machines,
                         gint64 *ret_next, GError **error)
{
    JsonArray *items = NULL;
    g_autoptr(JsonObject) answer = client_call(daemon->client, "GET", path, NULL, error);
    if (!answer || !json_member_array(answer, "items", LANDFALL_ERROR_SOURCE, &items, error))
        return FALSE;
    for (guint i = 0; i < json_array_get_length(items); i++) {
        JsonObject *machine;
        if (!json_element_object(items, i, "items", LANDFALL_ERROR_SOURCE, &machine, error))
            return FALSE;
        g_ptr_array_add(machines, json_object_ref(machine));
    }
    *ret_next = listing_int(answer, "next");
    return TRUE;
}

static int by_host_and_name(gconstpointer a, gconstpointer b)
{
    JsonObject *one = *(JsonObject *const *)a, *other = *(JsonObject *const *)b;
    int order = g_strcmp0(listing_string(one, "host"), listing_string(other, "host"));
    return order ? order : g_strcmp0(listing_string(one, "name"), listing_string(other, "name"));
}

JsonArray *machine_pages(struct daemon *daemon, const char *filter, const char *value,
                         GError **error)
{
    g_autoptr(GPtrArray) machines =
        g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    g_autofree char *member = g_strconcat("&", filter, "=", NULL);
    g_autofree char *where = value ? daemon_path(member, value, "") : g_strdup("");
    gint64 next = G_MAXINT64;
    while (next > 0) {
        g_autofree char *path =
            g_strdup_printf("/machines?limit=%d&before=%" G_GINT64_FORMAT "%s", PAGE, next, where);
        if (!add_page(daemon, path, machines, &next, error))
            return NULL;
    }
    g_ptr_array_sort(machines, by_host_and_name);
    JsonArray *items = json_array_new();
    for (guint i = 0; i < machines->len; i++)
        json_array_add_object_element(items, json_object_ref(machines->pdata[i]));
    return items;
}
