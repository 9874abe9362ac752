/* SPDX-License-Identifier: Apache-2.0 */

/* What operators ask for: moves, and what ends them. */

#include "appliance/failover/verbs-private.h"
#include "appliance/jobs/job-json.h"
#include "appliance/state/audit.h"
#include "appliance/state/hosts.h"
#include "appliance/state/replications.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define CHECK_BEFORE_US (10 * G_TIME_SPAN_MINUTE)

/* --- moves ---------------------------------------------------------------------------------------
 */

/* One that stopped where it failed goes on from there; one that was on the way back goes all of it,
 * and then another begins. Takes the row. */
static gboolean resume_move(struct failovers *failovers, const char *who,
                            struct state_failover *move, struct failover_ids *ret_ids,
                            GError **error)
{
    struct state *state = failovers->state;
    struct state_job job = {.kind = move->kind,
                            .machine = move->machine,
                            .state = (char *)STATE_JOB_RUNNING,
                            .who = (char *)who,
                            .attempt = 2,
                            .queued_us = state_now_us(),
                            .started_us = state_now_us(),
                            .parameters = json_object_new()};
    g_autoptr(JsonObject) parameters = job.parameters;
    json_object_set_int_member(parameters, "operation", move->id);
    if (!state_begin(state, error)) {
        state_failover_free(move);
        return FALSE;
    }
    gboolean ok = state_job_add(state, &job, error);
    move->job = job.id;
    if (move->state == FAILOVER_STUCK)
        move->state = FAILOVER_RUNNING;
    g_clear_pointer(&move->error, json_object_unref);
    ok = ok && state_failover_save(state, move, error) &&
         state_audit_machine(state, who, "failover.migrate", move->machine, move->options, error);
    if (!state_end(state, ok, error)) {
        state_failover_free(move);
        return FALSE;
    }
    *ret_ids = (struct failover_ids){move->id, move->job};
    return failovers_run(failovers, move, error);
}

static gint64 time_option(JsonObject *options, const char *name)
{
    const char *text = json_find_string(options, name);
    return text ? job_parse_time(text) : 0;
}

/* When something has to be done about a move that is to begin at at_us; 0: it begins. */
static gint64 first_look_us(gint64 at_us, gint64 now_us)
{
    if (at_us <= now_us)
        return 0;
    return at_us - now_us > CHECK_BEFORE_US ? at_us - CHECK_BEFORE_US : at_us;
}

/* Whether it could go now is looked at now, and once more shortly before its time. */
static gboolean look_ahead(struct failovers *failovers, gint64 operation, GError **error)
{
    struct failover_ids ids;
    struct state_failover *move = state_failover_get(failovers->state, operation, error);
    gboolean ok = move && failovers_check_waiting(failovers, move, &ids, error);
    state_failover_free(move);
    return ok;
}

/* Options, with the move whose way back comes first. */
static JsonObject *options_after(JsonObject *options, const struct state_failover *after)
{
    JsonObject *copy = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;
    json_object_iter_init(&iter, options);
    while (json_object_iter_next(&iter, &name, &node))
        json_object_set_member(copy, name, json_node_copy(node));
    if (after)
        json_object_set_int_member(copy, "after", after->id);
    return copy;
}

static gboolean is_on(struct failovers *failovers, gint64 machine, const char *host)
{
    struct state_machine *known = state_machine_get(failovers->state, machine, NULL);
    gboolean is = known && !known->gone_us && strcmp(known->host, host) == 0;
    state_machine_free(known);
    return is;
}

/* Where a machine has come from by a move that was turned round, what it was still is: *ret_turn is
 * the operation that turned it, 0: there is none. */
static gboolean find_home(struct failovers *failovers, gint64 machine, const char *target,
                          gint64 *ret_turn, GError **error)
{
    const struct state_failover_filter filter = {.kind = STATE_FAILOVER_REVERSE};
    g_autoptr(GPtrArray) turns = state_failover_list(failovers->state, &filter, error);
    *ret_turn = 0;
    for (guint i = 0; turns && i < turns->len && !*ret_turn; i++) {
        const struct state_failover *turn = turns->pdata[i];
        if (turn->state == FAILOVER_DONE && option_number(turn, "machine_there", 0) == machine &&
            is_on(failovers, turn->machine, target))
            *ret_turn = turn->id;
    }
    return turns != NULL;
}

/* Options, with what is found out about them. */
static gboolean add_home(struct failovers *failovers, gint64 machine, const char *target,
                         JsonObject *options, GError **error)
{
    gint64 turn;
    if (!find_home(failovers, machine, target, &turn, error))
        return FALSE;
    if (turn)
        json_object_set_int_member(options, "home", turn);
    return TRUE;
}

/* With the machine's latest recovery point, to the target that its options name. */
static gboolean begin_to_target(struct failovers *failovers, struct failover_request request,
                                struct failover_ids *ret_ids, GError **error)
{
    struct state_replication *replication = verbs_find_replica(failovers, request.machine, error);
    g_autofree char *target =
        replication ? verbs_find_target(failovers, request.options, error) : NULL;
    request.target = target;
    request.recovery_point = replication ? replication->last_point : 0;
    state_replication_free(replication);
    return target && add_home(failovers, request.machine, target, request.options, error) &&
           failovers_begin(failovers, &request, ret_ids, error);
}

static gboolean begin_move(struct failovers *failovers, const char *who, gint64 machine,
                           JsonObject *options, const struct state_failover *after,
                           struct failover_ids *ret_ids, GError **error)
{
    g_autoptr(JsonObject) wanted = options_after(options, after);
    gint64 at_us = time_option(options, "at"), now_us = state_now_us();
    const struct failover_request request = {
        .kind = STATE_FAILOVER_MIGRATE,
        .who = who,
        .machine = machine,
        .options = wanted,
        .due_us = after ? FAILOVER_DUE_AFTER : first_look_us(at_us, now_us),
        .word = after || at_us > now_us ? NULL : WORD_MIGRATING,
    };
    if (!begin_to_target(failovers, request, ret_ids, error))
        return FALSE;
    return after || at_us <= now_us || look_ahead(failovers, ret_ids->operation, error);
}

/* Nobody knows better than its journal which way is open to it. */
static gboolean is_on_the_way_back(struct failovers *failovers, const struct state_failover *move)
{
    const struct state_failover_filter filter = {
        .subject = move->id, .kind = STATE_FAILOVER_ROLLBACK, .limit = 1};
    g_autoptr(GPtrArray) rollbacks = state_failover_list(failovers->state, &filter, NULL);
    g_autoptr(GPtrArray) journal = state_failover_steps(failovers->state, move->id, NULL);
    const struct sequence_input input = {.failover = move, .journal = journal};
    return !rollbacks || rollbacks->len > 0 || !journal || sequence_is_undoing(&input);
}

static gboolean migrate_again(struct failovers *failovers, const char *who,
                              struct state_failover *move, JsonObject *options,
                              struct failover_ids *ret_ids, GError **error)
{
    struct failover_ids rollback;
    if (move->state == FAILOVER_STUCK && is_on_the_way_back(failovers, move)) {
        gboolean ok = begin_move(failovers, who, move->machine, options, move, ret_ids, error) &&
                      failovers_begin_on(failovers, STATE_FAILOVER_ROLLBACK, who, move, NULL,
                                         &rollback, error);
        state_failover_free(move);
        return ok;
    }
    if (move->state == FAILOVER_LIVE && !failovers_has_steps(failovers, move)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "landfall rollback goes back, landfall complete makes it final",
                           "migrate (job %" G_GINT64_FORMAT ") by %s has moved the machine to %s",
                           move->job, move->who, move->target);
        state_failover_free(move);
        return FALSE;
    }
    return resume_move(failovers, who, move, ret_ids, error);
}

FAILOVER_VERB(failover_migrate)
{
    struct state_failover *move = NULL;
    if (!verbs_check_free(failovers, machine, &move, error))
        return FALSE;
    return move ? migrate_again(failovers, who, move, options, ret_ids, error)
                : begin_move(failovers, who, machine, options, NULL, ret_ids, error);
}

FAILOVER_VERB(failover_plan)
{
    g_autoptr(JsonObject) wanted = options_after(options, NULL);
    const struct failover_request request = {
        .kind = STATE_FAILOVER_PLAN,
        .who = who,
        .machine = machine,
        .options = wanted,
    };
    return begin_to_target(failovers, request, ret_ids, error);
}

/* --- the end of a move ---------------------------------------------------------------------------
 */

static gboolean set_no_move(struct failovers *failovers, gint64 machine, GError **error)
{
    g_autofree char *name = state_machine_called(failovers->state, machine);
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall migrate begins one",
                       "machine %s has no move that stands", name);
    return FALSE;
}

/* One that stands, or, unless live, is stuck; owned by the caller. */
static struct state_failover *find_move(struct failovers *failovers, gint64 machine, gboolean live,
                                        GError **error)
{
    struct state_failover *move = NULL;
    if (!verbs_check_free(failovers, machine, &move, error))
        return NULL;
    if (move && (!live || move->state == FAILOVER_LIVE))
        return move;
    if (move)
        verbs_set_conflict(failovers, move, error);
    else
        set_no_move(failovers, machine, error);
    state_failover_free(move);
    return NULL;
}

/* A host that answers is not lost: its machine is stopped there, or else there would be two. The
 * step looks itself; this is so that a slip ends before anything has begun. */
static gboolean check_lost(struct failovers *failovers, const struct state_failover *move,
                           JsonObject *options, GError **error)
{
    gboolean abandon = json_find_boolean(options, "abandon_target");
    struct state_host *host = abandon ? state_host_get(failovers->state, move->target, NULL) : NULL;
    gboolean connected = host && g_strcmp0(host->status, "connected") == 0;
    state_host_free(host);
    if (connected)
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "landfall rollback without --abandon-target stops what runs there",
                           "host %s is connected: it is not lost", move->target);
    return !connected;
}

FAILOVER_VERB(failover_rollback)
{
    struct state_failover *move = find_move(failovers, machine, FALSE, error);
    gboolean ok =
        move && check_lost(failovers, move, options, error) &&
        failovers_begin_on(failovers, STATE_FAILOVER_ROLLBACK, who, move, options, ret_ids, error);
    state_failover_free(move);
    return ok;
}

/* A move that copies its disks still is confirmed in memory, too. */
FAILOVER_VERB(failover_confirm)
{
    struct state *state = failovers->state;
    g_autoptr(GPtrArray) moves = verbs_list_open(failovers, machine, STATE_FAILOVER_MIGRATE, error);
    struct state_failover *move = moves && moves->len > 0 ? moves->pdata[0] : NULL;
    if (!moves)
        return FALSE;
    if (!move || move->state != FAILOVER_LIVE)
        return set_no_move(failovers, machine, error);
    struct operation *operation = failovers_find(failovers, move->id);
    if (operation)
        move = operation->failover;
    gint64 due_us = move->due_us;
    if (!state_begin(state, error))
        return FALSE;
    move->due_us = 0;
    gboolean ok = state_failover_save(state, move, error) &&
                  state_audit_machine(state, who, "failover.confirm", machine, options, error);
    if (!state_end(state, ok, error)) {
        move->due_us = due_us;
        return FALSE;
    }
    *ret_ids = (struct failover_ids){move->id, move->job};
    return TRUE;
}

/* What would be taken from under others, or is no move to make final. */
static gboolean check_complete(struct failovers *failovers, const struct state_failover *move,
                               GError **error)
{
    g_autoptr(GPtrArray) tests =
        verbs_list_open(failovers, move->machine, STATE_FAILOVER_TEST, error);
    if (!tests)
        return FALSE;
    if (tests->len > 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "landfall test-cleanup takes it away",
                           "a test (operation %" G_GINT64_FORMAT ") still uses the replica",
                           ((const struct state_failover *)tests->pdata[0])->id);
        return FALSE;
    }
    if (!option_boolean(move, "shutdown", TRUE)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "landfall rollback takes it away; landfall migrate moves for good",
                           "the source was not shut down: what runs at the target is a copy");
        return FALSE;
    }
    if (failovers_has_steps(failovers, move)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "landfall migrate goes on with it",
                           "the disks are not at the target yet");
        return FALSE;
    }
    return TRUE;
}

/* Options, with what is known of the move that this ends. */
static JsonObject *options_at_end(JsonObject *options, const struct state_failover *move)
{
    JsonObject *wanted = options_after(options, NULL);
    gint64 home = move ? option_number(move, "home", 0) : 0;
    if (home)
        json_object_set_int_member(wanted, "home", home);
    return wanted;
}

FAILOVER_VERB(failover_complete)
{
    struct state_failover *move = find_move(failovers, machine, TRUE, error);
    g_autoptr(JsonObject) wanted = options_at_end(options, move);
    gboolean ok =
        move && check_complete(failovers, move, error) &&
        failovers_begin_on(failovers, STATE_FAILOVER_COMPLETE, who, move, wanted, ret_ids, error);
    state_failover_free(move);
    return ok;
}

/* The machine that it has become at the target, as the inventory knows it: of the same UUID, for
 * that is where its recovery points lie. */
static gboolean find_there(struct failovers *failovers, const struct state_failover *move,
                           gint64 *ret_machine, GError **error)
{
    struct state_machine *here = state_machine_get(failovers->state, move->machine, error);
    g_autoptr(GPtrArray) there =
        here ? state_machine_list(failovers->state, move->target, here->uuid, error) : NULL;
    const struct state_machine *machine = there && there->len > 0 ? there->pdata[0] : NULL;
    gboolean same = here && strcmp(here->host, move->target) == 0;
    state_machine_free(here);
    if (there && machine && !same && !machine->gone_us) {
        *ret_machine = machine->id;
        return TRUE;
    }
    if (there)
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "landfall complete ends the move; then landfall replicate begins anew, "
                           "with the machine at the target",
                           "the machine has no twin of its UUID on host %s that is known there%s",
                           move->target, same ? ": it moved within its host" : "");
    return FALSE;
}

FAILOVER_VERB(failover_reverse)
{
    struct state_failover *move = find_move(failovers, machine, TRUE, error);
    g_autoptr(JsonObject) wanted = options_at_end(options, move);
    gint64 there = 0;
    gboolean ok = move && check_complete(failovers, move, error) &&
                  find_there(failovers, move, &there, error);
    json_object_set_int_member(wanted, "machine_there", there);
    ok = ok &&
         failovers_begin_on(failovers, STATE_FAILOVER_REVERSE, who, move, wanted, ret_ids, error);
    state_failover_free(move);
    return ok;
}
