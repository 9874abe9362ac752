/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Targets: hosts that machines may move to, and what things are called there. */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

#define STATE_TARGET_PATH "path" /* the store's folder is visible there */
#define STATE_TARGET_NBD "nbd"   /* it is not: disks are served to it, and brought there */

struct state_target {
    char *host;
    char *reach;
    char *store_path;     /* the store's folder as seen there; NULL: the same path */
    char *pool;           /* of libvirt there, for disks that are brought; or NULL */
    JsonObject *networks; /* network or bridge of the source: network there; never NULL */
    char *test_network;   /* or NULL: one is made for each test */
    JsonObject *machine;  /* name_suffix, cpus, memory_mib, …: see the API; never NULL */
    gint64 updated_us;
};

void state_target_free(struct state_target *target);

/* All, by host. The caller owns the array, which owns the struct state_target. */
GPtrArray *state_target_list(struct state *state, GError **error);

/* The caller owns it; error missing when the host is none. */
struct state_target *state_target_get(struct state *state, const char *host, GError **error);

/* Makes the host a target, or replaces all that was said of it. Errors: missing (no such host),
 * config (another reach, a path that is not absolute, a network's name that is no text). */
gboolean state_target_set(struct state *state, const char *who, const struct state_target *target,
                          GError **error);

/* Error missing when it is none, conflict while an operation needs it. */
gboolean state_target_remove(struct state *state, const char *who, const char *host,
                             GError **error);
