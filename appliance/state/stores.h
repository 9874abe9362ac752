/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Stores: a name for a place where replicas live. */

#include "appliance/state/state.h"

struct state_store {
    char *name;
    char *kind; /* local: a folder */
    char *path; /* absolute */
    gint64 added_us;
};

void state_store_free(struct state_store *store);

/* All, by name. The caller owns the array, which owns the struct state_store. */
GPtrArray *state_store_list(struct state *state, GError **error);

/* The caller owns it; error missing when there is none. */
struct state_store *state_store_get(struct state *state, const char *name, GError **error);

/* Error config for a bad name or a path that is not absolute, conflict when the name or the path is
 * taken. Whether the path is usable is for the caller to see. */
gboolean state_store_add(struct state *state, const char *who, const char *name, const char *path,
                         GError **error);

/* Forgets the name; what is in the store stays. Error conflict while a machine is replicated to
 * it. */
gboolean state_store_remove(struct state *state, const char *who, const char *name, GError **error);
