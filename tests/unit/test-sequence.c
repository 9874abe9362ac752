/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/failover/sequence.h: which steps come in which order, forward and back. */

#include "appliance/failover/sequence.h"

#include <string.h>

struct rig {
    struct state_failover failover;
    GPtrArray *journal, *subject, *first;
    gboolean nbd;
};

static void set_up(struct rig *rig, gconstpointer kind)
{
    rig->failover = (struct state_failover){
        .kind = (char *)kind, .state = FAILOVER_RUNNING, .options = json_object_new()};
    rig->journal = g_ptr_array_new_with_free_func((GDestroyNotify)state_failover_step_free);
}

static void tear_down(struct rig *rig, gconstpointer data)
{
    (void)data;
    json_object_unref(rig->failover.options);
    g_ptr_array_unref(rig->journal);
    g_clear_pointer(&rig->subject, g_ptr_array_unref);
    g_clear_pointer(&rig->first, g_ptr_array_unref);
}

static struct sequence_input input_of(const struct rig *rig)
{
    return (struct sequence_input){&rig->failover, rig->nbd, rig->journal, rig->subject,
                                   rig->first};
}

static void write_down(GPtrArray *journal, const char *name, gboolean done)
{
    struct state_failover_step *step = g_new0(struct state_failover_step, 1);
    step->step = g_strdup(name);
    step->begun_us = 5;
    step->result = done ? json_object_new() : NULL;
    g_ptr_array_add(journal, step);
}

/* Does one step after the other, to the end or until one of that name has begun and failed. */
static char *walk(struct rig *rig, const char *fail_at)
{
    g_autoptr(GString) words = g_string_new(NULL);
    const struct sequence_step *step;
    for (;;) {
        const struct sequence_input input = input_of(rig);
        step = sequence_next(&input);
        if (!step)
            break;
        g_string_append_printf(words, "%s%s", words->len ? " " : "", step->name);
        gboolean fails = g_strcmp0(step->name, fail_at) == 0;
        write_down(rig->journal, step->name, !fails);
        if (fails)
            break;
    }
    return g_strdup(words->str);
}

static void assert_walk(struct rig *rig, const char *fail_at, const char *expected)
{
    g_autofree char *words = walk(rig, fail_at);
    g_assert_cmpstr(words, ==, expected);
}

static void test_test(struct rig *rig, gconstpointer data)
{
    (void)data;
    assert_walk(rig, NULL, "pin clone test-network define start watch");
    rig->failover.state = FAILOVER_RETURNING;
    assert_walk(rig, NULL, "stop undefine remove-network remove-clone unpin");
}

#define MOVE "preflight lease passes shutdown final fence pin clone define start watch"

static void test_move(struct rig *rig, gconstpointer data)
{
    (void)data;
    assert_walk(rig, NULL, MOVE);
    /* What stands is not watched again, and has nothing to do. */
    rig->failover.state = FAILOVER_LIVE;
    assert_walk(rig, NULL, "");
}

static void test_nbd(struct rig *rig, gconstpointer data)
{
    (void)data;
    rig->nbd = TRUE;
    assert_walk(rig, "watch",
                "preflight trust lease passes shutdown final fence pin clone serve define start "
                "watch");
    rig->failover.state = FAILOVER_LIVE;
    assert_walk(rig, NULL, "copy");
}

/* What an earlier daemon served may have gone with its machine. */
static void test_serve_again(struct rig *rig, gconstpointer data)
{
    (void)data;
    rig->nbd = TRUE;
    assert_walk(rig, "start",
                "preflight trust lease passes shutdown final fence pin clone serve define start");
    struct sequence_input input = input_of(rig);
    g_assert_cmpstr(sequence_next(&input)->name, ==, "start");
    input.serve_us = 6;
    g_assert_cmpstr(sequence_next(&input)->name, ==, "serve");
    write_down(rig->journal, "serve", TRUE);
    ((struct state_failover_step *)rig->journal->pdata[rig->journal->len - 1])->begun_us = 7;
    g_assert_cmpstr(sequence_next(&input)->name, ==, "start");
    input.serve_only = TRUE;
    g_assert_null(sequence_next(&input));
}

#define HOME                                                                                       \
    "preflight lease catch-up passes shutdown final fence write-back unfence-home start watch"

/* The other is let go only after what it was before has been stopped and fenced again. */
static void test_home(struct rig *rig, gconstpointer data)
{
    static const char *const cases[][2] = {
        {"catch-up", "release"},
        {"final", "unfence start-source release"},
        {"write-back", "unfence start-source release"},
        {"unfence-home", "fence-home unfence start-source release"},
        {"start", "stop fence-home unfence start-source release"},
    };
    (void)data;
    rig->nbd = TRUE; /* nothing is served to it */
    json_object_set_int_member(rig->failover.options, "home", 3);
    assert_walk(rig, NULL, HOME);
    rig->failover.state = FAILOVER_LIVE;
    assert_walk(rig, NULL, "");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_ptr_array_set_size(rig->journal, 0);
        rig->failover.state = FAILOVER_RUNNING;
        g_autofree char *there = walk(rig, cases[i][0]);
        g_assert_true(g_str_has_prefix(HOME, there));
        rig->failover.state = FAILOVER_RETURNING;
        assert_walk(rig, NULL, cases[i][1]);
    }
}

static void test_no_shutdown(struct rig *rig, gconstpointer data)
{
    (void)data;
    json_object_set_boolean_member(rig->failover.options, "shutdown", FALSE);
    assert_walk(rig, NULL, "preflight lease passes pin clone test-network define start watch");
    rig->failover.state = FAILOVER_RETURNING;
    assert_walk(rig, NULL, "stop undefine remove-network remove-clone unpin release");
}

/* Wherever it fails: back goes what has begun, and the source is let go only after what could run
 * at the target has been stopped and is no longer defined. */
static void test_back(struct rig *rig, gconstpointer data)
{
    static const struct {
        const char *fails, *back;
    } cases[] = {
        {"preflight", ""},
        {"lease", "release"},
        {"passes", "release"},
        {"shutdown", "unfence start-source release"},
        {"final", "unfence start-source release"},
        {"fence", "unfence start-source release"},
        {"pin", "unfence start-source unpin release"},
        {"clone", "unfence start-source remove-clone unpin release"},
        {"define", "undefine unfence start-source remove-clone unpin release"},
        {"start", "stop undefine unfence start-source remove-clone unpin release"},
    };
    (void)data;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_ptr_array_set_size(rig->journal, 0);
        rig->failover.state = FAILOVER_RUNNING;
        g_autofree char *there = walk(rig, cases[i].fails);
        g_assert_true(g_str_has_prefix(MOVE, there) && g_str_has_suffix(there, cases[i].fails));
        struct sequence_input input = input_of(rig);
        g_assert_false(sequence_is_undoing(&input));
        rig->failover.state = FAILOVER_RETURNING;
        assert_walk(rig, NULL, cases[i].back);
        g_assert_cmpint(sequence_is_undoing(&input), ==, cases[i].back[0] != '\0');
    }
}

/* A step that was begun when a daemon ended is done again, forward and back. */
static void test_again(struct rig *rig, gconstpointer data)
{
    (void)data;
    g_autofree char *there = walk(rig, "fence");
    assert_walk(rig, "clone", "fence pin clone");
    rig->failover.state = FAILOVER_RETURNING;
    assert_walk(rig, "start-source", "unfence start-source");
    assert_walk(rig, NULL, "start-source remove-clone unpin release");
}

/* What was looked at while it waited for its time does not count when that has come. */
static void test_waited(struct rig *rig, gconstpointer data)
{
    (void)data;
    write_down(rig->journal, "preflight", TRUE);
    rig->failover.started_us = 6;
    const struct sequence_input input = input_of(rig);
    g_assert_cmpstr(sequence_next(&input)->name, ==, "preflight");
}

static GPtrArray *journal_of(const char *words)
{
    g_auto(GStrv) steps = g_strsplit(words, " ", -1);
    GPtrArray *journal = g_ptr_array_new_with_free_func((GDestroyNotify)state_failover_step_free);
    for (guint i = 0; steps[i]; i++)
        write_down(journal, steps[i], TRUE);
    return journal;
}

static void test_rollback(struct rig *rig, gconstpointer data)
{
    (void)data;
    rig->subject = journal_of(MOVE);
    assert_walk(rig, NULL, "stop undefine unfence start-source remove-clone unpin release");
    g_ptr_array_set_size(rig->journal, 0);
    json_object_set_boolean_member(rig->failover.options, "keep_disks", TRUE);
    assert_walk(rig, NULL, "stop undefine unfence start-source release");
}

/* Nothing is done at the target, and its machine is cut off what is served to it first. */
static void test_abandon(struct rig *rig, gconstpointer data)
{
    (void)data;
    rig->subject = journal_of(MOVE " serve");
    json_object_set_boolean_member(rig->failover.options, "abandon_target", TRUE);
    assert_walk(rig, NULL, "abandon unserve unfence start-source remove-clone unpin release");
}

static void test_complete(struct rig *rig, gconstpointer data)
{
    (void)data;
    rig->subject = journal_of(MOVE);
    assert_walk(rig, NULL, "clean-source hand-over unpin release");
}

/* The one of a move home takes away what the first move has made, but for disks of its own. */
static void test_home_for_good(struct rig *rig, gconstpointer data)
{
    (void)data;
    json_object_set_int_member(rig->failover.options, "home", 3);
    rig->subject = journal_of(HOME);
    assert_walk(rig, NULL, "clean-source release");
    rig->first = journal_of(MOVE);
    g_ptr_array_set_size(rig->journal, 0);
    assert_walk(rig, NULL, "clean-source undefine remove-clone unpin release");
    json_object_set_boolean_member(rig->failover.options, "abandon", TRUE);
    g_ptr_array_set_size(rig->journal, 0);
    assert_walk(rig, NULL, "clean-source remove-clone unpin release");
    json_object_set_boolean_member(rig->failover.options, "abandon", FALSE);
    write_down(rig->first, "copy", TRUE);
    g_ptr_array_set_size(rig->journal, 0);
    assert_walk(rig, NULL, "clean-source release");
}

static void test_reverse(struct rig *rig, gconstpointer data)
{
    (void)data;
    rig->subject = journal_of(MOVE " serve copy");
    assert_walk(rig, NULL, "clean-source unserve release");
    rig->nbd = TRUE;
    g_ptr_array_set_size(rig->journal, 0);
    assert_walk(rig, NULL, "clean-source unserve remove-clone unpin release");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, kind, function)                                                                  \
    g_test_add("/sequence/" name, struct rig, kind, set_up, function, tear_down)
    ADD("a test, and back", STATE_FAILOVER_TEST, test_test);
    ADD("F2: a move", STATE_FAILOVER_MIGRATE, test_move);
    ADD("a move to where the store is not seen", STATE_FAILOVER_MIGRATE, test_nbd);
    ADD("F42: what was served is served once more first", STATE_FAILOVER_MIGRATE, test_serve_again);
    ADD("a move home", STATE_FAILOVER_MIGRATE, test_home);
    ADD("a move without a shutdown", STATE_FAILOVER_MIGRATE, test_no_shutdown);
    ADD("F2: back from every step", STATE_FAILOVER_MIGRATE, test_back);
    ADD("F1: a step that had begun comes again", STATE_FAILOVER_MIGRATE, test_again);
    ADD("looked at before its time", STATE_FAILOVER_MIGRATE, test_waited);
    ADD("a rollback", STATE_FAILOVER_ROLLBACK, test_rollback);
    ADD("F28: a rollback without the target", STATE_FAILOVER_ROLLBACK, test_abandon);
    ADD("a completion", STATE_FAILOVER_COMPLETE, test_complete);
    ADD("F19: a completion of a move home", STATE_FAILOVER_COMPLETE, test_home_for_good);
    ADD("F19: a move home that is turned round", STATE_FAILOVER_REVERSE, test_home_for_good);
    ADD("a move that is turned round", STATE_FAILOVER_REVERSE, test_reverse);
    return g_test_run();
}
