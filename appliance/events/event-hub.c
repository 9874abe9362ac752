/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/events/event-hub.h"

struct subscriber {
    guint number;
    event_callback callback;
    gpointer data;
};

struct event_hub {
    GQueue events; /* struct event, oldest first */
    GArray *subscribers;
    guint64 last_id;
    guint last_number;
};

static void event_free(struct event *event)
{
    json_object_unref(event->object);
    g_free(event);
}

struct event_hub *event_hub_new(void)
{
    struct event_hub *hub = g_new0(struct event_hub, 1);
    g_queue_init(&hub->events);
    hub->subscribers = g_array_new(FALSE, FALSE, sizeof(struct subscriber));
    /* The clock as the first number: one of an earlier run of the program is smaller. */
    hub->last_id = (guint64)g_get_real_time();
    return hub;
}

void event_hub_free(struct event_hub *hub)
{
    if (!hub)
        return;
    g_queue_clear_full(&hub->events, (GDestroyNotify)event_free);
    g_array_unref(hub->subscribers);
    g_free(hub);
}

/* The subscriber with the smallest number above this one: callbacks may change the array. */
static const struct subscriber *next_subscriber(const struct event_hub *hub, guint number)
{
    for (guint i = 0; i < hub->subscribers->len; i++) {
        const struct subscriber *subscriber =
            &g_array_index(hub->subscribers, struct subscriber, i);
        if (subscriber->number > number)
            return subscriber;
    }
    return NULL;
}

void event_hub_publish(struct event_hub *hub, const char *topic, JsonObject *object)
{
    struct event *event = g_new0(struct event, 1);
    event->id = ++hub->last_id;
    event->at_us = g_get_real_time();
    event->topic = g_intern_string(topic);
    event->object = json_object_ref(object);
    g_queue_push_tail(&hub->events, event);
    if (hub->events.length > EVENT_HUB_KEPT)
        event_free(g_queue_pop_head(&hub->events));

    /* A callback that publishes a lot may push this event out of the queue. */
    const struct event told = {event->id, event->at_us, event->topic, json_object_ref(object)};
    guint last = hub->last_number;
    const struct subscriber *next = next_subscriber(hub, 0);
    while (next && next->number <= last) {
        guint number = next->number;
        next->callback(&told, next->data);
        next = next_subscriber(hub, number);
    }
    json_object_unref(told.object);
}

guint event_hub_subscribe(struct event_hub *hub, event_callback callback, gpointer data)
{
    struct subscriber subscriber = {++hub->last_number, callback, data};
    g_array_append_val(hub->subscribers, subscriber);
    return subscriber.number;
}

void event_hub_unsubscribe(struct event_hub *hub, guint subscription)
{
    for (guint i = 0; i < hub->subscribers->len; i++) {
        if (g_array_index(hub->subscribers, struct subscriber, i).number != subscription)
            continue;
        g_array_remove_index(hub->subscribers, i);
        return;
    }
}

gboolean event_hub_replay(struct event_hub *hub, guint64 after_id, event_callback callback,
                          gpointer data)
{
    const struct event *oldest = g_queue_peek_head(&hub->events);
    guint64 first_id = oldest ? oldest->id : hub->last_id + 1;
    if (after_id + 1 < first_id || after_id > hub->last_id)
        return FALSE;
    for (const GList *link = hub->events.head; link; link = link->next) {
        const struct event *event = link->data;
        if (event->id > after_id)
            callback(event, data);
    }
    return TRUE;
}
