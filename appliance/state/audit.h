/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who changed what, when. A change that somebody asked for and its line here are one transaction:
 * the functions of this folder that take `who` see to it. The latest STATE_AUDIT_KEPT are kept. */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

#define STATE_AUDIT_KEPT 100000

struct state_audit_entry {
    gint64 id;
    gint64 at_us;
    char *who;
    char *action;       /* such as host.add */
    char *object;       /* such as host/NAME */
    JsonObject *detail; /* or NULL */
};

/* detail may be NULL, and never has a secret in it. */
gboolean state_audit(struct state *state, const char *who, const char *action, const char *object,
                     JsonObject *detail, GError **error);

/* Of the machine with that number. */
gboolean state_audit_machine(struct state *state, const char *who, const char *action,
                             gint64 machine, JsonObject *detail, GError **error);

/* At most limit entries, the latest first; only those with a smaller id unless before is 0. The
 * caller owns the array, which owns the entries. */
GPtrArray *state_audit_list(struct state *state, gint64 before, unsigned limit, GError **error);
