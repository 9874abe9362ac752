/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/metrics.h"

#include <string.h>

/* Jobs whose end has been counted: it may be told twice. */
#define ENDED_KEPT 10000

struct metrics {
    struct event_hub *hub; /* borrowed */
    guint subscription;
    GHashTable *requests; /* "GET\n200" → gint64 */
    GHashTable *jobs;     /* "cycle\ndone" → gint64 */
    GHashTable *ended;    /* ids */
    gint64 read_bytes, sent_bytes;
};

static void add(GHashTable *table, const char *one, const char *other)
{
    g_autofree char *key = g_strconcat(one, "\n", other, NULL);
    gint64 *count = g_hash_table_lookup(table, key);
    if (!count) {
        count = g_new0(gint64, 1);
        g_hash_table_insert(table, g_steal_pointer(&key), count);
    }
    (*count)++;
}

static gint64 number_of(JsonObject *object, const char *name)
{
    return json_object_get_int_member_with_default(object, name, 0);
}

static void add_bytes(struct metrics *metrics, JsonObject *job)
{
    JsonNode *result = json_object_get_member(job, "result");
    JsonNode *disks = result && JSON_NODE_HOLDS_OBJECT(result)
                          ? json_object_get_member(json_node_get_object(result), "disks")
                          : NULL;
    if (!disks || !JSON_NODE_HOLDS_ARRAY(disks))
        return;
    g_autoptr(GList) elements = json_array_get_elements(json_node_get_array(disks));
    for (const GList *element = elements; element; element = element->next) {
        if (!JSON_NODE_HOLDS_OBJECT((JsonNode *)element->data))
            continue;
        JsonObject *disk = json_node_get_object(element->data);
        metrics->read_bytes += number_of(disk, "read_bytes");
        metrics->sent_bytes += number_of(disk, "sent_bytes");
    }
}

static void on_event(const struct event *event, gpointer data)
{
    struct metrics *metrics = data;
    JsonObject *job = event->object;
    const char *state, *kind;
    if (!g_str_equal(event->topic, "job"))
        return;
    state = json_object_get_string_member_with_default(job, "state", "");
    kind = json_object_get_string_member_with_default(job, "kind", "");
    gint64 id = number_of(job, "id");
    if (g_str_equal(state, "queued") || g_str_equal(state, "running") ||
        g_hash_table_contains(metrics->ended, &id))
        return;
    if (g_hash_table_size(metrics->ended) >= ENDED_KEPT)
        g_hash_table_remove_all(metrics->ended);
    g_hash_table_add(metrics->ended, g_memdup2(&id, sizeof(id)));
    add(metrics->jobs, kind, state);
    add_bytes(metrics, job);
}

static GHashTable *counters(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

struct metrics *metrics_new(struct event_hub *hub)
{
    struct metrics *metrics = g_new0(struct metrics, 1);
    metrics->hub = hub;
    metrics->requests = counters();
    metrics->jobs = counters();
    metrics->ended = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    metrics->subscription = event_hub_subscribe(hub, on_event, metrics);
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    event_hub_unsubscribe(metrics->hub, metrics->subscription);
    g_hash_table_unref(metrics->requests);
    g_hash_table_unref(metrics->jobs);
    g_hash_table_unref(metrics->ended);
    g_free(metrics);
}

/* Methods are the client's words: those we do not know are one, so that nobody fills the memory. */
void metrics_count_request(struct metrics *metrics, const char *method, unsigned status)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", NULL};
    g_autofree char *text = g_strdup_printf("%u", status);
    add(metrics->requests, g_strv_contains(known, method) ? method : "other", text);
}

void metrics_append_head(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_escaped(GString *text, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n')
            g_string_append(text, "\\n");
        else if (*value == '\\' || *value == '"')
            g_string_append_printf(text, "\\%c", *value);
        else
            g_string_append_c(text, *value);
    }
}

void metrics_append_sample(GString *text, const char *name, const char *const *labels, double value)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append(text, name);
    for (guint i = 0; labels && labels[i]; i += 2) {
        g_string_append_printf(text, "%s%s=\"", i ? "," : "{", labels[i]);
        append_escaped(text, labels[i + 1]);
        g_string_append_c(text, '"');
    }
    g_string_append_printf(text, "%s %s\n", labels && labels[0] ? "}" : "",
                           g_ascii_dtostr(number, sizeof(number), value));
}

/* The counters of a table, in an order that stays. */
static void append_table(GString *text, const char *name, const char *one, const char *other,
                         GHashTable *table)
{
    g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(table), (GCompareFunc)strcmp);
    for (const GList *key = keys; key; key = key->next) {
        g_auto(GStrv) values = g_strsplit(key->data, "\n", 2);
        const char *const labels[] = {one, values[0], other, values[1], NULL};
        metrics_append_sample(text, name, labels,
                              (double)*(gint64 *)g_hash_table_lookup(table, key->data));
    }
}

void metrics_append(const struct metrics *metrics, GString *text)
{
    metrics_append_head(text, "landfall_http_requests_total", "counter",
                        "Requests that were answered.");
    append_table(text, "landfall_http_requests_total", "method", "status", metrics->requests);
    metrics_append_head(text, "landfall_jobs_total", "counter",
                        "Jobs that have ended since landfalld started.");
    append_table(text, "landfall_jobs_total", "kind", "result", metrics->jobs);
    metrics_append_head(text, "landfall_read_bytes_total", "counter",
                        "Bytes read from machines by jobs that have ended.");
    metrics_append_sample(text, "landfall_read_bytes_total", NULL, (double)metrics->read_bytes);
    metrics_append_head(text, "landfall_sent_bytes_total", "counter",
                        "Bytes written to stores by jobs that have ended.");
    metrics_append_sample(text, "landfall_sent_bytes_total", NULL, (double)metrics->sent_bytes);
}
