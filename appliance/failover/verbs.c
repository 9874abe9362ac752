/* SPDX-License-Identifier: Apache-2.0 */

/* What operators ask for: what all verbs look at, and those of tests. Moves are in verbs-move.c. */

#include "appliance/failover/verbs-private.h"
#include "appliance/jobs/replication-json.h"
#include "appliance/state/replications.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

/* --- what is there -------------------------------------------------------------------------------
 */

GPtrArray *verbs_list_open(struct failovers *failovers, gint64 machine, const char *kind,
                           GError **error)
{
    const struct state_failover_filter filter = {.machine = machine, .kind = kind, .open = TRUE};
    return state_failover_list(failovers->state, &filter, error);
}

void verbs_set_conflict(struct failovers *failovers, const struct state_failover *holder,
                        GError **error)
{
    g_autoptr(GPtrArray) journal = state_failover_steps(failovers->state, holder->id, NULL);
    g_autoptr(GDateTime) since = g_date_time_new_from_unix_utc(
        (holder->started_us ? holder->started_us : holder->asked_us) / G_USEC_PER_SEC);
    g_autofree char *time = g_date_time_format_iso8601(since);
    const struct state_failover_step *last =
        journal && journal->len > 0 ? journal->pdata[journal->len - 1] : NULL;
    g_autofree char *hint =
        g_strdup_printf("wait for it, or end it: landfall job follow %" G_GINT64_FORMAT
                        ", landfall job cancel %" G_GINT64_FORMAT,
                        holder->job, holder->job);
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT, hint,
                       "%s (job %" G_GINT64_FORMAT ") by %s since %s is %s%s%s", holder->kind,
                       holder->job, holder->who, time, state_failover_word(holder->state),
                       last ? ", in step " : "", last ? last->step : "");
}

static gboolean is_test(const struct state_failover *failover)
{
    return strcmp(failover->kind, STATE_FAILOVER_TEST) == 0 ||
           strcmp(failover->kind, STATE_FAILOVER_CLEANUP) == 0 ||
           strcmp(failover->kind, STATE_FAILOVER_PLAN) == 0;
}

/* Nobody moves the machine now; *ret_move is a move that stands or is stuck, owned by the caller,
 * or NULL. */
gboolean verbs_check_free(struct failovers *failovers, gint64 machine,
                          struct state_failover **ret_move, GError **error)
{
    g_autoptr(GPtrArray) open = verbs_list_open(failovers, machine, NULL, error);
    struct state_failover *move = NULL;
    for (guint i = 0; open && i < open->len; i++) {
        struct state_failover *failover = open->pdata[i];
        gboolean rests = failover->state == FAILOVER_LIVE || failover->state == FAILOVER_STUCK;
        if (is_test(failover) || strcmp(failover->kind, STATE_FAILOVER_CHECK) == 0)
            continue;
        if (!rests || failovers_find(failovers, failover->id)) {
            verbs_set_conflict(failovers, failover, error);
            return FALSE;
        }
        move = failover;
    }
    *ret_move = move ? state_failover_get(failovers->state, move->id, error) : NULL;
    return open && (!move || *ret_move);
}

static gboolean only_target(struct failovers *failovers, char **ret_target, GError **error)
{
    g_autoptr(GPtrArray) targets = state_target_list(failovers->state, error);
    if (!targets)
        return FALSE;
    if (targets->len == 1) {
        *ret_target = g_strdup(((const struct state_target *)targets->pdata[0])->host);
        return TRUE;
    }
    if (targets->len == 0)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "landfall target set HOST --network HERE=THERE makes a host one",
                           "no host is a target");
    else
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "choose one by --target; landfall target list shows them",
                           "there are %u targets", targets->len);
    return FALSE;
}

char *verbs_find_target(struct failovers *failovers, JsonObject *options, GError **error)
{
    const char *name = json_find_string(options, "target");
    g_autofree char *target = NULL;
    if (!name)
        return only_target(failovers, &target, error) ? g_steal_pointer(&target) : NULL;
    struct state_target *known = state_target_get(failovers->state, name, error);
    target = known ? g_strdup(known->host) : NULL;
    state_target_free(known);
    return g_steal_pointer(&target);
}

struct state_replication *verbs_find_replica(struct failovers *failovers, gint64 machine,
                                             GError **error)
{
    struct state_replication *replication = state_replication_get(failovers->state, machine, error);
    if (!replication || (replication->ever_committed && !replication_is_stopping(replication)))
        return replication;
    g_autofree char *name = state_machine_called(failovers->state, machine);
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "landfall machine show tells how far the replication is",
                       "machine %s has no recovery point, or its replication ends", name);
    state_replication_free(replication);
    return NULL;
}

/* --- tests ---------------------------------------------------------------------------------------
 */

FAILOVER_VERB(failover_test)
{
    guint64 number = 0;
    struct state_replication *replication = verbs_find_replica(failovers, machine, error);
    g_autofree char *target = replication ? verbs_find_target(failovers, options, error) : NULL;
    if (target &&
        !json_optional_uint(options, "recovery_point", LANDFALL_ERROR_CONFIG, &number, error))
        g_clear_pointer(&target, g_free);
    const struct failover_request request = {
        .kind = STATE_FAILOVER_TEST,
        .who = who,
        .machine = machine,
        .target = target,
        .recovery_point = number        ? (gint64)number
                          : replication ? replication->last_point
                                        : 0,
        .options = options,
    };
    state_replication_free(replication);
    return target && failovers_begin(failovers, &request, ret_ids, error);
}

static gboolean begin_cleanup(struct failovers *failovers, const char *who,
                              const struct state_failover *test, JsonObject *options,
                              struct failover_ids *ret_ids, GError **error)
{
    const struct state_failover_filter filter = {.subject = test->id, .open = TRUE};
    g_autoptr(GPtrArray) running = state_failover_list(failovers->state, &filter, error);
    if (!running)
        return FALSE;
    if (running->len > 0) {
        const struct state_failover *there = running->pdata[0];
        *ret_ids = (struct failover_ids){there->id, there->job};
        return TRUE;
    }
    gboolean rests = test->state == FAILOVER_LIVE || test->state == FAILOVER_STUCK;
    /* It may be about to be served again. */
    if (!rests || failovers_find(failovers, test->id)) {
        verbs_set_conflict(failovers, test, error);
        return FALSE;
    }
    return failovers_begin_on(failovers, STATE_FAILOVER_CLEANUP, who, test, options, ret_ids,
                              error);
}

static gboolean set_no_test(struct failovers *failovers, gint64 machine, GError **error)
{
    g_autofree char *name = state_machine_called(failovers->state, machine);
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall test list shows those there are",
                       "machine %s has no such test", name);
    return FALSE;
}

FAILOVER_VERB(failover_cleanup)
{
    guint64 wanted = 0;
    g_autoptr(GPtrArray) tests = verbs_list_open(failovers, machine, STATE_FAILOVER_TEST, error);
    if (!tests || !json_optional_uint(options, "test", LANDFALL_ERROR_CONFIG, &wanted, error))
        return FALSE;
    gboolean found = FALSE;
    for (guint i = 0; i < tests->len; i++) {
        const struct state_failover *test = tests->pdata[i];
        if (wanted && test->id != (gint64)wanted)
            continue;
        if (!begin_cleanup(failovers, who, test, options, ret_ids, error))
            return FALSE;
        found = TRUE;
    }
    return found || set_no_test(failovers, machine, error);
}
