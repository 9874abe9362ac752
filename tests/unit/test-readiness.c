/* SPDX-License-Identifier: Apache-2.0 */

#include "appliance/inventory/facts.h"
#include "appliance/inventory/readiness.h"
#include "base/error.h"
#include "base/json.h"
#include "snapshot/definition.h"

#include <string.h>

#define GIB (1024ULL * 1024 * 1024)

static JsonObject *object(const char *text)
{
    g_autoptr(GError) error = NULL;
    JsonObject *parsed =
        json_parse_object(text, strlen(text), "text", LANDFALL_ERROR_CONFIG, &error);
    g_assert_no_error(error);
    return parsed;
}

/* Of a definition, as the inventory has them once QEMU has answered. */
static JsonObject *facts_of(const char *name, const char *sizes, const char *usage)
{
    g_autofree char *path = g_strdup_printf("tests/unit/domains/%s.xml", name);
    g_autofree char *xml = NULL;
    g_assert_true(g_file_get_contents(path, &xml, NULL, NULL));
    JsonObject *facts = snapshot_definition_facts(xml, NULL);
    json_object_set_boolean_member(facts, "persistent", TRUE);
    json_object_set_object_member(facts, "usage", json_object_new());
    g_autoptr(JsonObject) capacities = object(sizes), volatile_part = object(usage);
    const struct guest_answer answer = {.facts = capacities, .usage = volatile_part};
    facts_add_sizes(facts, &answer);
    return facts;
}

static JsonObject *linux_facts(void)
{
    return facts_of("linux", "{\"vda\": 21474836480, \"vdb\": 10737418240}",
                    "{\"disks\": {\"vda\": {\"allocation_bytes\": 5368709120}},"
                    " \"folders\": {\"/var/lib/libvirt/images\": {\"free_bytes\": 53687091200}}}");
}

static const struct readiness_store roomy = {
    .name = "main", .id = "0123456789ab", .free_bytes = 1000 * GIB};

static struct readiness_input input_of(JsonObject *facts)
{
    return (struct readiness_input){
        .host = "a",
        .host_status = "connected",
        .name = "web1",
        .uuid = "6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11",
        .power = "running",
        .facts = facts,
        .store = &roomy,
    };
}

/* "check verdict" of all that is not ok, one a line. */
static char *findings(const struct readiness_input *input, gboolean ready)
{
    g_autoptr(JsonObject) result = readiness_judge(input);
    JsonArray *checks = json_object_get_array_member(result, "checks");
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < json_array_get_length(checks); i++) {
        JsonObject *check = json_array_get_object_element(checks, i);
        const char *verdict = json_object_get_string_member(check, "verdict");
        g_test_message("%s %s: %s", json_object_get_string_member(check, "check"), verdict,
                       json_object_get_string_member(check, "message"));
        if (strcmp(verdict, "ok") != 0)
            g_string_append_printf(text, "%s %s\n", json_object_get_string_member(check, "check"),
                                   verdict);
    }
    g_assert_cmpint(json_object_get_boolean_member(result, "ready"), ==, ready);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void expect(const struct readiness_input *input, gboolean ready, const char *expected)
{
    g_autofree char *found = findings(input, ready);
    g_assert_cmpstr(found, ==, expected);
}

static void test_usual(void)
{
    g_autoptr(JsonObject) facts = linux_facts();
    struct readiness_input input = input_of(facts);
    expect(&input, TRUE, "bitmaps warning\n");
}

static void test_all_at_once(void)
{
    g_autoptr(JsonObject) facts = facts_of("windows", "{\"sda\": 1073741824}", "{}");
    struct readiness_input input = input_of(facts);
    expect(
        &input, FALSE,
        "disks blocked\ndisks blocked\ndisks warning\ndevices warning\ndevices warning\n"
        "devices warning\ndevices warning\ndevices warning\ndevices warning\nfreezing warning\n");
    const char *excluded[] = {"sdb", "sdc", NULL};
    input.exclude_disks = excluded;
    input.power = "off";
    expect(&input, TRUE,
           "disks warning\ndevices warning\ndevices warning\ndevices warning\ndevices warning\n"
           "devices warning\ndevices warning\n");
    const char *all[] = {"sda", "sdb", "sdc", NULL};
    input.exclude_disks = all;
    g_autofree char *found = findings(&input, FALSE);
    g_assert_true(g_str_has_prefix(found, "disks blocked\n"));
}

static void test_host_and_machine(void)
{
    g_autoptr(JsonObject) facts = linux_facts();
    struct readiness_input input = input_of(facts);
    input.host_status = "lost";
    input.gone = TRUE;
    expect(&input, FALSE, "host blocked\nmachine blocked\nbitmaps warning\n");

    input = input_of(facts);
    input.host_status = "unknown";
    json_object_set_boolean_member(facts, "persistent", FALSE);
    json_object_set_string_member(facts, "unresponsive", "no answer");
    expect(&input, FALSE, "host warning\nmachine blocked\nmachine warning\nbitmaps warning\n");

    g_autoptr(JsonObject) esx = linux_facts();
    input = input_of(esx);
    json_object_set_object_member(esx, "replication",
                                  object("{\"supported\": false, \"why\": \"it is ESX\"}"));
    json_object_set_boolean_member(esx, "managed_save", TRUE);
    expect(&input, FALSE, "host blocked\nbitmaps warning\n");
    input.power = "off";
    expect(&input, FALSE, "host blocked\nmachine blocked\nbitmaps warning\n");

    input = input_of(NULL);
    g_autofree char *found = findings(&input, FALSE);
    g_assert_true(g_str_has_prefix(found, "machine blocked\n"));
}

static void test_checkpoints(void)
{
    g_autoptr(JsonObject) facts = linux_facts();
    struct readiness_input input = input_of(facts);
    g_autoptr(JsonObject) more =
        object("{\"others\": [\"nightly\"], \"snapshots\": [\"before upgrade\"],"
               " \"same\": [{\"name\": \"x\", \"store\": \"0123456789ab\"}],"
               " \"another\": [{\"name\": \"x\", \"store\": \"ba9876543210\"}]}");
    JsonObject *usage = json_object_get_object_member(facts, "usage");
    json_object_set_member(usage, "checkpoints", json_object_dup_member(more, "same"));
    expect(&input, TRUE, "bitmaps warning\n");
    json_object_set_member(usage, "checkpoints", json_object_dup_member(more, "another"));
    expect(&input, FALSE, "bitmaps warning\ncheckpoints blocked\n");
    json_object_remove_member(usage, "checkpoints");
    json_object_set_member(facts, "checkpoints", json_object_dup_member(more, "others"));
    json_object_set_member(facts, "snapshots", json_object_dup_member(more, "snapshots"));
    expect(&input, FALSE, "bitmaps warning\ncheckpoints blocked\nsnapshots warning\n");
}

/* vda: 20 GiB, of which 5 are there; a tenth is 2 GiB. vdb: 10 GiB on a device. */
static void test_room(void)
{
    g_autoptr(JsonObject) facts = linux_facts();
    struct readiness_input input = input_of(facts);
    JsonObject *folders =
        json_object_get_object_member(json_object_get_object_member(facts, "usage"), "folders");
    JsonObject *images = json_object_get_object_member(folders, "/var/lib/libvirt/images");
    json_object_set_int_member(images, "free_bytes", (gint64)(2 * GIB));
    expect(&input, TRUE, "bitmaps warning\n");
    json_object_set_int_member(images, "free_bytes", (gint64)(2 * GIB - 1));
    expect(&input, TRUE, "bitmaps warning\nscratch-space warning\n");
    json_object_set_int_member(images, "free_bytes", 1000);
    expect(&input, FALSE, "bitmaps warning\nscratch-space blocked\n");
    json_object_remove_member(folders, "/var/lib/libvirt/images");
    expect(&input, TRUE, "bitmaps warning\n");

    struct readiness_store store = roomy;
    input.store = &store;
    store.free_bytes = 30 * GIB;
    expect(&input, TRUE, "bitmaps warning\n");
    store.free_bytes = 30 * GIB - 1;
    expect(&input, TRUE, "bitmaps warning\nstore warning\n");
    store.free_bytes = 15 * GIB - 1;
    expect(&input, FALSE, "bitmaps warning\nstore blocked\n");
    store.has_copy = TRUE;
    expect(&input, TRUE, "bitmaps warning\n");
    store.free_bytes = GIB;
    expect(&input, TRUE, "bitmaps warning\nstore warning\n");
    store.problem = "it is not there";
    expect(&input, FALSE, "bitmaps warning\nstore blocked\n");
    input.store = NULL;
    expect(&input, FALSE, "bitmaps warning\nstore blocked\n");
}

static void test_freezing(void)
{
    g_autoptr(JsonObject) facts = linux_facts();
    struct readiness_input input = input_of(facts);
    JsonObject *agent = json_object_get_object_member(facts, "agent");
    json_object_set_string_member(agent, "problem", "no answer");
    expect(&input, TRUE, "bitmaps warning\nfreezing warning\n");
    json_object_set_boolean_member(agent, "connected", FALSE);
    expect(&input, TRUE, "bitmaps warning\nfreezing warning\n");
    input.power = "off";
    expect(&input, TRUE, "bitmaps warning\n");
}

static void test_target(void)
{
    g_autoptr(JsonObject)
        facts = linux_facts(),
        nic = object("{\"nics\": [{\"mac\": \"52:54:00:AA:BB:02\"}, {\"type\": \"user\"}]}");
    struct readiness_input input = input_of(facts);
    const struct readiness_other others[] = {
        {"b", "web1", "other", NULL},
        {"b", "web1", input.uuid, facts},
        {"b", "mail", "another", nic},
        {"b", "db", "third", facts},
    };
    input.others = others;
    input.other_count = 1;
    expect(&input, TRUE, "bitmaps warning\ntarget warning\n");
    input.other_count = 3;
    expect(&input, TRUE, "bitmaps warning\ntarget warning\ntarget warning\ntarget warning\n");
    input.others = others + 3;
    input.other_count = 1;
    expect(&input, TRUE, "bitmaps warning\ntarget warning\ntarget warning\n");
}

/* --- facts, over time ----------------------------------------------------------------------------
 */

static gboolean facts_same(JsonObject *one, JsonObject *other)
{
    g_autofree char *first = facts_lasting_text(one), *second = facts_lasting_text(other);
    return strcmp(first, second) == 0;
}

static void test_carry_over(void)
{
    g_autoptr(JsonObject) before = linux_facts();
    g_autoptr(JsonObject) report = object("{\"hostname\": \"web1\"}");
    const struct guest_answer answer = {.facts = report};
    facts_add_agent(before, &answer);
    g_autoptr(JsonObject) fresh = facts_of("linux", "{}", "{}");
    g_assert_false(facts_same(before, fresh));
    facts_carry_over(fresh, before);
    g_assert_true(facts_same(before, fresh));

    g_autoptr(JsonObject) copy = facts_copy(before);
    json_object_set_int_member(json_object_get_object_member(copy, "usage"), "anything", 1);
    g_assert_true(facts_same(before, copy));
    facts_add_unresponsive(copy, "no answer");
    g_assert_false(facts_same(before, copy));
    facts_add_unresponsive(copy, NULL);
    g_assert_true(facts_same(before, copy));
}

/* Another image in the same place of the machine: its size is not known yet. */
static void test_another_image(void)
{
    g_autoptr(JsonObject) before = linux_facts(), fresh = facts_of("linux", "{}", "{}");
    JsonObject *disk =
        json_array_get_object_element(json_object_get_array_member(fresh, "disks"), 0);
    json_object_set_string_member(disk, "source", "/elsewhere.qcow2");
    facts_carry_over(fresh, before);
    g_assert_false(json_object_has_member(disk, "capacity_bytes"));
    disk = json_array_get_object_element(json_object_get_array_member(fresh, "disks"), 1);
    g_assert_cmpint(json_object_get_int_member(disk, "capacity_bytes"), ==, (gint64)(10 * GIB));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/readiness/A26: the usual", test_usual);
    g_test_add_func("/readiness/A26: all that can stand in the way", test_all_at_once);
    g_test_add_func("/readiness/A26: host and machine", test_host_and_machine);
    g_test_add_func("/readiness/A26: checkpoints and snapshots", test_checkpoints);
    g_test_add_func("/readiness/A26: room on the host and in the store", test_room);
    g_test_add_func("/readiness/A26: freezing", test_freezing);
    g_test_add_func("/readiness/A26: names and addresses on the target", test_target);
    g_test_add_func("/facts/A24: what is known is kept", test_carry_over);
    g_test_add_func("/facts/A24: another image", test_another_image);
    return g_test_run();
}
