/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/work.c: what a cycle is to do comes through JSON unchanged; what is wrong is named. */

#include "base/error.h"
#include "base/json.h"
#include "replicator/work.h"

#include <string.h>

static const char whole[] =
    "{\"version\":1,\"store\":\"/"
    "s\",\"machine\":\"m1\",\"machine_name\":\"Web\",\"describe\":{\"a\":[1]},"
    "\"consistency\":\"shutdown\",\"checkpoint\":\"c2\",\"bitmap_since\":\"c1\",\"bandwidth\":"
    "5000000000,"
    "\"retain\":4,\"audit_blocks\":0,\"reconnect_seconds\":7,\"full_scan\":true,\"confirm\":true,"
    "\"verify\":\"full\","
    "\"disks\":[{\"name\":\"vda\",\"uri\":\"nbd://h/x\","
    "\"command\":[\"ssh\",\"h\"],\"bitmap\":\"qemu:dirty-bitmap:b\",\"demotion_cause\":\"c\","
    "\"demotion_detail\":\"d\"},{\"name\":\"vdb\",\"uri\":\"nbd+unix:///?socket=/s\"}]}";

static struct work *parse(const char *text, GError **error)
{
    return work_parse(text, strlen(text), error);
}

static void test_round_trip(void)
{
    g_autoptr(GError) error = NULL;
    struct work *work = parse(whole, &error);
    g_assert_no_error(error);
    g_assert_true(work_check(work, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(work->store, ==, "/s");
    g_assert_cmpstr(work->bitmap_since, ==, "c1");
    g_assert_cmpuint(work->bandwidth, ==, 5000000000);
    g_assert_cmpuint(work->retain, ==, 4);
    g_assert_cmpuint(work->audit_blocks, ==, 0);
    g_assert_cmpuint(work->reconnect_seconds, ==, 7);
    g_assert_true(work->full_scan);
    g_assert_true(work->confirm);
    g_assert_cmpint(work->verify, ==, VERIFY_FULL);
    g_assert_cmpstr(work_find_disk(work, "vda")->source.command[1], ==, "h");
    g_assert_null(work_find_disk(work, "vdb")->source.command);
    g_assert_null(work_find_disk(work, "vdc"));
    g_autoptr(JsonObject) object = work_to_json(work);
    g_autofree char *text = json_object_to_text(object, FALSE);
    g_assert_cmpstr(text, ==, whole);
    work_free(work);
    work_free(NULL);
}

static void test_defaults(void)
{
    g_autoptr(GError) error = NULL;
    struct work *work = parse("{\"version\":1,\"store\":\"s\",\"machine\":\"m\",\"retain\":null,"
                              "\"disks\":[{\"name\":\"a\",\"uri\":\"nbd://h\"}]}",
                              &error);
    g_assert_no_error(error);
    g_assert_true(work_check(work, &error));
    g_assert_cmpstr(work->consistency, ==, "crash");
    g_assert_cmpuint(work->audit_blocks, ==, WORK_AUDIT_BLOCKS);
    g_assert_cmpuint(work->retain, ==, 0);
    g_assert_false(work->full_scan);
    work_free(work);
}

/* One change each: text, what becomes of it, a word of the message. */
static void test_refused(void)
{
    static const char *const changes[][3] = {
        {"\"version\":1", "\"version\":2", "version 2"},
        {"\"verify\":\"full\"", "\"verify\":\"some\"", "'verify'"},
        {"\"version\":1,", "", "version"},
        {"\"store\":\"/s\"", "\"store\":1", "store"},
        {"\"store\":\"/s\",", "", "store"},
        {"\"machine\":\"m1\",", "", "machine"},
        {"\"machine\":\"m1\"", "\"machine\":\"../m1\"", "../m1"},
        {"\"machine\":\"m1\"", "\"machine\":\"\"", "name of a machine"},
        {"\"describe\":{\"a\":[1]}", "\"describe\":[]", "describe"},
        {"shutdown", "soft", "soft"},
        {"5000000000", "-1", "bandwidth"},
        {"5000000000", "1.5", "bandwidth"},
        {"\"retain\":4", "\"retain\":4294967296", "retain"},
        {"\"full_scan\":true", "\"full_scan\":1", "full_scan"},
        {"[\"ssh\",\"h\"]", "\"ssh\"", "command"},
        {"[\"ssh\",\"h\"]", "[1]", "command"},
        {"[\"ssh\",\"h\"]", "[]", "command"},
        {"\"name\":\"vda\"", "\"name\":\"..\"", ".."},
        {"\"name\":\"vda\"", "\"name\":\"vdb\"", "vdb"},
        {"\"name\":\"vda\",", "", "name"},
        {"nbd://h/x", "http://h/x", "http://h/x"},
        {"nbd://h/x", "", "NBD URI"},
        {"\"uri\":\"nbd://h/x\",", "", "uri"},
        {"}]}", "}]", "JSON"},
        {"{\"version\"", "[{\"version\"", "JSON"},
        {"\"Web\"", "\"\xff\"", "UTF-8"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) parts = g_strsplit(whole, changes[i][0], 2);
        g_assert_nonnull(parts[1]);
        g_autofree char *text = g_strjoinv(changes[i][1], parts);
        g_test_message("%s", changes[i][1]);
        struct work *work = parse(text, &error);
        g_assert_false(work && work_check(work, &error));
        g_assert_cmpint((gint)error->domain, ==, (gint)LANDFALL_ERROR);
        g_assert_nonnull(strstr(error->message, changes[i][2]));
        work_free(work);
    }
}

static void test_disk_count(void)
{
    g_autoptr(GError) error = NULL;
    struct work *work = work_new();
    work->store = g_strdup("s");
    work->machine = g_strdup("m");
    g_assert_false(work_check(work, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    g_clear_error(&error);
    for (guint i = 0; i < 257; i++) {
        g_autofree char *name = g_strdup_printf("vd%u", i);
        work_add_disk(work, name)->source.uri = g_strdup("nbd://h");
        g_assert_cmpint(work_check(work, i < 256 ? NULL : &error), ==, i < 256);
    }
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    work_free(work);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/work-json/round-trip", test_round_trip);
    g_test_add_func("/work-json/defaults", test_defaults);
    g_test_add_func("/work-json/refused", test_refused);
    g_test_add_func("/work-json/disk-count", test_disk_count);
    return g_test_run();
}
