/* SPDX-License-Identifier: Apache-2.0 */

/* What operators ask for: whether it fits what is going on, and the operation that it becomes. */

#include "appliance/failover/failover-private.h"
#include "appliance/jobs/job-json.h"
#include "appliance/state/audit.h"
#include "appliance/state/replications.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define CHECK_BEFORE_US (10 * G_TIME_SPAN_MINUTE)

/* --- what is there -------------------------------------------------------------------------------
 */

/* The machine's operations that are open, the newest first. */
static GPtrArray *list_open(struct failovers *failovers, gint64 machine, const char *kind,
                            GError **error)
{
    const struct state_failover_filter filter = {.machine = machine, .kind = kind, .open = TRUE};
    return state_failover_list(failovers->state, &filter, error);
}

static void set_conflict(struct failovers *failovers, const struct state_failover *holder,
                         GError **error)
{
    g_autoptr(GPtrArray) journal = state_failover_steps(failovers->state, holder->id, NULL);
    g_autoptr(GDateTime) since = g_date_time_new_from_unix_utc(
        (holder->started_us ? holder->started_us : holder->asked_us) / G_USEC_PER_SEC);
    g_autofree char *time = g_date_time_format_iso8601(since);
    const struct state_failover_step *last =
        journal && journal->len > 0 ? journal->pdata[journal->len - 1] : NULL;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "wait for it, or end it: landfall job follow and landfall job cancel",
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
static gboolean check_free(struct failovers *failovers, gint64 machine,
                           struct state_failover **ret_move, GError **error)
{
    g_autoptr(GPtrArray) open = list_open(failovers, machine, NULL, error);
    struct state_failover *move = NULL;
    for (guint i = 0; open && i < open->len; i++) {
        struct state_failover *failover = open->pdata[i];
        gboolean rests = failover->state == FAILOVER_LIVE || failover->state == FAILOVER_STUCK;
        if (is_test(failover) || strcmp(failover->kind, STATE_FAILOVER_CHECK) == 0)
            continue;
        if (!rests || failovers_find(failovers, failover->id)) {
            set_conflict(failovers, failover, error);
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

/* The one that was named, or the only one; owned by the caller. */
static char *find_target(struct failovers *failovers, JsonObject *options, GError **error)
{
    const char *name = NULL;
    g_autofree char *target = NULL;
    json_optional_string(options, "target", LANDFALL_ERROR_CONFIG, &name, NULL);
    if (!name)
        return only_target(failovers, &target, error) ? g_steal_pointer(&target) : NULL;
    struct state_target *known = state_target_get(failovers->state, name, error);
    target = known ? g_strdup(known->host) : NULL;
    state_target_free(known);
    return g_steal_pointer(&target);
}

/* The replication of a machine of which there is something to start. */
static struct state_replication *find_replica(struct failovers *failovers, gint64 machine,
                                              GError **error)
{
    struct state_replication *replication = state_replication_get(failovers->state, machine, error);
    if (!replication ||
        (replication->ever_committed && strcmp(replication->state, "stopping") != 0))
        return replication;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "landfall machine show tells how far the replication is",
                       "machine %" G_GINT64_FORMAT " has no recovery point, or its replication "
                       "ends",
                       machine);
    state_replication_free(replication);
    return NULL;
}

/* --- tests ---------------------------------------------------------------------------------------
 */

FAILOVER_VERB(failover_test)
{
    guint64 number = 0;
    struct state_replication *replication = find_replica(failovers, machine, error);
    g_autofree char *target = replication ? find_target(failovers, options, error) : NULL;
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
    if (test->state != FAILOVER_LIVE && test->state != FAILOVER_STUCK) {
        set_conflict(failovers, test, error);
        return FALSE;
    }
    const struct failover_request request = {
        .kind = STATE_FAILOVER_CLEANUP,
        .who = who,
        .machine = test->machine,
        .subject = test,
        .target = test->target,
        .recovery_point = test->recovery_point,
        .options = options,
    };
    return failovers_begin(failovers, &request, ret_ids, error);
}

static gboolean set_no_test(gint64 machine, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall test list shows those there are",
                       "machine %" G_GINT64_FORMAT " has no such test", machine);
    return FALSE;
}

FAILOVER_VERB(failover_cleanup)
{
    guint64 wanted = 0;
    g_autoptr(GPtrArray) tests = list_open(failovers, machine, STATE_FAILOVER_TEST, error);
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
    return found || set_no_test(machine, error);
}

/* --- moves ---------------------------------------------------------------------------------------
 */

/* One that stopped where it failed goes on from there; one that was on the way back goes all of it,
 * and then another begins. */
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
    g_autofree char *object = g_strdup_printf("machine/%" G_GINT64_FORMAT, move->machine);
    json_object_set_int_member(parameters, "operation", move->id);
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = state_job_add(state, &job, error);
    move->job = job.id;
    if (move->state == FAILOVER_STUCK)
        move->state = FAILOVER_RUNNING;
    g_clear_pointer(&move->error, json_object_unref);
    ok = ok && state_failover_save(state, move, error) &&
         state_audit(state, who, "failover.migrate", object, move->options, error);
    if (!state_end(state, ok, error))
        return FALSE;
    *ret_ids = (struct failover_ids){move->id, move->job};
    return failovers_run(failovers, g_steal_pointer(&move), error);
}

static gint64 time_option(JsonObject *options, const char *name)
{
    const char *text = NULL;
    json_optional_string(options, name, LANDFALL_ERROR_CONFIG, &text, NULL);
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

static gboolean begin_move(struct failovers *failovers, const char *who, gint64 machine,
                           JsonObject *options, const struct state_failover *after,
                           struct failover_ids *ret_ids, GError **error)
{
    g_autoptr(JsonObject) wanted = options_after(options, after);
    gint64 at_us = time_option(options, "at"), now_us = state_now_us();
    struct state_replication *replication = find_replica(failovers, machine, error);
    g_autofree char *target = replication ? find_target(failovers, options, error) : NULL;
    const struct failover_request request = {
        .kind = STATE_FAILOVER_MIGRATE,
        .who = who,
        .machine = machine,
        .target = target,
        .recovery_point = replication ? replication->last_point : 0,
        .options = wanted,
        .due_us = after ? G_MAXINT64 : first_look_us(at_us, now_us),
        .word = after || at_us > now_us ? NULL : WORD_MIGRATING,
    };
    state_replication_free(replication);
    if (!target || !failovers_begin(failovers, &request, ret_ids, error))
        return FALSE;
    return after || at_us <= now_us || look_ahead(failovers, ret_ids->operation, error);
}

static gboolean begin_rollback(struct failovers *failovers, const char *who,
                               const struct state_failover *move, JsonObject *options,
                               struct failover_ids *ret_ids, GError **error)
{
    const struct failover_request request = {
        .kind = STATE_FAILOVER_ROLLBACK,
        .who = who,
        .machine = move->machine,
        .subject = move,
        .target = move->target,
        .recovery_point = move->recovery_point,
        .options = options,
        .word = WORD_ROLLING_BACK,
    };
    return failovers_begin(failovers, &request, ret_ids, error);
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
    g_autoptr(JsonObject) none = json_object_new();
    struct failover_ids rollback;
    if (move->state == FAILOVER_STUCK && is_on_the_way_back(failovers, move)) {
        gboolean ok = begin_move(failovers, who, move->machine, options, move, ret_ids, error) &&
                      begin_rollback(failovers, who, move, none, &rollback, error);
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
    if (!check_free(failovers, machine, &move, error))
        return FALSE;
    return move ? migrate_again(failovers, who, move, options, ret_ids, error)
                : begin_move(failovers, who, machine, options, NULL, ret_ids, error);
}

FAILOVER_VERB(failover_plan)
{
    struct state_replication *replication = find_replica(failovers, machine, error);
    g_autofree char *target = replication ? find_target(failovers, options, error) : NULL;
    const struct failover_request request = {
        .kind = STATE_FAILOVER_PLAN,
        .who = who,
        .machine = machine,
        .target = target,
        .recovery_point = replication ? replication->last_point : 0,
        .options = options,
    };
    state_replication_free(replication);
    return target && failovers_begin(failovers, &request, ret_ids, error);
}

/* --- the end of a move ---------------------------------------------------------------------------
 */

static gboolean set_no_move(gint64 machine, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall migrate begins one",
                       "machine %" G_GINT64_FORMAT " has no move that stands", machine);
    return FALSE;
}

/* One that stands, or, unless live, is stuck; owned by the caller. */
static struct state_failover *find_move(struct failovers *failovers, gint64 machine, gboolean live,
                                        GError **error)
{
    struct state_failover *move = NULL;
    if (!check_free(failovers, machine, &move, error))
        return NULL;
    if (move && (!live || move->state == FAILOVER_LIVE))
        return move;
    if (move)
        set_conflict(failovers, move, error);
    else
        set_no_move(machine, error);
    state_failover_free(move);
    return NULL;
}

FAILOVER_VERB(failover_rollback)
{
    struct state_failover *move = find_move(failovers, machine, FALSE, error);
    gboolean ok = move && begin_rollback(failovers, who, move, options, ret_ids, error);
    state_failover_free(move);
    return ok;
}

/* A move that copies its disks still is confirmed in memory, too. */
FAILOVER_VERB(failover_confirm)
{
    struct state *state = failovers->state;
    g_autoptr(GPtrArray) moves = list_open(failovers, machine, STATE_FAILOVER_MIGRATE, error);
    g_autofree char *object = g_strdup_printf("machine/%" G_GINT64_FORMAT, machine);
    struct state_failover *move = moves && moves->len > 0 ? moves->pdata[0] : NULL;
    if (!moves)
        return FALSE;
    if (!move || move->state != FAILOVER_LIVE)
        return set_no_move(machine, error);
    struct operation *operation = failovers_find(failovers, move->id);
    if (operation)
        move = operation->failover;
    gint64 due_us = move->due_us;
    if (!state_begin(state, error))
        return FALSE;
    move->due_us = 0;
    gboolean ok = state_failover_save(state, move, error) &&
                  state_audit(state, who, "failover.confirm", object, options, error);
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
    g_autoptr(GPtrArray) tests = list_open(failovers, move->machine, STATE_FAILOVER_TEST, error);
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

FAILOVER_VERB(failover_complete)
{
    struct state_failover *move = find_move(failovers, machine, TRUE, error);
    const struct failover_request request = {
        .kind = STATE_FAILOVER_COMPLETE,
        .who = who,
        .machine = machine,
        .subject = move,
        .target = move ? move->target : NULL,
        .recovery_point = move ? move->recovery_point : 0,
        .options = options,
    };
    gboolean ok = move && check_complete(failovers, move, error) &&
                  failovers_begin(failovers, &request, ret_ids, error);
    state_failover_free(move);
    return ok;
}

FAILOVER_VERB(failover_reverse)
{
    (void)failovers, (void)who, (void)machine, (void)options, (void)ret_ids;
    landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                       "landfall complete, then landfall replicate at the other host",
                       "roles cannot be turned yet");
    return FALSE;
}
