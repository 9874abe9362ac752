/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What happens, told to whoever in this process wants to know: the API's event stream, alerts.
 * One thread uses a hub. The latest EVENT_HUB_KEPT events are kept for readers that come back. */

#include <glib.h>
#include <json-glib/json-glib.h>

#define EVENT_HUB_KEPT 1000u

struct event_hub;

struct event {
    guint64 id;         /* grows, also over restarts of the program; fits JSON's numbers */
    gint64 at_us;       /* microseconds since 1970, UTC */
    const char *topic;  /* interned */
    JsonObject *object; /* owned; nobody changes it */
};

/* The event and its object are borrowed for the call. It may publish, subscribe and unsubscribe. */
typedef void (*event_callback)(const struct event *event, gpointer data);

struct event_hub *event_hub_new(void);
void event_hub_free(struct event_hub *hub);

/* Tells every subscriber, in the order in which they came. The hub takes a reference to object,
 * which must not be changed any more. */
void event_hub_publish(struct event_hub *hub, const char *topic, JsonObject *object);

/* The number is never 0; data is the caller's, and outlives the subscription. */
guint event_hub_subscribe(struct event_hub *hub, event_callback callback, gpointer data);
void event_hub_unsubscribe(struct event_hub *hub, guint subscription);

/* Calls back for each kept event after the one with this id. FALSE, and no call, when events since
 * then are no longer kept, or the id is none of this hub's: the reader has to look at everything.
 */
gboolean event_hub_replay(struct event_hub *hub, guint64 after_id, event_callback callback,
                          gpointer data);
