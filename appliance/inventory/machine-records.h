/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The machines of one host as they were last seen: compares what comes in with it, writes what has
 * changed to the state, and tells the hub. An event on the topic "machine" has
 *
 *     change ("appeared", "changed", "gone"), id, host, uuid, name, power
 */

#include "appliance/events/event-hub.h"
#include "appliance/inventory/session.h"
#include "appliance/state/state.h"

struct machine_records;

/* A replicated machine that was live-migrated here is taken over from the host it came from: its
 * records have to forget it. */
typedef void (*machine_taken)(gpointer data, const char *from_host, const char *uuid);

/* Begins with what the state knows; state, hub and data are borrowed. */
struct machine_records *machine_records_new(struct state *state, struct event_hub *hub,
                                            const char *host, machine_taken taken, gpointer data,
                                            GError **error);
void machine_records_free(struct machine_records *records);

/* What came in. replication (may be NULL) is the host's, and becomes part of the machine's facts.
 */
void machine_records_found(struct machine_records *records, const struct session_machine *machine,
                           JsonObject *replication);
void machine_records_gone(struct machine_records *records, const char *uuid);
void machine_records_sizes(struct machine_records *records, const struct guest_answer *answer);
void machine_records_agent(struct machine_records *records, const struct guest_answer *answer);

/* It is on another host now, which has its number. */
void machine_records_forget(struct machine_records *records, const char *uuid);

/* These are all that the host has: others are gone. */
void machine_records_listed(struct machine_records *records, const GPtrArray *uuids);

/* What was asked did not get an answer. */
void machine_records_unresponsive(struct machine_records *records, const char *uuid,
                                  const char *what, guint seconds);

/* Whether to ask for them now: the machine answers, and for the agent, it is there and was not
 * asked for a while. Asking counts from now on. */
gboolean machine_records_wants_sizes(struct machine_records *records, const char *uuid);
gboolean machine_records_wants_agent(struct machine_records *records, const char *uuid);

/* Asks those for sizes that did not tell all of them; once a second. */
void machine_records_ask_again(struct machine_records *records, struct lane *guests);
