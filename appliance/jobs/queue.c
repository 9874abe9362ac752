/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/queue.h"

struct queue {
    GPtrArray *waiting; /* struct queue_entry, in no order */
    GHashTable *hosts;  /* name → how many run there */
    guint running;
    guint lengthy; /* of those */
};

struct queue *queue_new(void)
{
    struct queue *queue = g_new0(struct queue, 1);
    queue->waiting = g_ptr_array_new();
    queue->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    g_ptr_array_unref(queue->waiting);
    g_hash_table_unref(queue->hosts);
    g_free(queue);
}

void queue_add(struct queue *queue, struct queue_entry *entry)
{
    g_ptr_array_add(queue->waiting, entry);
}

void queue_withdraw(struct queue *queue, struct queue_entry *entry)
{
    g_assert_true(g_ptr_array_remove_fast(queue->waiting, entry));
}

static guint host_load(const struct queue *queue, const char *host)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(queue->hosts, host));
}

static void host_load_set(struct queue *queue, const char *host, guint load)
{
    if (load)
        g_hash_table_insert(queue->hosts, g_strdup(host), GUINT_TO_POINTER(load));
    else
        g_hash_table_remove(queue->hosts, host);
}

/* Hours, maybe: they must not take all the places. */
static gboolean takes_long(const struct queue_entry *entry)
{
    return entry->rank == QUEUE_INITIAL || entry->rank == QUEUE_VERIFY;
}

static gboolean is_allowed(const struct queue *queue, const struct queue_entry *entry,
                           const struct queue_limits *limits)
{
    if (entry->rank == QUEUE_FINAL)
        return TRUE;
    return queue->running < limits->running && host_load(queue, entry->host) < limits->per_host &&
           (!takes_long(entry) || queue->lengthy < limits->lengthy);
}

/* Hosts with fewer running come first, so that many machines of one do not keep others waiting:
 * whoever has none running is ahead of all who have. */
static gboolean is_before(const struct queue *queue, const struct queue_entry *a,
                          const struct queue_entry *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank;
    if (a->priority != b->priority)
        return a->priority > b->priority;
    guint load_a = host_load(queue, a->host), load_b = host_load(queue, b->host);
    if (load_a != load_b)
        return load_a < load_b;
    return a->due_us < b->due_us;
}

struct queue_entry *queue_take(struct queue *queue, const struct queue_limits *limits,
                               gint64 now_us)
{
    struct queue_entry *first = NULL;
    for (guint i = 0; i < queue->waiting->len; i++) {
        struct queue_entry *entry = queue->waiting->pdata[i];
        if (entry->due_us <= now_us && is_allowed(queue, entry, limits) &&
            (!first || is_before(queue, entry, first)))
            first = entry;
    }
    if (!first)
        return NULL;
    queue_withdraw(queue, first);
    queue->running++;
    queue->lengthy += takes_long(first);
    host_load_set(queue, first->host, host_load(queue, first->host) + 1);
    return first;
}

void queue_done(struct queue *queue, struct queue_entry *entry)
{
    g_assert_cmpuint(queue->running, >, 0);
    queue->running--;
    queue->lengthy -= takes_long(entry);
    host_load_set(queue, entry->host, host_load(queue, entry->host) - 1);
}

gint64 queue_next_due_us(const struct queue *queue, gint64 now_us)
{
    gint64 next_us = G_MAXINT64;
    for (guint i = 0; i < queue->waiting->len; i++) {
        const struct queue_entry *entry = queue->waiting->pdata[i];
        if (entry->due_us > now_us)
            next_us = MIN(next_us, entry->due_us);
    }
    return next_us;
}

guint queue_waiting(const struct queue *queue, gint64 now_us)
{
    guint count = 0;
    for (guint i = 0; i < queue->waiting->len; i++)
        count += ((const struct queue_entry *)queue->waiting->pdata[i])->due_us <= now_us;
    return count;
}

guint queue_running(const struct queue *queue)
{
    return queue->running;
}
