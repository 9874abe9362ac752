/* SPDX-License-Identifier: Apache-2.0 */

/* Operations that ended long ago are forgotten, with their screenshots, by the settings that jobs
 * are forgotten by. */

#include "appliance/failover/failover-private.h"

#include <glib/gstdio.h>

static gboolean on_history(gpointer data)
{
    struct failovers *failovers = data;
    g_autoptr(GError) error = NULL;
    gint64 before_us;
    guint keep = scheduler_history(failovers->scheduler, &before_us);
    g_autoptr(GArray) removed = state_failover_prune(failovers->state, before_us, keep, &error);
    if (!removed)
        g_critical("cannot forget old operations: %s", error->message);
    for (guint i = 0; removed && i < removed->len; i++) {
        g_autofree char *path =
            failover_evidence_path(failovers, g_array_index(removed, gint64, i));
        g_unlink(path);
    }
    failovers->history_timer =
        g_timeout_add_seconds(removed && removed->len ? SCHEDULER_FIRST_PRUNE_S : SCHEDULER_PRUNE_S,
                              on_history, failovers);
    return G_SOURCE_REMOVE;
}

void history_begin(struct failovers *failovers)
{
    failovers->history_timer =
        g_timeout_add_seconds(SCHEDULER_FIRST_PRUNE_S, on_history, failovers);
}
