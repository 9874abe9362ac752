/* SPDX-License-Identifier: Apache-2.0 */

/* Cancelling an operation: what was done of it is undone, as long as that costs nothing. */

#include "appliance/failover/failover-private.h"
#include "appliance/state/audit.h"
#include "base/error.h"

#include <string.h>

static gboolean refuse(const char *why, const char *hint, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, hint, "%s", why);
    return FALSE;
}

/* A way back is gone to its end; and where the machine may have begun to run at the target, going
 * back is somebody's decision. */
static gboolean check_cancel(const struct operation *operation, GError **error)
{
    static const char *const back[] = {STATE_FAILOVER_CLEANUP, STATE_FAILOVER_ROLLBACK,
                                       STATE_FAILOVER_COMPLETE, NULL};
    const struct sequence_input input = operation_input(operation);
    if (g_strv_contains(back, operation->failover->kind) ||
        operation->failover->state == FAILOVER_RETURNING)
        return refuse("what undoes or ends something cannot be cancelled", "wait for it", error);
    if (operation_is_move(operation) && operation->failover->state == FAILOVER_RUNNING &&
        sequence_has_begun(&input, "start"))
        return refuse("the machine is being started at the target",
                      "landfall rollback goes back once it has moved", error);
    return TRUE;
}

static struct operation *find_job(struct failovers *failovers, gint64 job)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, failovers->operations);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        if (((struct operation *)value)->job->id == job)
            return value;
    return NULL;
}

static gboolean cancel_waiting(struct failovers *failovers, gint64 job, GError **error)
{
    const struct state_failover_filter filter = {.open = TRUE};
    g_autoptr(GPtrArray) open = state_failover_list(failovers->state, &filter, error);
    for (guint i = 0; open && i < open->len; i++) {
        struct state_failover *failover = open->pdata[i];
        if (failover->job == job && failover->state == FAILOVER_WAITING)
            return failovers_close_waiting(failovers, failover, error);
    }
    return open && refuse("the job has ended",
                          "landfall rollback or landfall test-cleanup "
                          "undoes what it has done",
                          error);
}

gboolean failover_cancel(struct failovers *failovers, const char *who, gint64 job, GError **error)
{
    g_autofree char *object = g_strdup_printf("job/%" G_GINT64_FORMAT, job);
    struct operation *operation = find_job(failovers, job);
    if (operation && !check_cancel(operation, error))
        return FALSE;
    if (!operation && !cancel_waiting(failovers, job, error))
        return FALSE;
    if (!state_audit(failovers->state, who, "job.cancel", object, NULL, error))
        return FALSE;
    if (operation)
        operation_cancel(operation);
    return TRUE;
}
