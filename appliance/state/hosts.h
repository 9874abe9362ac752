/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Hosts: what the operator said of them, and what they answered last. */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

struct state_host {
    char *name;
    char *uri;  /* libvirt's */
    char *role; /* source, target or both */
    gint64 added_us;
    char *status;        /* the inventory's word; unknown until it has looked */
    char *status_detail; /* the cause, NULL when all is well */
    char *hint;          /* what to do about it, or NULL */
    gint64 seen_us;      /* when it answered last, 0: never */
    JsonObject *facts;   /* or NULL */
};

void state_host_free(struct state_host *host);

/* All, by name. The caller owns the array, which owns the struct state_host. */
GPtrArray *state_host_list(struct state *state, GError **error);

/* The caller owns it; error missing when there is none. */
struct state_host *state_host_get(struct state *state, const char *name, GError **error);

/* Adds a host, in somebody's name. Error config for a bad name or role, conflict when there is one
 * of that name. */
gboolean state_host_add(struct state *state, const char *who, const char *name, const char *uri,
                        const char *role, GError **error);

/* Changes URI and role; either may be NULL, to keep it. */
gboolean state_host_change(struct state *state, const char *who, const char *name, const char *uri,
                           const char *role, GError **error);

/* Removes the host with its machines and secrets. Error conflict when one of them is replicated. */
gboolean state_host_remove(struct state *state, const char *who, const char *name, GError **error);

/* What the inventory found: status, status_detail, hint, seen_us and facts of host replace those of
 * the host of this name. seen_us 0 and facts NULL keep what was known. */
gboolean state_host_found(struct state *state, const struct state_host *host, GError **error);
