/* SPDX-License-Identifier: Apache-2.0 */

/* The order in which machines get their turn, and the limits. */

#include "appliance/jobs/queue.h"

static const struct queue_limits no_limits = {G_MAXUINT, G_MAXUINT, G_MAXUINT};

static void check_next(struct queue *queue, const struct queue_limits *limits, gint64 now_us,
                       const struct queue_entry *expected)
{
    g_assert_true(queue_take(queue, limits, now_us) == expected);
}

static void test_order(void)
{
    struct queue_entry delta = {"a", QUEUE_DELTA, 0, 1, NULL};
    struct queue_entry urgent = {"a", QUEUE_DELTA, 5, 9, NULL};
    struct queue_entry first_copy = {"a", QUEUE_INITIAL, 0, 5, NULL};
    struct queue_entry asked = {"a", QUEUE_MANUAL, 0, 7, NULL};
    struct queue_entry last = {"a", QUEUE_FINAL, 0, 8, NULL};
    struct queue_entry later = {"a", QUEUE_FINAL, 0, 11, NULL};
    struct queue *queue = queue_new();
    queue_add(queue, &delta);
    queue_add(queue, &urgent);
    queue_add(queue, &first_copy);
    queue_add(queue, &asked);
    queue_add(queue, &last);
    queue_add(queue, &later);
    g_assert_cmpuint(queue_waiting(queue, 10), ==, 5);
    g_assert_cmpint(queue_next_due_us(queue, 10), ==, 11);
    check_next(queue, &no_limits, 10, &last);
    check_next(queue, &no_limits, 10, &asked);
    check_next(queue, &no_limits, 10, &first_copy);
    check_next(queue, &no_limits, 10, &urgent);
    check_next(queue, &no_limits, 10, &delta);
    check_next(queue, &no_limits, 10, NULL);
    check_next(queue, &no_limits, 11, &later);
    g_assert_cmpint(queue_next_due_us(queue, 11), ==, G_MAXINT64);
    g_assert_cmpuint(queue_running(queue), ==, 6);
    queue_free(queue);
}

static void test_limits(void)
{
    const struct queue_limits limits = {.running = 3, .per_host = 2, .lengthy = 1};
    struct queue_entry initial[2] = {{"a", QUEUE_INITIAL, 0, 1, NULL},
                                     {"b", QUEUE_INITIAL, 0, 2, NULL}};
    struct queue_entry delta[3] = {{"a", QUEUE_DELTA, 0, 3, NULL},
                                   {"a", QUEUE_DELTA, 0, 4, NULL},
                                   {"b", QUEUE_DELTA, 0, 5, NULL}};
    struct queue_entry last = {"a", QUEUE_FINAL, 0, 6, NULL};
    struct queue *queue = queue_new();
    for (gsize i = 0; i < 2; i++)
        queue_add(queue, &initial[i]);
    for (gsize i = 0; i < 3; i++)
        queue_add(queue, &delta[i]);
    check_next(queue, &limits, 9, &initial[0]); /* the other waits for this one */
    check_next(queue, &limits, 9, &delta[2]);   /* host b has none running */
    check_next(queue, &limits, 9, &delta[0]);
    check_next(queue, &limits, 9, NULL);
    queue_add(queue, &last);
    check_next(queue, &limits, 9, &last);
    queue_done(queue, &last);
    queue_done(queue, &initial[0]);
    check_next(queue, &limits, 9, &initial[1]);
    queue_done(queue, &delta[0]);
    struct queue_entry proof = {"c", QUEUE_VERIFY, 0, 1, NULL};
    queue_add(queue, &proof);
    check_next(queue, &limits, 9, &delta[1]);
    queue_done(queue, &delta[1]);
    check_next(queue, &limits, 9, NULL); /* a proof takes as long as a first copy, which runs */
    queue_done(queue, &initial[1]);
    check_next(queue, &limits, 9, &proof);
    queue_free(queue);
}

/* --- by chance -----------------------------------------------------------------------------------
 */

#define ENTRIES 200
#define HOSTS 7
#define TICKS 4000

struct model {
    struct queue_entry entries[ENTRIES];
    gint64 ends_us[ENTRIES]; /* 0: does not run */
    gint64 longest_us[ENTRIES];
    guint taken[ENTRIES];
    guint running, initial, hosts[HOSTS];
};

static const char *const host_names[HOSTS] = {"h0", "h1", "h2", "h3", "h4", "h5", "h6"};

static guint host_index(const struct queue_entry *entry)
{
    return (guint)(entry->host[1] - '0');
}

static void model_end(struct model *model, struct queue *queue, gint64 now_us)
{
    for (guint i = 0; i < ENTRIES; i++) {
        struct queue_entry *entry = &model->entries[i];
        if (model->ends_us[i] == 0 || model->ends_us[i] > now_us)
            continue;
        queue_done(queue, entry);
        model->running--;
        model->hosts[host_index(entry)]--;
        model->initial -= entry->rank == QUEUE_INITIAL;
        model->ends_us[i] = 0;
        entry->rank = g_test_rand_int_range(0, 20) ? QUEUE_DELTA : QUEUE_INITIAL;
        entry->due_us = now_us + g_test_rand_int_range(1, 300);
        queue_add(queue, entry);
    }
}

static void model_take(struct model *model, struct queue *queue, const struct queue_limits *limits,
                       gint64 now_us)
{
    struct queue_entry *entry;
    while ((entry = queue_take(queue, limits, now_us))) {
        gsize i = (gsize)(entry - model->entries);
        g_assert_cmpint(entry->due_us, <=, now_us);
        g_assert_cmpint(model->ends_us[i], ==, 0);
        g_assert_cmpuint(++model->running, <=, limits->running);
        g_assert_cmpuint(++model->hosts[host_index(entry)], <=, limits->per_host);
        model->initial += entry->rank == QUEUE_INITIAL;
        g_assert_cmpuint(model->initial, <=, limits->lengthy);
        model->longest_us[i] = MAX(model->longest_us[i], now_us - entry->due_us);
        model->taken[i]++;
        model->ends_us[i] = now_us + g_test_rand_int_range(1, 6);
    }
}

/* Nothing idles while somebody who may run waits. */
static void check_busy(const struct model *model, const struct queue_limits *limits, gint64 now_us)
{
    for (guint i = 0; i < ENTRIES && model->running < limits->running; i++) {
        const struct queue_entry *entry = &model->entries[i];
        if (model->ends_us[i] == 0 && entry->due_us <= now_us)
            g_assert_true(model->hosts[host_index(entry)] == limits->per_host ||
                          (entry->rank == QUEUE_INITIAL && model->initial == limits->lengthy));
    }
}

/* No limit is ever passed, nobody waits for ever, and one host with most of the machines does not
 * make those of the others wait longer than its own. */
static void test_by_chance(void)
{
    const struct queue_limits limits = {.running = 6, .per_host = 3, .lengthy = 2};
    struct model *model = g_new0(struct model, 1);
    struct queue *queue = queue_new();
    for (guint i = 0; i < ENTRIES; i++) {
        guint host = i % 3 ? 0 : (guint)g_test_rand_int_range(0, HOSTS);
        model->entries[i] = (struct queue_entry){host_names[host], QUEUE_DELTA, 0,
                                                 g_test_rand_int_range(0, 300), NULL};
        queue_add(queue, &model->entries[i]);
    }
    for (gint64 now_us = 0; now_us < TICKS; now_us++) {
        model_end(model, queue, now_us);
        model_take(model, queue, &limits, now_us);
        g_assert_cmpuint(queue_running(queue), ==, model->running);
        check_busy(model, &limits, now_us);
    }
    gint64 crowded_us = 0, others_us = 0;
    for (guint i = 0; i < ENTRIES; i++) {
        g_assert_cmpuint(model->taken[i], >, 1);
        gint64 *longest_us = host_index(&model->entries[i]) == 0 ? &crowded_us : &others_us;
        *longest_us = MAX(*longest_us, model->longest_us[i]);
    }
    g_assert_cmpint(others_us, <=, crowded_us);
    g_assert_cmpint(crowded_us, <, TICKS / 4);
    queue_free(queue);
    g_free(model);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/queue/J3: order", test_order);
    g_test_add_func("/queue/J4: limits", test_limits);
    g_test_add_func("/queue/J3, J4: by chance", test_by_chance);
    return g_test_run();
}
