/* SPDX-License-Identifier: Apache-2.0 */

/* Operations as the API shows them. */

#include "appliance/failover/failover-private.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

gboolean failover_is_kind(const char *kind)
{
    static const char *const kinds[] = {
        STATE_FAILOVER_TEST,     STATE_FAILOVER_MIGRATE, STATE_FAILOVER_PLAN,
        STATE_FAILOVER_CLEANUP,  STATE_FAILOVER_CHECK,   STATE_FAILOVER_ROLLBACK,
        STATE_FAILOVER_COMPLETE, STATE_FAILOVER_REVERSE, NULL};
    return g_strv_contains(kinds, kind);
}

/* --- what to type next ---------------------------------------------------------------------------
 */

char *failover_next_command(const struct state_failover *failover, const char *machine_name)
{
    gboolean is_test = strcmp(failover->kind, STATE_FAILOVER_TEST) == 0;
    gboolean is_move = strcmp(failover->kind, STATE_FAILOVER_MIGRATE) == 0;
    if (is_test && (failover->state == FAILOVER_LIVE || failover->state == FAILOVER_STUCK))
        return g_strdup_printf("landfall test-cleanup %s --test %" G_GINT64_FORMAT "", machine_name,
                               failover->id);
    if (is_move && failover->state == FAILOVER_LIVE)
        return g_strdup_printf("landfall rollback %s goes back, landfall complete %s makes it "
                               "final",
                               machine_name, machine_name);
    if (is_move && failover->state == FAILOVER_STUCK)
        return g_strdup_printf("landfall rollback %s, or landfall migrate %s to try again",
                               machine_name, machine_name);
    if (is_move && failover->state == FAILOVER_FAILED)
        return g_strdup_printf("landfall migrate %s", machine_name);
    return NULL;
}

/* --- how long it was down ------------------------------------------------------------------------
 */

static const struct state_failover_step *done_step(const GPtrArray *journal, const char *name)
{
    for (guint i = journal->len; i-- > 0;) {
        const struct state_failover_step *step = journal->pdata[i];
        if (step->result && strcmp(step->step, name) == 0)
            return step;
    }
    return NULL;
}

/* The instant that the step itself has noted, or else when it ended. */
static gint64 instant_of(const struct state_failover_step *step, const char *member)
{
    gint64 at_us = (gint64)json_find_uint(step->result, member);
    return at_us ? at_us : step->ended_us;
}

gint64 failover_downtime_ms(const struct state_failover *failover, const GPtrArray *journal)
{
    const struct state_failover_step *shutdown = done_step(journal, "shutdown");
    const struct state_failover_step *start = done_step(journal, "start");
    if (strcmp(failover->kind, STATE_FAILOVER_MIGRATE) != 0 || !shutdown || !start)
        return 0;
    return MAX(instant_of(start, "running_at_us") - instant_of(shutdown, "off_at_us"), 0) / 1000;
}

/* --- all of it -----------------------------------------------------------------------------------
 */

static const char *state_of_step(const struct state_failover_step *step)
{
    return step->result ? "done" : step->error ? "failed" : "running";
}

static JsonArray *steps_json(const GPtrArray *journal)
{
    JsonArray *steps = json_array_new();
    for (guint i = 0; i < journal->len; i++) {
        const struct state_failover_step *step = journal->pdata[i];
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "step", step->step);
        json_object_set_string_member(object, "state", state_of_step(step));
        json_set_time(object, "started_at", step->begun_us);
        if (step->ended_us)
            json_object_set_int_member(object, "took_ms", (step->ended_us - step->begun_us) / 1000);
        json_set_optional_string(object, "message", json_find_string(step->error, "message"));
        json_array_add_object_element(steps, object);
    }
    return steps;
}

/* What it waits for has a name. */
static const char *due_name(const struct state_failover *failover)
{
    if (failover->state == FAILOVER_WAITING)
        return "at";
    return strcmp(failover->kind, STATE_FAILOVER_TEST) == 0 ? "cleanup_at" : "commit_at";
}

static gint64 due_us(const struct state_failover *failover)
{
    if (failover->due_us == FAILOVER_DUE_AFTER)
        return 0;
    return failover->state == FAILOVER_WAITING ? failovers_planned_us(failover) : failover->due_us;
}

static void set_outcome(JsonObject *object, const struct state_failover *failover,
                        const GPtrArray *journal)
{
    const struct state_failover_step *define = done_step(journal, "define");
    const struct state_failover_step *named = define ? define : done_step(journal, "start");
    const char *domain_name = NULL;
    gint64 downtime_ms = failover_downtime_ms(failover, journal);
    if (named)
        json_optional_string(named->result, "domain_name", LANDFALL_ERROR_SOURCE, &domain_name,
                             NULL);
    json_set_optional_string(object, "domain_name", domain_name);
    json_set_optional_string(object, "verdict", failover->verdict);
    if (downtime_ms)
        json_object_set_int_member(object, "downtime_ms", downtime_ms);
    if (failover->error)
        json_object_set_object_member(object, "error", json_object_ref(failover->error));
}

static JsonObject *to_json(const struct state_failover *failover, const char *machine_name,
                           const GPtrArray *journal)
{
    JsonObject *object = json_object_new();
    const struct state_failover_step *last =
        journal->len > 0 ? journal->pdata[journal->len - 1] : NULL;
    g_autofree char *next = failover_next_command(failover, machine_name);
    json_object_set_int_member(object, "id", failover->id);
    json_object_set_int_member(object, "job", failover->job);
    json_object_set_string_member(object, "kind", failover->kind);
    json_object_set_int_member(object, "machine", failover->machine);
    json_object_set_string_member(object, "machine_name", machine_name);
    if (failover->subject)
        json_object_set_int_member(object, "subject", failover->subject);
    json_set_optional_string(object, "target", failover->target);
    json_object_set_string_member(object, "state", state_failover_word(failover->state));
    if (last && state_failover_is_open(failover->state))
        json_object_set_string_member(object, "step", last->step);
    json_object_set_string_member(object, "who", failover->who);
    if (failover->recovery_point)
        json_object_set_int_member(object, "recovery_point", failover->recovery_point);
    json_set_time(object, "asked_at", failover->asked_us);
    json_set_time(object, "started_at", failover->started_us);
    json_set_time(object, "ended_at", failover->ended_us);
    json_set_time(object, due_name(failover), due_us(failover));
    json_object_set_object_member(object, "options", json_object_ref(failover->options));
    json_object_set_array_member(object, "steps", steps_json(journal));
    set_outcome(object, failover, journal);
    json_set_optional_string(object, "next", next);
    return object;
}

JsonObject *failover_to_json(struct failovers *failovers, const struct state_failover *failover,
                             GError **error)
{
    g_autoptr(GPtrArray) journal = state_failover_steps(failovers->state, failover->id, error);
    if (!journal)
        return NULL;
    struct state_machine *machine = state_machine_get(failovers->state, failover->machine, NULL);
    JsonObject *object = to_json(failover, machine ? machine->name : "?", journal);
    state_machine_free(machine);
    return object;
}

char *failover_screenshot(struct failovers *failovers, const struct state_failover *failover,
                          GError **error)
{
    g_autofree char *path = failover_evidence_path(failovers, failover->id);
    if (g_file_test(path, G_FILE_TEST_EXISTS))
        return g_steal_pointer(&path);
    landfall_error_set(error, LANDFALL_ERROR_MISSING, NULL,
                       "operation %" G_GINT64_FORMAT " has no screenshot", failover->id);
    return NULL;
}
