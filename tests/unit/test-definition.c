/* SPDX-License-Identifier: Apache-2.0 */

#include "base/error.h"
#include "snapshot/definition.h"

static JsonObject *facts_of(const char *name)
{
    g_autofree char *path = g_strdup_printf("tests/unit/domains/%s.xml", name);
    g_autofree char *xml = NULL;
    g_autoptr(GError) error = NULL;
    g_file_get_contents(path, &xml, NULL, &error);
    g_assert_no_error(error);
    JsonObject *facts = snapshot_definition_facts(xml, &error);
    g_assert_no_error(error);
    return facts;
}

/* The value at a path such as "$.disks[0].name", as text; "-" when there is none. */
static char *at(JsonObject *facts, const char *path)
{
    g_autoptr(JsonNode) root = json_node_alloc();
    json_node_init_object(root, facts);
    g_autoptr(JsonNode) found = json_path_query(path, root, NULL);
    JsonArray *matches = json_node_get_array(found);
    if (json_array_get_length(matches) != 1)
        return g_strdup("-");
    JsonNode *value = json_array_get_element(matches, 0);
    return JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_STRING
               ? json_node_dup_string(value)
               : json_to_string(value, FALSE);
}

struct expectation {
    const char *path;
    const char *value;
};

static void expect(const char *name, const struct expectation *expected, gsize count)
{
    g_autoptr(JsonObject) facts = facts_of(name);
    for (gsize i = 0; i < count; i++) {
        g_autofree char *value = at(facts, expected[i].path);
        g_test_message("%s: %s", name, expected[i].path);
        g_assert_cmpstr(value, ==, expected[i].value);
    }
}

static void test_linux(void)
{
    static const struct expectation expected[] = {
        {"$.name", "web1"},
        {"$.title", "The web server"},
        {"$.os", "http://debian.org/debian/12"},
        {"$.type", "kvm"},
        {"$.machine_type", "pc-i440fx-7.2"},
        {"$.firmware", "bios"},
        {"$.secure_boot", "false"},
        {"$.memory_bytes", "2147483648"},
        {"$.cpus", "4"},
        {"$.cpu_model", "Skylake-Server-IBRS"},
        {"$.disks[0].source", "/var/lib/libvirt/images/web1-2.qcow2"},
        {"$.disks[0].chain",
         "[\"/var/lib/libvirt/images/web1-2.qcow2\","
         "\"/var/lib/libvirt/images/web1.qcow2\",\"/srv/templates/debian.raw\"]"},
        {"$.disks[0].folder", "/var/lib/libvirt/images"},
        {"$.disks[0].bus", "virtio"},
        {"$.disks[0].bitmap", "true"},
        {"$.disks[1].type", "block"},
        {"$.disks[1].source", "/dev/vg/data"},
        {"$.disks[1].bitmap", "false"},
        {"$.disks[1].no_bitmap_cause", "format-without-bitmaps"},
        {"$.disks[1].supported", "true"},
        {"$.disks[2].device", "cdrom"},
        {"$.disks[2].removable", "true"},
        {"$.disks[2].supported", "false"},
        {"$.nics[0].mac", "52:54:00:aa:bb:01"},
        {"$.nics[0].source", "default"},
        {"$.nics[0].model", "virtio"},
        {"$.nics[1].source", "br0"},
        {"$.passthrough", "[]"},
        {"$.tpm", "-"},
        {"$.agent.connected", "true"},
    };
    expect("linux", expected, G_N_ELEMENTS(expected));
}

static void test_windows(void)
{
    static const struct expectation expected[] = {
        {"$.title", "-"},
        {"$.firmware", "uefi"},
        {"$.secure_boot", "true"},
        {"$.memory_bytes", "8589934592"},
        {"$.cpu_mode", "host-passthrough"},
        {"$.disks[0].encrypted", "true"},
        {"$.disks[1].source", "rbd:pool/erp-data"},
        {"$.disks[1].shareable", "true"},
        {"$.disks[1].supported", "false"},
        {"$.disks[1].removable", "false"},
        {"$.disks[2].device", "lun"},
        {"$.shared_folders[0].source", "/srv/erp"},
        {"$.shared_folders[0].driver", "virtiofs"},
        {"$.passthrough[0].kind", "pci"},
        {"$.passthrough[0].what", "0000:65:00.1"},
        {"$.passthrough[1].kind", "usb"},
        {"$.passthrough[1].what", "0x0529 0x0001"},
        {"$.passthrough[2].kind", "pci"},
        {"$.passthrough[2].what", "0000:3b:02.0"},
        {"$.tpm.version", "2.0"},
        {"$.agent.channel", "true"},
        {"$.agent.connected", "false"},
    };
    expect("windows", expected, G_N_ELEMENTS(expected));
}

static void test_nothing(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(snapshot_definition_facts("no XML", &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_SOURCE);
    g_autoptr(JsonObject) facts =
        snapshot_definition_facts("<domain><memory unit='TiB'>99999999999</memory>"
                                  "<vcpu>many</vcpu></domain>",
                                  NULL);
    g_autofree char *memory = at(facts, "$.memory_bytes"), *cpus = at(facts, "$.cpus");
    g_assert_cmpstr(memory, ==, "-");
    g_assert_cmpstr(cpus, ==, "-");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/definition/A23: a Linux guest that runs", test_linux);
    g_test_add_func("/definition/A23: a Windows machine that is off", test_windows);
    g_test_add_func("/definition/next to nothing", test_nothing);
    return g_test_run();
}
