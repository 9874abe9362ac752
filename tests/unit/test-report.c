/* SPDX-License-Identifier: Apache-2.0 */

/* F33: the report of an operation has all that was written down about it, and its page shows that
 * and nothing else, whatever hosts and guests have said. */

#include "appliance/failover/report.h"
#include "appliance/state/hosts.h"
#include "appliance/state/machines.h"
#include "base/json.h"
#include "snapshot/xml.h"
#include "tests/unit/state-folder.h"

#include <libxml/HTMLparser.h>

#define HASH "b322b2768034c2c9f1bac01b5eb14c67"
#define HOSTILE "<script>alert(1)</script>&\"'\x1b[31m"

static gint64 add_machine(struct rig *rig)
{
    gboolean fresh;
    g_assert_true(
        state_host_add(rig->state, "root", "alpha", "qemu:///system", "both", &rig->error));
    struct state_machine machine = {.host = (char *)"alpha",
                                    .uuid = (char *)"6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11",
                                    .name = (char *)"web " HOSTILE,
                                    .power = (char *)"running",
                                    .seen_us = 1};
    g_assert_true(state_machine_found(rig->state, &machine, &fresh, &rig->error));
    return machine.id;
}

static gint64 add_operation(struct rig *rig, gint64 machine, const char *kind, gint64 subject)
{
    struct state_failover failover = {.kind = (char *)kind,
                                      .machine = machine,
                                      .subject = subject,
                                      .target = (char *)"beta",
                                      .recovery_point = 7,
                                      .state = FAILOVER_LIVE,
                                      .verdict = (char *)"passed",
                                      .who = (char *)"alice",
                                      .asked_us = 1000000,
                                      .started_us = 2000000};
    failover.options = json_object_new();
    g_assert_true(state_failover_add(rig->state, &failover, &rig->error));
    json_object_unref(failover.options);
    return failover.id;
}

static void add_step(struct rig *rig, gint64 operation, const char *step, const char *result)
{
    gint64 seq;
    g_autoptr(JsonObject) object =
        json_parse_object(result, strlen(result), "a result", LANDFALL_ERROR_INTERNAL, &rig->error);
    g_assert_true(state_failover_step_begin(rig->state, operation, step, &seq, &rig->error));
    g_assert_true(state_failover_step_end(rig->state, operation, seq, object, NULL, &rig->error));
}

/* A move as it is written down, with a rollback after it. */
static struct state_failover *make_move(struct rig *rig)
{
    gint64 machine = add_machine(rig), now_us = g_get_real_time();
    gint64 move = add_operation(rig, machine, STATE_FAILOVER_MIGRATE, 0);
    g_autofree char *shutdown =
        g_strdup_printf("{\"how\": \"agent\", \"off_at_us\": %" G_GINT64_FORMAT "}", now_us);
    g_autofree char *start =
        g_strdup_printf("{\"running_at_us\": %" G_GINT64_FORMAT "}", now_us + 1500000);
    add_step(rig, move, "preflight",
             "{\"checks\": [{\"check\": \"space\", \"verdict\": \"warning\", \"message\": "
             "\"little room\", \"hint\": \"free some\"}]}");
    add_step(rig, move, "passes", "{\"count\": 2, \"sent_bytes\": 4194304}");
    add_step(rig, move, "shutdown", shutdown);
    add_step(rig, move, "final",
             "{\"number\": 7, \"consistency\": \"shutdown\", \"disks\": [{\"name\": \"vda\", "
             "\"size_bytes\": 1073741824, \"mode\": \"bitmap\", \"sent_bytes\": 65536, "
             "\"root_hash\": \"" HASH "\", \"verified\": {\"mode\": \"transferred\", \"bytes\": "
             "65536}}]}");
    add_step(rig, move, "define",
             "{\"domain_name\": \"web\", \"domain_uuid\": \"u\", \"xml\": \"<domain><name>web"
             "</name></domain>\", \"changes\": [{\"what\": \"disk vda\", \"from\": "
             "\"</td><td onclick=x>\", \"to\": \"b\", \"why\": \"the replica\", \"level\": "
             "\"info\"}]}");
    add_step(rig, move, "start", start);
    add_step(
        rig, move, "watch",
        "{\"verdict\": \"passed\", \"checks\": [{\"check\": \"agent\", \"verdict\": \"ok\", "
        "\"message\": \"it answers\", \"ms\": 4200}], \"console\": [\"<script>boot</script>\", "
        "\"\\u001b[1mready\"]}");
    add_step(rig, add_operation(rig, machine, STATE_FAILOVER_ROLLBACK, move), "stop", "{}");
    return state_failover_get(rig->state, move, &rig->error);
}

static void test_json(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state_failover *move = make_move(rig);
    g_autoptr(JsonObject) report = report_make(rig->state, move, &rig->error);
    g_assert_nonnull(report);
    JsonObject *downtime = json_find_object(report, "downtime");
    JsonArray *timeline = json_find_array(report, "timeline"),
              *parts = json_find_array(downtime, "parts");
    JsonObject *last = json_array_get_object_element(timeline, 7);
    JsonObject *disk = json_array_get_object_element(
        json_find_array(json_find_object(report, "data"), "disks"), 0);
    g_assert_cmpuint(json_find_uint(downtime, "ms"), ==, 1500);
    g_assert_cmpuint(json_array_get_length(timeline), ==, 8);
    g_assert_cmpstr(json_find_string(last, "kind"), ==, "rollback");
    g_assert_cmpstr(json_find_string(last, "step"), ==, "stop");
    g_assert_cmpstr(json_find_string(disk, "root_hash"), ==, HASH);
    g_assert_cmpuint(json_array_get_length(json_find_array(report, "checks")), ==, 2);
    g_assert_cmpuint(json_array_get_length(json_find_array(report, "followed_by")), ==, 1);
    guint64 sum_ms = 0;
    for (guint i = 0; i < json_array_get_length(parts); i++)
        sum_ms += json_find_uint(json_array_get_object_element(parts, i), "ms");
    g_assert_cmpuint(sum_ms, >=, 1490); /* each part is rounded down */
    g_assert_cmpuint(sum_ms, <=, 1500);
    state_failover_free(move);
}

static void assert_holds(xmlDocPtr page, const char *xpath)
{
    g_test_message("%s", xpath);
    g_assert_true(snapshot_xml_holds(page, NULL, xpath));
}

static void test_page(struct rig *rig, gconstpointer data)
{
    (void)data;
    static const char png[] = "\x89PNG\r\n\x1a\n not that anybody looks";
    struct state_failover *move = make_move(rig);
    g_autoptr(JsonObject) report = report_make(rig->state, move, &rig->error);
    g_autofree char *screenshot = g_build_filename(rig->folder, "screen.png", NULL);
    g_assert_true(g_file_set_contents(screenshot, png, sizeof(png) - 1, NULL));
    g_autofree char *text = report_page(report, screenshot);
    g_assert_true(g_str_has_prefix(text, "<!DOCTYPE html>"));
    g_autoptr(xmlDoc) page = htmlReadMemory(text, (int)strlen(text), NULL, "UTF-8",
                                            HTML_PARSE_NONET | HTML_PARSE_NOERROR);
    g_assert_nonnull(page);
    /* What was said is text, and text alone. */
    assert_holds(page, "contains(//h1, 'Move of web <script>alert(1)</script>')");
    assert_holds(page, "contains(//pre, '<script>boot</script>')");
    assert_holds(page, "//td[.='</td><td onclick=x>']");
    assert_holds(page, "not(//script) and not(//@onclick) and not(//td[@onclick])");
    g_assert_null(strchr(text, 0x1b));
    /* Nothing of it lies elsewhere. */
    assert_holds(page, "not(//link) and not(//@href) and count(//@src) = 1");
    assert_holds(page, "starts-with(//img/@src, 'data:image/png;base64,') and //img/@alt");
    /* What a reader who does not see it needs. */
    assert_holds(page, "/html/@lang and //title and count(//h1) = 1 and //main");
    assert_holds(page, "not(//th[not(@scope)]) and not(//thead/../self::table[not(caption)])");
    /* What it is about. */
    assert_holds(page, "contains(//p[@class='sum'], 'down for 1.50 s')");
    assert_holds(page, "//td/code[.='" HASH "']");
    assert_holds(page, "//td[contains(., 'transferred, 64.0')]");
    assert_holds(page, "//table[caption]/tbody/tr[td='final' and td='done']");
    assert_holds(page, "//td[.='little room']");
    assert_holds(page, "contains(//details/pre, '<domain><name>web')");
    state_failover_free(move);
}

static void test_plan(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 id = add_operation(rig, add_machine(rig), STATE_FAILOVER_PLAN, 0);
    add_step(rig, id, "plan", "{\"checks\": [{\"check\": \"space\", \"verdict\": \"blocked\"}]}");
    struct state_failover *plan = state_failover_get(rig->state, id, &rig->error);
    g_autoptr(JsonObject) report = report_make(rig->state, plan, &rig->error);
    g_assert_cmpuint(json_array_get_length(json_find_array(report, "checks")), ==, 1);
    state_failover_free(plan);
}

/* One that has only been asked for has a page, too. */
static void test_empty(struct rig *rig, gconstpointer data)
{
    (void)data;
    gint64 id = add_operation(rig, add_machine(rig), STATE_FAILOVER_TEST, 0);
    struct state_failover *test = state_failover_get(rig->state, id, &rig->error);
    g_autoptr(JsonObject) report = report_make(rig->state, test, &rig->error);
    g_autofree char *text = report_page(report, "/nowhere.png");
    g_assert_nonnull(strstr(text, "Test of web"));
    g_assert_null(strstr(text, "<img"));
    state_failover_free(test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/report/json", struct rig, NULL, set_up, test_json, tear_down);
    g_test_add("/report/page", struct rig, NULL, set_up, test_page, tear_down);
    g_test_add("/report/plan", struct rig, NULL, set_up, test_plan, tear_down);
    g_test_add("/report/empty", struct rig, NULL, set_up, test_empty, tear_down);
    return g_test_run();
}
