/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The end of replicating a machine: what cycles left on its host goes, and its replica as asked.
 * Every step may be killed and done again. */

#include <glib.h>

struct machine_forget_options {
    const char *host_uri;
    const char *machine; /* UUID: its folder in the store, too */
    const char *store;   /* folder */
    const char *scratch_dir;
    const char *socket_dir;
    gboolean remove_replica;
    gboolean abandon; /* leave the host as it is */
};

/* *ret_removed gets a sentence for each thing that went, or that was left on a host that was
 * abandoned: an array of strings owned by the caller. A
 * machine that its host no longer has, a folder that is no store yet, and a host where cycles
 * are unsupported and never made a recovery point, leave nothing to do there. Errors: conflict (a
 * cycle runs, a recovery point is in use, another tool's backup job runs), source (the host does
 * not answer), replica. */
gboolean machine_forget_run(const struct machine_forget_options *options, GPtrArray **ret_removed,
                            GError **error);
