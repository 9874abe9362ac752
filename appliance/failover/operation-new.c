/* SPDX-License-Identifier: Apache-2.0 */

/* An operation from its row: what belongs to it is read once, and kept as long as it has steps. */

#include "appliance/failover/failover-private.h"

#include <string.h>

static GPtrArray *journal_of(struct failovers *failovers, gint64 id, GError **error)
{
    return state_failover_steps(failovers->state, id, error);
}

static gboolean read_subject(struct operation *operation, GError **error)
{
    struct state *state = operation->failovers->state;
    if (!operation->failover->subject)
        return TRUE;
    operation->subject = state_failover_get(state, operation->failover->subject, error);
    operation->subject_journal =
        operation->subject ? journal_of(operation->failovers, operation->subject->id, error) : NULL;
    return operation->subject_journal != NULL;
}

/* Whether the machine has not been moved from there since then. */
static gboolean is_last(struct state *state, const struct state_failover *move, gboolean *ret_is,
                        GError **error)
{
    const struct state_failover_filter filter = {
        .machine = move->machine, .kind = move->kind, .limit = 1};
    g_autoptr(GPtrArray) moves = state_failover_list(state, &filter, error);
    *ret_is =
        moves && moves->len > 0 && ((const struct state_failover *)moves->pdata[0])->id == move->id;
    return moves != NULL;
}

/* By what it ends, a machine that has gone home stays there for good; the move that had brought it
 * to where it comes from was turned round by another. */
static gboolean read_first(struct operation *operation, GError **error)
{
    struct state *state = operation->failovers->state;
    gint64 turn_id = operation->subject ? option_number(operation->failover, "home", 0) : 0;
    gboolean is = FALSE;
    if (!turn_id)
        return TRUE;
    struct state_failover *turn = state_failover_get(state, turn_id, error);
    operation->first = turn ? state_failover_get(state, turn->subject, error) : NULL;
    state_failover_free(turn);
    if (!operation->first || !is_last(state, operation->first, &is, error))
        return FALSE;
    if (is)
        operation->first_journal = journal_of(operation->failovers, operation->first->id, error);
    return !is || operation->first_journal;
}

/* A machine that was forgotten has no name any more, and a target that is none is asked for when a
 * step needs it. */
static void read_names(struct operation *operation)
{
    struct state *state = operation->failovers->state;
    struct state_machine *machine = state_machine_get(state, operation->failover->machine, NULL);
    struct state_target *target = operation->failover->target
                                      ? state_target_get(state, operation->failover->target, NULL)
                                      : NULL;
    operation->machine_name = g_strdup(machine ? machine->name : "?");
    operation->nbd = target && strcmp(target->reach, STATE_TARGET_NBD) == 0;
    state_machine_free(machine);
    state_target_free(target);
}

struct operation *operation_new(struct failovers *failovers, struct state_failover *failover,
                                GError **error)
{
    struct operation *operation = g_new0(struct operation, 1);
    operation->failovers = failovers;
    operation->failover = failover;
    operation->job = state_job_get(failovers->state, failover->job, error);
    operation->journal = operation->job ? journal_of(failovers, failover->id, error) : NULL;
    read_names(operation);
    if (operation->journal && read_subject(operation, error) && read_first(operation, error))
        return operation;
    operation_free(operation);
    return NULL;
}

void operation_free(struct operation *operation)
{
    if (!operation)
        return;
    g_clear_handle_id(&operation->timer, g_source_remove);
    g_clear_handle_id(&operation->save_timer, g_source_remove);
    if (operation->looks > 0)
        inventory_look_away(operation->failovers->inventory, operation);
    orphan_free(operation->orphan);
    job_child_free(operation->child);
    g_clear_pointer(&operation->result, json_object_unref);
    g_clear_error(&operation->error);
    g_clear_pointer(&operation->journal, g_ptr_array_unref);
    g_clear_pointer(&operation->subject_journal, g_ptr_array_unref);
    g_clear_pointer(&operation->first_journal, g_ptr_array_unref);
    state_failover_free(operation->first);
    state_failover_free(operation->subject);
    state_failover_free(operation->failover);
    state_job_free(operation->job);
    g_free(operation->machine_name);
    g_free(operation);
}
