/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Machines as hosts told of them. A machine keeps its row and number while it is gone, and when its
 * name changes; a machine is a host and a UUID. */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

struct state_machine {
    gint64 id;
    char *host;
    char *uuid;
    char *name;
    char *power;       /* the inventory's word: running, off, … */
    JsonObject *facts; /* or NULL */
    gint64 first_seen_us;
    gint64 seen_us;
    gint64 gone_us; /* 0: the host has it */
};

void state_machine_free(struct state_machine *machine);

/* By host, and by what people call one: its name, its UUID, HOST/NAME or HOST/UUID; NULL is any.
 * The caller owns the array, which owns the struct state_machine. */
GPtrArray *state_machine_list(struct state *state, const char *host, const char *name,
                              GError **error);

/* The same from the newest on: at most limit, and only ids below before, unless that is 0. A number
 * stays, whatever a machine is called, so whoever asks page by page misses none. */
GPtrArray *state_machine_page(struct state *state, const char *host, const char *name,
                              gint64 before, guint limit, GError **error);

/* How many the host has. */
gboolean state_machine_count(struct state *state, const char *host, gint64 *ret_count,
                             GError **error);

/* The caller owns it; error missing when there is none. */
struct state_machine *state_machine_get(struct state *state, gint64 id, GError **error);

/* What people call it, for messages: its name, or its number where there is none. The caller owns
 * it. */
char *state_machine_called(struct state *state, gint64 id);

/* What the inventory found: host, uuid, name, power, facts and seen_us are taken, and gone_us ends.
 * facts NULL keeps what was known. machine->id is set, also of a new one; *ret_fresh tells whether
 * it is new or was gone. */
gboolean state_machine_found(struct state *state, struct state_machine *machine,
                             gboolean *ret_fresh, GError **error);

/* The host no longer has it, since gone_us. */
gboolean state_machine_gone(struct state *state, gint64 id, gint64 gone_us, GError **error);

/* Forgets machines that have been gone since before gone_us and are not replicated. */
gboolean state_machine_forget(struct state *state, gint64 gone_us, GError **error);

/* The machine is on another host now, and stays the machine it is: its replication goes on. What
 * the inventory has noted there meanwhile under a number of its own is dropped; error conflict
 * when that one is replicated, too. */
gboolean state_machine_move(struct state *state, const char *who, gint64 id, const char *host,
                            GError **error);
