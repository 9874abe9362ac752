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
