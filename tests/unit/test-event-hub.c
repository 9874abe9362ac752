/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/events/event-hub.c: who hears what, also when callbacks change who listens. */

#include "appliance/events/event-hub.h"

struct listener {
    struct event_hub *hub;
    GString *heard;
    guint number, other;
    guint64 last_id;
};

static void publish(struct event_hub *hub, const char *topic, gint64 value)
{
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_int_member(object, "value", value);
    event_hub_publish(hub, topic, object);
}

static void hear(const struct event *event, gpointer data)
{
    struct listener *listener = data;
    g_string_append_printf(listener->heard, "%s%d ", event->topic,
                           (int)json_object_get_int_member(event->object, "value"));
    g_assert_cmpuint(event->id, >, listener->last_id);
    listener->last_id = event->id;
}

static void hear_and_leave(const struct event *event, gpointer data)
{
    struct listener *listener = data;
    hear(event, data);
    event_hub_unsubscribe(listener->hub, listener->number);
    event_hub_unsubscribe(listener->hub, listener->other);
}

static void hear_and_invite(const struct event *event, gpointer data)
{
    struct listener *listener = data;
    hear(event, data);
    listener->other = event_hub_subscribe(listener->hub, hear, listener);
}

static void hear_and_answer(const struct event *event, gpointer data)
{
    struct listener *listener = data;
    if (g_str_equal(event->topic, "question"))
        for (guint i = 0; i < EVENT_HUB_KEPT + 10; i++)
            publish(listener->hub, "answer", 1);
    g_assert_cmpint(json_object_get_int_member(event->object, "value"), ==, 1);
    listener->last_id++;
}

static void test_order(void)
{
    struct event_hub *hub = event_hub_new();
    g_autoptr(GString) heard = g_string_new(NULL);
    struct listener listener = {.hub = hub, .heard = heard};
    publish(hub, "host", 1);
    guint number = event_hub_subscribe(hub, hear, &listener);
    g_assert_cmpuint(number, !=, 0);
    publish(hub, "host", 2);
    publish(hub, "job", 3);
    event_hub_unsubscribe(hub, number);
    event_hub_unsubscribe(hub, number);
    publish(hub, "job", 4);
    g_assert_cmpstr(heard->str, ==, "host2 job3 ");
    event_hub_free(hub);
    event_hub_free(NULL);
}

static void test_leave(void)
{
    struct event_hub *hub = event_hub_new();
    g_autoptr(GString) heard = g_string_new(NULL);
    struct listener one = {.hub = hub, .heard = heard}, two = one, three = one;
    one.number = event_hub_subscribe(hub, hear_and_leave, &one);
    one.other = event_hub_subscribe(hub, hear, &two);
    event_hub_subscribe(hub, hear, &three);
    publish(hub, "host", 1);
    publish(hub, "host", 2);
    g_assert_cmpstr(heard->str, ==, "host1 host1 host2 ");
    event_hub_free(hub);
}

static void test_invite(void)
{
    struct event_hub *hub = event_hub_new();
    g_autoptr(GString) heard = g_string_new(NULL);
    struct listener one = {.hub = hub, .heard = heard};
    guint number = event_hub_subscribe(hub, hear_and_invite, &one);
    publish(hub, "host", 1);
    event_hub_unsubscribe(hub, number);
    publish(hub, "host", 2);
    g_assert_cmpstr(heard->str, ==, "host1 host2 ");
    event_hub_free(hub);
}

/* A callback that publishes more than is kept: the event it was called with stays. */
static void test_answer(void)
{
    struct event_hub *hub = event_hub_new();
    struct listener one = {.hub = hub}, two = one;
    event_hub_subscribe(hub, hear_and_answer, &one);
    event_hub_subscribe(hub, hear_and_answer, &two);
    publish(hub, "question", 1);
    g_assert_cmpuint(one.last_id, ==, 2 * (EVENT_HUB_KEPT + 10) + 1);
    g_assert_cmpuint(two.last_id, ==, 2 * (EVENT_HUB_KEPT + 10) + 1);
    event_hub_free(hub);
}

static void count(const struct event *event, gpointer data)
{
    struct listener *listener = data;
    listener->number++;
    if (listener->other == 0)
        listener->other = (guint)json_object_get_int_member(event->object, "value");
    listener->last_id = event->id;
}

static void test_replay(void)
{
    struct event_hub *hub = event_hub_new();
    struct listener all = {0};
    g_assert_false(event_hub_replay(hub, 1, count, &all)); /* of another run of the program */
    guint number = event_hub_subscribe(hub, count, &all);
    publish(hub, "host", 1);
    guint64 first = all.last_id;
    for (guint i = 2; i <= EVENT_HUB_KEPT; i++)
        publish(hub, "host", i);

    struct listener replayed = {0};
    g_assert_true(event_hub_replay(hub, first, count, &replayed));
    g_assert_cmpuint(replayed.number, ==, EVENT_HUB_KEPT - 1);
    g_assert_cmpuint(replayed.other, ==, 2);
    g_assert_cmpuint(replayed.last_id, ==, all.last_id);
    replayed = (struct listener){0};
    g_assert_true(event_hub_replay(hub, all.last_id, count, &replayed));
    g_assert_false(event_hub_replay(hub, all.last_id + 1, count, &replayed));
    g_assert_cmpuint(replayed.number, ==, 0);

    publish(hub, "host", 0); /* pushes the first one out, which a reader after it has seen */
    g_assert_true(event_hub_replay(hub, first, count, &replayed));
    g_assert_cmpuint(replayed.number, ==, EVENT_HUB_KEPT);
    publish(hub, "host", 0);
    replayed = (struct listener){0};
    g_assert_false(event_hub_replay(hub, first, count, &replayed));
    g_assert_cmpuint(replayed.number, ==, 0);
    event_hub_unsubscribe(hub, number);
    event_hub_free(hub);
}

static void test_restart(void)
{
    struct event_hub *before = event_hub_new(), *after;
    struct listener one = {0}, two = {0};
    event_hub_subscribe(before, count, &one);
    publish(before, "host", 1);
    /* A thousand a millisecond is more than a program publishes between its start and the next. */
    gint64 until = g_get_real_time() + 1000;
    while (g_get_real_time() < until)
        g_thread_yield();
    after = event_hub_new();
    event_hub_subscribe(after, count, &two);
    publish(after, "host", 1);
    g_assert_cmpuint(two.last_id, >, one.last_id);
    g_assert_cmpuint(two.last_id, <, G_GUINT64_CONSTANT(1) << 53);
    event_hub_free(before);
    event_hub_free(after);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/event-hub/in order, while subscribed", test_order);
    g_test_add_func("/event-hub/leaving in a callback", test_leave);
    g_test_add_func("/event-hub/joining in a callback", test_invite);
    g_test_add_func("/event-hub/publishing in a callback", test_answer);
    g_test_add_func("/event-hub/replay", test_replay);
    g_test_add_func("/event-hub/ids grow over a restart", test_restart);
    return g_test_run();
}
