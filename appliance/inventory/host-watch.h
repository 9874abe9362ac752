/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keeps in touch with one host: connects, hears events, looks at everything from time to time, and
 * gives up on a host that does not answer, to try again later and later.
 *
 *     (start) ──▶ connecting ──connected──▶ connected ──pass every interval──▶ connected
 *                   ▲    └──failed, overdue──┐  └──closed, failed, overdue──┐
 *                   └──after a while──────  lost  ◀──────────────────────────┘
 *
 * The status in the state and in events is unknown (never tried), connected or lost. A host that
 * was connected when the program ended counts as connected until the first try has failed. An event
 * on the topic "host" has: host, status, detail, hint. */

#include "appliance/inventory/machine-records.h"
#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

struct host_watch;

/* What all watches share; borrowed for good, and may be changed at any time. */
struct watch_settings {
    struct state *state;
    struct event_hub *hub;
    char *runtime_dir;
    guint interval_s;       /* between the end of a look at everything and the next one */
    guint deadline_s;       /* of a call to libvirtd */
    guint guest_deadline_s; /* of a call to QEMU or an agent */
    machine_taken taken;    /* called with taken_data */
    gpointer taken_data;
};

/* Error missing: there is no such host. */
struct host_watch *host_watch_new(const struct watch_settings *settings, const char *host,
                                  GError **error);

/* Waits for threads that are about to end, until that time of the monotonic clock. */
void host_watch_free(struct host_watch *watch, gint64 until_us);

/* Once a second: deadlines, the next look, the next try. */
void host_watch_tick(struct host_watch *watch);

/* Looks now, or tries now. */
void host_watch_refresh(struct host_watch *watch);

/* Looks at the host now, and at one of its machines (uuid may be NULL); then calls looked(data),
 * never from here. A host that is lost, or gets lost by this, is tried each second until LOOK_S are
 * over. */
typedef void (*host_looked)(gpointer data);
void host_watch_look(struct host_watch *watch, const char *uuid, host_looked looked, gpointer data);

/* Nothing is called any more that was to be called with this data. */
void host_watch_look_away(struct host_watch *watch, gconstpointer data);

/* The machine is on another host now. */
void host_watch_forget(struct host_watch *watch, const char *uuid);

/* The host's URI or secrets have changed. */
void host_watch_reconnect(struct host_watch *watch);
