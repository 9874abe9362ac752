/* SPDX-License-Identifier: Apache-2.0 */

/* What an operation's end means for others: alerts, and what happens next by itself. */

#include "appliance/failover/failover-private.h"
#include "base/json.h"

#include <string.h>

static void alert(struct operation *operation, const char *kind, const char *what)
{
    const struct state_failover *failover = operation->failover;
    const char *cause = json_find_string(failover->error, "message");
    g_autofree char *message = g_strdup_printf("machine %s: %s: %s", operation->machine_name, what,
                                               cause ? cause : "no reason given");
    alerting_machine(scheduler_alerting(operation->failovers->scheduler), kind, failover->machine,
                     message, json_find_string(failover->error, "hint"));
}

static void well(struct operation *operation, const char *kind)
{
    alerting_machine(scheduler_alerting(operation->failovers->scheduler), kind,
                     operation->failover->machine, NULL, NULL);
}

static void follow_move(struct operation *operation)
{
    const struct state_failover *failover = operation->failover;
    const char *unless = option_text(failover, "rollback_unless", "confirm");
    gboolean probes = failover->due_us && strcmp(unless, "probes") == 0;
    if (failover->error && failover->state != FAILOVER_CANCELLED)
        alert(operation, "migrate-failed",
              failover->state == FAILOVER_FAILED ? "the move failed, and was undone"
                                                 : "the move needs somebody");
    else
        well(operation, "migrate-failed");
    if (failover->state == FAILOVER_LIVE && probes && g_strcmp0(failover->verdict, "failed") == 0)
        failovers_roll_back(operation->failovers, failover);
}

/* Another move may wait for the way to be free. */
static void follow_rollback(struct operation *operation)
{
    gboolean done = operation->failover->state == FAILOVER_DONE;
    if (done) {
        well(operation, "migrate-failed");
        well(operation, "rollback-failed");
        well(operation, "fenced-running");
        abandoned_note(operation->failovers, operation->failover);
    } else {
        alert(operation, "rollback-failed", "the way back failed");
    }
    failovers_wake(operation->failovers, operation->subject, done);
}

static void follow_test(struct operation *operation)
{
    const struct state_failover *failover = operation->failover;
    if (!json_object_has_member(failover->options, "rehearsal"))
        return;
    if (failover->state == FAILOVER_FAILED || failover->state == FAILOVER_STUCK)
        alert(operation, "rehearsal-failed", "the rehearsal failed");
    else
        well(operation, "rehearsal-failed");
}

/* Whether a move that waits for its time could go. */
static void follow_plan(struct operation *operation)
{
    const struct state_failover *failover = operation->failover;
    if (!operation->subject)
        return;
    if (failover->state == FAILOVER_DONE)
        well(operation, "no-go");
    else
        alert(operation, "no-go", "the move that is planned could not go now");
}

static void follow_check(struct operation *operation)
{
    const struct state_failover *failover = operation->failover;
    if (failover->state != FAILOVER_DONE)
        alert(operation, "migrate-failed", "whether it is well at the target cannot be seen");
    else if (g_strcmp0(failover->verdict, "failed") == 0)
        failovers_roll_back(operation->failovers, operation->subject);
}

static void follow_complete(struct operation *operation)
{
    static const char *const kinds[] = {"migrate-failed", "rollback-failed", "fenced-running"};
    if (operation->failover->state != FAILOVER_DONE)
        alert(operation, "migrate-failed", "the move could not be completed");
    else
        for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
            well(operation, kinds[i]);
}

static void log_failure(const struct operation *operation)
{
    const struct state_failover *failover = operation->failover;
    const char *hint = json_find_string(failover->error, "hint");
    if (failover->error)
        g_warning("machine %s: %s (job %" G_GINT64_FORMAT ") failed: %s%s%s",
                  operation->machine_name, failover->kind, failover->job,
                  json_find_string(failover->error, "message"), hint ? "; hint: " : "",
                  hint ? hint : "");
}

void follow_operation(struct operation *operation)
{
    static const struct {
        const char *kind;
        void (*follow)(struct operation *operation);
    } kinds[] = {
        {STATE_FAILOVER_MIGRATE, follow_move}, {STATE_FAILOVER_ROLLBACK, follow_rollback},
        {STATE_FAILOVER_TEST, follow_test},    {STATE_FAILOVER_PLAN, follow_plan},
        {STATE_FAILOVER_CHECK, follow_check},  {STATE_FAILOVER_COMPLETE, follow_complete},
    };
    serving_follow(operation);
    if (operation_serves_again(operation))
        return;
    log_failure(operation);
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (strcmp(kinds[i].kind, operation->failover->kind) == 0)
            kinds[i].follow(operation);
}
