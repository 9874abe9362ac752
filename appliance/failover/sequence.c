/* SPDX-License-Identifier: Apache-2.0 */

/* The order of a move keeps this true at every instant: the source can run only while it is not
 * fenced, and the target is started only after that; back again, the source is let go only after
 * the target's machine has been stopped and its definition removed. */

#include "appliance/failover/sequence.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

enum {
    WITH_SHUTDOWN = 1, /* the source is shut down */
    WITH_NBD = 2,
    WITH_ISOLATION = 4, /* the source runs on, so the copy must not meet it */
    WITH_DROP = 8,      /* what the target wrote is not kept */
    WITH_HOST = 16,     /* the host that it has left is there */
};

static const struct sequence_step test_steps[] = {
    {"trust", .when = WITH_NBD},
    {"pin"},
    {"clone"},
    {"serve", .when = WITH_NBD},
    {"test-network"},
    {"define"},
    {"start"},
    {"watch"},
    {NULL},
};

static const struct sequence_step migrate_steps[] = {
    {"preflight"},
    {"trust", .when = WITH_NBD},
    {"lease"},
    {"passes", .runner = RUN_PASSES},
    {"shutdown", .when = WITH_SHUTDOWN},
    {"final", .runner = RUN_FINAL, .when = WITH_SHUTDOWN},
    {"fence", .when = WITH_SHUTDOWN},
    {"pin"},
    {"clone"},
    {"serve", .when = WITH_NBD},
    {"test-network", .when = WITH_ISOLATION},
    {"define"},
    {"start"},
    {"watch", .live = TRUE},
    {"copy", .when = WITH_NBD},
    {NULL},
};

/* To a host that has what the machine was before: that is brought up to date, first while the
 * machine runs, and let run again. */
static const struct sequence_step home_steps[] = {
    {"preflight"},
    {"lease"},
    {"catch-up"},
    {"passes", .runner = RUN_PASSES},
    {"shutdown"},
    {"final", .runner = RUN_FINAL},
    {"fence"},
    {"write-back"},
    {"unfence-home"},
    {"start"},
    {"watch", .live = TRUE},
    {NULL},
};

static const struct sequence_step plan_steps[] = {{"plan"}, {NULL}};

static const struct sequence_step check_steps[] = {{"watch"}, {NULL}};

/* The way back, of a test as of a move. */
static const struct sequence_step back_steps[] = {
    {"stop", .undoes = "start"},
    {"undefine", .undoes = "define"},
    {"fence-home", .undoes = "unfence-home"},
    {"unfence", .undoes = "shutdown"},
    {"start-source", .undoes = "shutdown"},
    {"unserve", .undoes = "serve"},
    {"remove-copy", .undoes = "copy", .when = WITH_DROP},
    {"remove-network", .undoes = "test-network"},
    {"remove-clone", .undoes = "clone", .when = WITH_DROP},
    {"unpin", .undoes = "pin", .when = WITH_DROP},
    {"release", .undoes = "lease"},
    {NULL},
};

/* The same without a word to the target, which is lost for good. What is served to it is not any
 * more, in case that it is not. */
static const struct sequence_step abandon_steps[] = {
    {"abandon"},
    {"unserve", .undoes = "serve"},
    {"unfence", .undoes = "shutdown"},
    {"start-source", .undoes = "shutdown"},
    {"remove-clone", .undoes = "clone", .when = WITH_DROP},
    {"unpin", .undoes = "pin", .when = WITH_DROP},
    {"release", .undoes = "lease"},
    {NULL},
};

static const struct sequence_step complete_steps[] = {
    {"clean-source"},
    {"hand-over"},
    {"unserve", .undoes = "serve"},
    {"remove-network", .undoes = "test-network"},
    {"remove-clone", .undoes = "clone", .when = WITH_NBD}, /* the target has its own disks */
    {"unpin", .undoes = "pin"},
    {"release", .undoes = "lease"},
    {NULL},
};

/* The pin stays where the machine at the target has its disks over that recovery point. */
static const struct sequence_step reverse_steps[] = {
    {"clean-source"},
    {"unserve", .undoes = "serve"},
    {"remove-clone", .undoes = "clone", .when = WITH_NBD},
    {"unpin", .undoes = "pin", .when = WITH_NBD},
    {"release", .undoes = "lease"},
    {NULL},
};

/* What has gone home has disks of its own, so what was made for it where it comes from goes. */
static const struct sequence_step home_over_steps[] = {
    {"clean-source"},
    {"undefine", .undoes = "define", .when = WITH_HOST, .of_first = TRUE},
    {"remove-clone", .undoes = "clone", .of_first = TRUE},
    {"unpin", .undoes = "pin", .of_first = TRUE},
    {"release", .undoes = "lease"},
    {NULL},
};

static const struct {
    const char *kind;
    const struct sequence_step *steps;
} kinds[] = {
    {STATE_FAILOVER_TEST, test_steps},         {STATE_FAILOVER_MIGRATE, migrate_steps},
    {STATE_FAILOVER_PLAN, plan_steps},         {STATE_FAILOVER_CHECK, check_steps},
    {STATE_FAILOVER_CLEANUP, back_steps},      {STATE_FAILOVER_ROLLBACK, back_steps},
    {STATE_FAILOVER_COMPLETE, complete_steps}, {STATE_FAILOVER_REVERSE, reverse_steps},
};

/* --- options -------------------------------------------------------------------------------------
 */

gint64 option_number(const struct state_failover *failover, const char *name, gint64 otherwise)
{
    guint64 value = (guint64)otherwise;
    json_optional_uint(failover->options, name, LANDFALL_ERROR_CONFIG, &value, NULL);
    return (gint64)value;
}

gboolean option_boolean(const struct state_failover *failover, const char *name, gboolean otherwise)
{
    gboolean value = otherwise;
    json_optional_boolean(failover->options, name, LANDFALL_ERROR_CONFIG, &value, NULL);
    return value;
}

const char *option_text(const struct state_failover *failover, const char *name,
                        const char *otherwise)
{
    const char *value = otherwise;
    json_optional_string(failover->options, name, LANDFALL_ERROR_CONFIG, &value, NULL);
    return value;
}

/* --- the journal ---------------------------------------------------------------------------------
 */

/* What was looked at before the operation began, while it waited for its time, is not part of it.
 */
static gboolean is_in(const GPtrArray *journal, gint64 since_us, const char *name, gboolean done)
{
    for (guint i = 0; journal && i < journal->len; i++) {
        const struct state_failover_step *step = journal->pdata[i];
        if (step->begun_us >= since_us && strcmp(step->step, name) == 0 && (!done || step->result))
            return TRUE;
    }
    return FALSE;
}

gboolean sequence_has_begun(const struct sequence_input *input, const char *step)
{
    return is_in(input->journal, input->failover->started_us, step, FALSE);
}

gboolean sequence_has_done(const struct sequence_input *input, const char *step)
{
    return is_in(input->journal, input->failover->started_us, step, TRUE);
}

gboolean sequence_is_undoing(const struct sequence_input *input)
{
    for (const struct sequence_step *step = back_steps; step->name; step++)
        if (sequence_has_begun(input, step->name))
            return TRUE;
    return FALSE;
}

/* --- what is next --------------------------------------------------------------------------------
 */

static unsigned circumstances(const struct sequence_input *input)
{
    const struct state_failover *failover = input->failover;
    gboolean shutdown = option_boolean(failover, "shutdown", TRUE);
    unsigned with = input->nbd ? WITH_NBD : 0;
    with |= shutdown ? WITH_SHUTDOWN : 0;
    with |= !shutdown && !option_boolean(failover, "network_live", FALSE) ? WITH_ISOLATION : 0;
    with |= option_boolean(failover, "keep_disks", FALSE) ? 0 : WITH_DROP;
    with |= option_boolean(failover, "abandon", FALSE) ? 0 : WITH_HOST;
    return with;
}

static gboolean is_needed(const struct sequence_input *input, const struct sequence_step *step)
{
    if ((step->when & ~circumstances(input)) != 0)
        return FALSE;
    if (step->of_first)
        return is_in(input->first, 0, step->undoes, FALSE) && !is_in(input->first, 0, "copy", TRUE);
    return !step->undoes || is_in(input->subject, 0, step->undoes, FALSE) ||
           sequence_has_begun(input, step->undoes);
}

static const struct sequence_step *steps_of(const struct state_failover *failover)
{
    gboolean home = option_number(failover, "home", 0) > 0;
    if (failover->state == FAILOVER_RETURNING)
        return back_steps;
    if (home && strcmp(failover->kind, STATE_FAILOVER_MIGRATE) == 0)
        return home_steps;
    if (home && (strcmp(failover->kind, STATE_FAILOVER_COMPLETE) == 0 ||
                 strcmp(failover->kind, STATE_FAILOVER_REVERSE) == 0))
        return home_over_steps;
    if (strcmp(failover->kind, STATE_FAILOVER_ROLLBACK) == 0 &&
        option_boolean(failover, "abandon_target", FALSE))
        return abandon_steps;
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (strcmp(kinds[i].kind, failover->kind) == 0)
            return kinds[i].steps;
    return NULL;
}

/* What stands has done all that led there, whatever a look at it said. */
static const struct sequence_step *after_live(const struct sequence_step *step)
{
    while (step && step->name && !step->live)
        step++;
    return step && step->name ? step + 1 : step;
}

static gboolean serves_again(const struct sequence_input *input, const char *step)
{
    return input->serve_us && is_in(input->journal, 0, step, TRUE) &&
           !is_in(input->journal, input->serve_us, step, TRUE);
}

const struct sequence_step *sequence_next(const struct sequence_input *input)
{
    static const struct sequence_step serve = {"serve"};
    const struct sequence_step *step = steps_of(input->failover);
    if (serves_again(input, serve.name))
        return &serve;
    if (input->serve_only)
        return NULL;
    if (input->failover->state == FAILOVER_LIVE)
        step = after_live(step);
    while (step && step->name && (!is_needed(input, step) || sequence_has_done(input, step->name)))
        step++;
    return step && step->name ? step : NULL;
}
