/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The hosts that the operator has added, and the machines that libvirt tells of there: kept up to
 * date in the state, with an event for each change (topics "host" and "machine"). Main thread only;
 * no call here waits for a host. */

#include "appliance/events/event-hub.h"
#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

struct inventory;

/* Watches all hosts of the state, which outlives it, as the hub does. runtime_dir is for keys,
 * while hosts are watched. */
struct inventory *inventory_new(struct state *state, struct event_hub *hub, const char *runtime_dir,
                                GError **error);

/* Threads that hang in a call are left behind. NULL is fine. */
void inventory_free(struct inventory *inventory);

/* The settings have changed: inventory_interval_s (30), between two looks at everything;
 * host_deadline_s (20), after which a host that does not answer is lost;
 * guest_deadline_s (10), the same for one machine's QEMU or agent. */
void inventory_reload(struct inventory *inventory);

/* The host was added, removed, or got another URI or secret: connects anew, or lets go. */
void inventory_host_changed(struct inventory *inventory, const char *host);

/* A store was added or removed: looks at them now. */
void inventory_stores_changed(struct inventory *inventory);

/* Looks at the host now: connects at once if it was lost, reads all machines otherwise. FALSE:
 * there is no such host. The answer comes as events. */
gboolean inventory_refresh(struct inventory *inventory, const char *host);

/* Looks now at what decisions about a machine are made by: the host, which is tried for a few
 * seconds if it is lost, and the machine, whose uuid may be NULL. Then calls looked(data), once and
 * never from here, whatever was found. FALSE: there is no such host. */
typedef void (*inventory_looked)(gpointer data);
gboolean inventory_look(struct inventory *inventory, const char *host, const char *uuid,
                        inventory_looked looked, gpointer data);

/* Nobody is called any more with this data. */
void inventory_look_away(struct inventory *inventory, gconstpointer data);

/* The URI to reach the host with, the key file of its secret included; owned by the caller. NULL:
 * there is no such host, or its key cannot be had. */
char *inventory_host_uri(struct inventory *inventory, const char *host, GError **error);

/* What was seen last of a store: {free_bytes, size_bytes, id, error}; the caller owns it. NULL: it
 * is not known. */
JsonObject *inventory_store(struct inventory *inventory, const char *store);

/* What stands in the way of replicating a machine, as readiness.h tells; the caller owns it. store:
 * its name, or NULL: the one it is replicated to, or that with most room. Error missing: no such
 * machine or store. */
JsonObject *inventory_readiness(struct inventory *inventory, gint64 machine, const char *store,
                                GError **error);
