/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the verbs of tests and those of moves look at alike. */

#include "appliance/failover/failover-private.h"
#include "appliance/state/replications.h"

/* The machine's operations that are open, the newest first; kind may be NULL. */
GPtrArray *verbs_list_open(struct failovers *failovers, gint64 machine, const char *kind,
                           GError **error);

/* Error conflict that tells who holds the machine. */
void verbs_set_conflict(struct failovers *failovers, const struct state_failover *holder,
                        GError **error);

/* Nobody moves the machine now; *ret_move is a move that stands or is stuck, owned by the caller,
 * or NULL. */
gboolean verbs_check_free(struct failovers *failovers, gint64 machine,
                          struct state_failover **ret_move, GError **error);

/* The target that was named, or the only one; owned by the caller. */
char *verbs_find_target(struct failovers *failovers, JsonObject *options, GError **error);

/* The replication of a machine of which there is something to start. */
struct state_replication *verbs_find_replica(struct failovers *failovers, gint64 machine,
                                             GError **error);
