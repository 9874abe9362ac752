/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/state: targets, operations with their journal, rehearsals. */

#include "appliance/state/failovers.h"
#include "appliance/state/hosts.h"
#include "appliance/state/machines.h"
#include "appliance/state/rehearsals.h"
#include "appliance/state/targets.h"
#include "tests/unit/state-folder.h"

static gint64 add_operation(struct rig *rig, const char *kind, gint64 machine, gint64 subject,
                            enum state_failover_state state)
{
    g_autoptr(JsonObject) options = json_object_new();
    json_object_set_int_member(options, "wait_s", 9);
    struct state_failover failover = {.kind = (char *)kind,
                                      .machine = machine,
                                      .subject = subject,
                                      .job = 3,
                                      .target = (char *)"beta",
                                      .recovery_point = 4,
                                      .state = state,
                                      .who = (char *)"ann",
                                      .options = options,
                                      .asked_us = 10};
    g_assert_true(state_failover_add(rig->state, &failover, &rig->error));
    g_assert_cmpint(failover.id, >, 0);
    return failover.id;
}

static struct state_failover *get(struct rig *rig, gint64 id)
{
    struct state_failover *failover = state_failover_get(rig->state, id, &rig->error);
    g_assert_nonnull(failover);
    return failover;
}

static guint count(struct rig *rig, const struct state_failover_filter *filter)
{
    g_autoptr(GPtrArray) list = state_failover_list(rig->state, filter, &rig->error);
    g_assert_nonnull(list);
    return list->len;
}

/* --- targets -------------------------------------------------------------------------------------
 */

static gboolean set_target(struct rig *rig, const char *host, const char *reach, const char *path,
                           JsonObject *networks)
{
    g_autoptr(JsonObject) machine = json_object_new();
    const struct state_target target = {.host = (char *)host,
                                        .reach = (char *)reach,
                                        .store_path = (char *)path,
                                        .networks = networks,
                                        .machine = machine};
    return state_target_set(rig->state, "ann", &target, &rig->error);
}

static void test_targets(struct rig *rig, gconstpointer data)
{
    g_autoptr(JsonObject) networks = json_object_new();
    (void)data;
    json_object_set_string_member(networks, "br0", "lan");
    g_assert_true(state_host_add(rig->state, "ann", "beta", "qemu:///system", "both", &rig->error));
    assert_refused(set_target(rig, "none", "path", NULL, networks), &rig->error,
                   LANDFALL_ERROR_MISSING);
    assert_refused(set_target(rig, "beta", "mail", NULL, networks), &rig->error,
                   LANDFALL_ERROR_CONFIG);
    assert_refused(set_target(rig, "beta", "path", "here", networks), &rig->error,
                   LANDFALL_ERROR_CONFIG);
    g_assert_true(set_target(rig, "beta", "path", "/mnt/store", networks));
    g_assert_true(set_target(rig, "beta", "nbd", NULL, networks)); /* replaces */
    struct state_target *target = state_target_get(rig->state, "beta", &rig->error);
    g_assert_cmpstr(target->reach, ==, "nbd");
    g_assert_null(target->store_path);
    g_assert_cmpstr(json_object_get_string_member(target->networks, "br0"), ==, "lan");
    state_target_free(target);
    json_object_set_int_member(networks, "br1", 5);
    assert_refused(set_target(rig, "beta", "path", NULL, networks), &rig->error,
                   LANDFALL_ERROR_CONFIG);
    g_autoptr(GPtrArray) targets = state_target_list(rig->state, &rig->error);
    g_assert_cmpuint(targets->len, ==, 1);

    /* What is there because of an operation needs it. */
    gint64 id = add_operation(rig, STATE_FAILOVER_TEST, 7, 0, FAILOVER_LIVE);
    assert_refused(state_target_remove(rig->state, "ann", "beta", &rig->error), &rig->error,
                   LANDFALL_ERROR_CONFLICT);
    struct state_failover *test = get(rig, id);
    test->state = FAILOVER_DONE;
    g_assert_true(state_failover_save(rig->state, test, &rig->error));
    state_failover_free(test);
    g_assert_true(state_target_remove(rig->state, "ann", "beta", &rig->error));
    assert_refused(state_target_get(rig->state, "beta", &rig->error) != NULL, &rig->error,
                   LANDFALL_ERROR_MISSING);
}

/* --- operations ----------------------------------------------------------------------------------
 */

static void test_operations(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 move = add_operation(rig, STATE_FAILOVER_MIGRATE, 7, 0, FAILOVER_LIVE);
    gint64 back = add_operation(rig, STATE_FAILOVER_ROLLBACK, 7, move, FAILOVER_RUNNING);
    add_operation(rig, STATE_FAILOVER_TEST, 8, 0, FAILOVER_FAILED);
    g_assert_cmpuint(count(rig, &(struct state_failover_filter){0}), ==, 3);
    g_assert_cmpuint(count(rig, &(struct state_failover_filter){.machine = 7}), ==, 2);
    g_assert_cmpuint(count(rig, &(struct state_failover_filter){.subject = move}), ==, 1);
    g_assert_cmpuint(count(rig, &(struct state_failover_filter){.open = TRUE}), ==, 2);
    g_assert_cmpuint(count(rig, &(struct state_failover_filter){.kind = "test"}), ==, 1);
    g_assert_cmpuint(count(rig, &(struct state_failover_filter){.before = back}), ==, 1);
    g_assert_cmpuint(count(rig, &(struct state_failover_filter){.limit = 1}), ==, 1);
    for (int state = FAILOVER_WAITING; state <= FAILOVER_CANCELLED; state++) {
        struct state_failover *failover = get(rig, move);
        failover->state = (enum state_failover_state)state;
        g_free(failover->verdict);
        failover->verdict = g_strdup("passed");
        failover->due_us = 20;
        g_assert_true(state_failover_save(rig->state, failover, &rig->error));
        state_failover_free(failover);
        failover = get(rig, move);
        g_assert_cmpint(failover->state, ==, state);
        g_assert_cmpstr(failover->verdict, ==, "passed");
        g_assert_cmpint(failover->due_us, ==, 20);
        g_assert_cmpint(json_object_get_int_member(failover->options, "wait_s"), ==, 9);
        state_failover_free(failover);
    }
    assert_refused(state_failover_get(rig->state, 99, &rig->error) != NULL, &rig->error,
                   LANDFALL_ERROR_MISSING);
}

static void add_step(struct rig *rig, gint64 operation, const char *name, const char *value)
{
    g_autoptr(JsonObject) object = json_object_new();
    gint64 seq;
    json_object_set_string_member(object, "is", value ? value : "an error");
    g_assert_true(state_failover_step_begin(rig->state, operation, name, &seq, &rig->error));
    g_assert_true(state_failover_step_end(rig->state, operation, seq, value ? object : NULL,
                                          value ? NULL : object, &rig->error));
}

static const char *fact(JsonObject *facts, const char *step)
{
    JsonNode *node = json_object_get_member(facts, step);
    return node ? json_object_get_string_member(json_node_get_object(node), "is") : NULL;
}

static void test_journal(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 move = add_operation(rig, STATE_FAILOVER_MIGRATE, 7, 0, FAILOVER_LIVE);
    gint64 back = add_operation(rig, STATE_FAILOVER_ROLLBACK, 7, move, FAILOVER_RUNNING), seq;
    add_step(rig, move, "clone", "old");
    add_step(rig, move, "define", NULL);
    add_step(rig, move, "define", "second");
    add_step(rig, back, "clone", "new");
    g_assert_true(state_failover_step_begin(rig->state, back, "stop", &seq, &rig->error));
    g_assert_cmpint(seq, ==, 2);
    g_autoptr(GPtrArray) journal = state_failover_steps(rig->state, move, &rig->error);
    g_assert_cmpuint(journal->len, ==, 3);
    const struct state_failover_step *failed = journal->pdata[1];
    g_assert_nonnull(failed->error);
    g_assert_null(failed->result);
    g_assert_cmpint(failed->ended_us, >=, failed->begun_us);
    struct state_failover *failover = get(rig, back);
    g_autoptr(JsonObject) facts = state_failover_facts(rig->state, failover, &rig->error);
    g_assert_cmpstr(fact(facts, "define"), ==, "second");
    g_assert_cmpstr(fact(facts, "clone"), ==, "new");
    g_assert_null(fact(facts, "stop"));
    state_failover_free(failover);
}

static void test_evidence(struct rig *rig, gconstpointer data)
{
    gint64 at_us = 1, point = 1;
    (void)data;
    g_assert_true(state_failover_last_passed(rig->state, 7, &at_us, &point, &rig->error));
    g_assert_cmpint(at_us, ==, 0);
    for (int i = 0; i < 2; i++) {
        struct state_failover *test =
            get(rig, add_operation(rig, STATE_FAILOVER_TEST, 7, 0, FAILOVER_DONE));
        test->started_us = 100 + i;
        test->verdict = g_strdup(i == 0 ? "passed" : "failed");
        g_assert_true(state_failover_save(rig->state, test, &rig->error));
        state_failover_free(test);
    }
    g_assert_true(state_failover_last_passed(rig->state, 7, &at_us, &point, &rig->error));
    g_assert_cmpint(at_us, ==, 100);
    g_assert_cmpint(point, ==, 4);
}

static gint64 add_ended(struct rig *rig, const char *kind, gint64 machine, gint64 subject)
{
    gint64 id = add_operation(rig, kind, machine, subject, FAILOVER_DONE);
    struct state_failover *failover = get(rig, id);
    failover->ended_us = 20;
    g_assert_true(state_failover_save(rig->state, failover, &rig->error));
    state_failover_free(failover);
    return id;
}

/* The numbers of those that are left, the newest first, after those that ended before were removed.
 */
static char *left(struct rig *rig, gint64 before_us, guint keep, guint removes)
{
    g_autoptr(GArray) removed = state_failover_prune(rig->state, before_us, keep, &rig->error);
    g_assert_no_error(rig->error);
    g_assert_cmpuint(removed->len, ==, removes);
    const struct state_failover_filter all = {0};
    g_autoptr(GPtrArray) list = state_failover_list(rig->state, &all, &rig->error);
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < list->len; i++)
        g_string_append_printf(text, "%s%" G_GINT64_FORMAT, i ? " " : "",
                               ((const struct state_failover *)list->pdata[i])->id);
    return g_string_free(text, FALSE);
}

static void test_prune(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 undone = add_ended(rig, STATE_FAILOVER_MIGRATE, 7, 0); /* 1 to 4: a move and back */
    add_ended(rig, STATE_FAILOVER_PLAN, 7, undone);
    add_ended(rig, STATE_FAILOVER_ROLLBACK, 7, undone);
    add_ended(rig, STATE_FAILOVER_TEST, 8, 0);
    gint64 stands = add_operation(rig, STATE_FAILOVER_MIGRATE, 7, 0, FAILOVER_LIVE);
    add_ended(rig, STATE_FAILOVER_CHECK, 7, stands); /* 6, 7: of what is open */
    add_ended(rig, STATE_FAILOVER_ROLLBACK, 7, stands);
    add_ended(rig, STATE_FAILOVER_PLAN, 7, 0);
    add_step(rig, undone, "clone", "old");
    g_autofree char *young = left(rig, 20, 100, 0);
    g_assert_cmpstr(young, ==, "8 7 6 5 4 3 2 1");
    g_autofree char *many = left(rig, 0, 4, 3);
    g_assert_cmpstr(many, ==, "8 7 6 5 4");
    g_autoptr(GPtrArray) journal = state_failover_steps(rig->state, undone, &rig->error);
    g_assert_cmpuint(journal->len, ==, 0);
    g_autofree char *old = left(rig, G_MAXINT64, 100, 0);
    g_assert_cmpstr(old, ==, "8 7 6 5 4");
}

/* What later operations, and people, look at. */
static void test_prune_needed(struct rig *rig, gconstpointer data)
{
    (void)data;
    g_autoptr(JsonObject) home = json_object_new();
    struct state_failover *test = get(rig, add_ended(rig, STATE_FAILOVER_TEST, 7, 0));
    test->verdict = g_strdup("passed");
    g_assert_true(state_failover_save(rig->state, test, &rig->error));
    state_failover_free(test);
    add_ended(rig, STATE_FAILOVER_TEST, 7, 0);
    add_ended(rig, STATE_FAILOVER_TEST, 7, 0);
    gint64 moved = add_ended(rig, STATE_FAILOVER_MIGRATE, 7, 0);
    gint64 turned = add_ended(rig, STATE_FAILOVER_REVERSE, 7, moved);
    add_ended(rig, STATE_FAILOVER_MIGRATE, 7, 0);
    add_operation(rig, STATE_FAILOVER_REVERSE, 7, 0, FAILOVER_FAILED);
    json_object_set_int_member(home, "home", turned);
    struct state_failover going = {.kind = (char *)STATE_FAILOVER_MIGRATE,
                                   .machine = 9,
                                   .state = FAILOVER_WAITING,
                                   .who = (char *)"ann",
                                   .options = home};
    g_assert_true(state_failover_add(rig->state, &going, &rig->error));
    add_ended(rig, STATE_FAILOVER_REVERSE, 7, 0); /* a newer way to the same machine */
    g_autofree char *ids = left(rig, G_MAXINT64, 0, 2);
    g_assert_cmpstr(ids, ==, "9 8 6 5 4 3 1");
}

/* --- rehearsals ----------------------------------------------------------------------------------
 */

static void test_rehearsals(struct rig *rig, gconstpointer data)
{
    g_autoptr(JsonObject) plan = json_object_new();
    gboolean fresh;
    (void)data;
    json_object_set_int_member(plan, "interval_days", 7);
    g_assert_true(state_host_add(rig->state, "ann", "beta", "qemu:///system", "both", &rig->error));
    struct state_machine machine = {.host = (char *)"beta",
                                    .uuid = (char *)"u",
                                    .name = (char *)"web",
                                    .power = (char *)"off",
                                    .seen_us = 1};
    g_assert_true(state_machine_found(rig->state, &machine, &fresh, &rig->error));
    struct state_rehearsal rehearsal = {
        .machine = machine.id, .who = (char *)"ann", .plan = plan, .next_us = 50};
    g_assert_true(state_rehearsal_set(rig->state, &rehearsal, &rig->error));
    rehearsal.next_us = 60;
    rehearsal.failover = 5;
    g_assert_true(state_rehearsal_progress(rig->state, &rehearsal, &rig->error));
    g_assert_true(state_rehearsal_set(rig->state, &rehearsal, &rig->error)); /* keeps the latest */
    struct state_rehearsal *known = state_rehearsal_get(rig->state, machine.id, &rig->error);
    g_assert_cmpint(known->next_us, ==, 60);
    g_assert_cmpint(known->failover, ==, 5);
    state_rehearsal_free(known);
    rehearsal.machine = 99;
    assert_refused(state_rehearsal_set(rig->state, &rehearsal, &rig->error), &rig->error,
                   LANDFALL_ERROR_MISSING);
    g_assert_true(state_rehearsal_remove(rig->state, "ann", machine.id, &rig->error));
    assert_refused(state_rehearsal_remove(rig->state, "ann", machine.id, &rig->error), &rig->error,
                   LANDFALL_ERROR_MISSING);
}

static void test_us(struct rig *rig, gconstpointer data)
{
    (void)data;
    g_autofree char *id = state_appliance_id(rig->state, &rig->error);
    g_assert_cmpuint(strlen(id), ==, 16);
    g_autofree char *again = state_appliance_id(rig->state, &rig->error);
    g_assert_cmpstr(id, ==, again);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function)                                                                        \
    g_test_add("/failovers/" name, struct rig, NULL, set_up, function, tear_down)
    ADD("targets", test_targets);
    ADD("operations", test_operations);
    ADD("F1: the journal", test_journal);
    ADD("evidence", test_evidence);
    ADD("prune", test_prune);
    ADD("prune: what is needed", test_prune_needed);
    ADD("rehearsals", test_rehearsals);
    ADD("us", test_us);
    return g_test_run();
}
