/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/unit/translated.h"

/* --- a machine with BIOS, as it is moved ---------------------------------------------------------
 */

static const struct expectation bios_expected[] = {
    {"/domain/@id", NULL},
    {"/domain/@type", "kvm"},
    {"/domain/name", "web1"},
    {"/domain/uuid", "6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11"},
    {"/domain/title", "The web server"},
    {"/domain/os/type/@machine", "pc-i440fx-7.2"},
    {"/domain/os/boot/@dev", "hd"},
    {"/domain/vcpu/@current", "2"},
    {"//*[local-name()='os' and @id]/@id", "http://debian.org/debian/12"},
    {"//*[namespace-uri()='urn:landfall:machine']/@owner", "12"},
    {"//*[namespace-uri()='urn:landfall:machine']/@store", "0123456789ab"},
    {"//*[namespace-uri()='urn:landfall:machine']/@point", "7"},
    {"//*[namespace-uri()='urn:landfall:machine']/@source", "6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11"},
    {"/domain/devices/emulator", "/usr/bin/qemu-system-x86_64"},
    {"count(/domain/devices/disk)", "3"},
    {"/domain/devices/disk[1]/source/@file", "/srv/m/vda.qcow2"},
    {"/domain/devices/disk[1]/source/@index", NULL},
    {"/domain/devices/disk[1]/driver/@type", "qcow2"},
    {"/domain/devices/disk[1]/driver/@discard", "unmap"},
    {"/domain/devices/disk[1]/source/seclabel/@relabel", "no"},
    {"count(/domain/devices/disk[1]//backingStore)", "3"},
    {"/domain/devices/disk[1]/backingStore/source/@file", "/srv/m/000002.qcow2"},
    {"/domain/devices/disk[1]/backingStore/backingStore/source/@file", "/srv/m/base.raw"},
    {"/domain/devices/disk[1]/backingStore/backingStore/format/@type", "raw"},
    {"count(/domain/devices/disk[1]//source/seclabel[@model='dac'])", "3"},
    {"count(/domain/devices/disk[2]//backingStore)", "0"},
    {"/domain/devices/disk[2]/@type", "file"},
    {"/domain/devices/disk[2]/source/@file", "/srv/m/vdb.raw"},
    {"/domain/devices/disk[2]/source/@dev", NULL},
    {"/domain/devices/disk[2]/driver/@type", "raw"},
    {"/domain/devices/disk[2]/driver/@cache", "none"},
    {"/domain/devices/interface[1]/source/@network", "office"},
    {"/domain/devices/interface[1]/source/@bridge", NULL},
    {"/domain/devices/interface[1]/source/@portid", NULL},
    {"/domain/devices/interface[1]/target", NULL},
    {"/domain/devices/interface[1]/mac/@address", "52:54:00:aa:bb:01"},
    {"/domain/devices/interface[2]/@type", "network"},
    {"/domain/devices/interface[2]/source/@network", "office-2"},
    {"/domain/devices/interface[2]/source/@bridge", NULL},
    {"/domain/devices/interface[2]/model/@type", "e1000e"},
    {"/domain/devices/channel/source/@path", NULL},
    {"/domain/devices/channel/target/@name", "org.qemu.guest_agent.0"},
    {"/domain/devices/channel/target/@state", NULL},
};

static const struct expectation bios_changes[] = {
    {"disk vdb", "info: /dev/vg/data → /srv/m/vdb.raw (raw)"},
    {"network card 52:54:00:aa:bb:02", "info: bridge br0 → network office-2"},
    {"cdrom hda", NULL},
};

static void test_migrate_bios(void)
{
    g_autoptr(JsonObject) networks = json_object_new();
    json_object_set_string_member(networks, "default", "office");
    json_object_set_string_member(networks, "br0", "office-2");
    const struct translate_layer layers[] = {{"/srv/m/000002.qcow2", "qcow2"},
                                             {"/srv/m/base.raw", "raw"}};
    const struct translate_disk disks[] = {
        {.name = "vda",
         .path = "/srv/m/vda.qcow2",
         .layers = layers,
         .layer_count = 2,
         .keep_owner = TRUE},
        {.name = "vdb", .path = "/srv/m/vdb.raw", .format = "raw"}};
    const struct translate_settings settings = {.disks = disks,
                                                .disk_count = 2,
                                                .networks = networks,
                                                .owner = "12",
                                                .kind = "migrate",
                                                .store_id = "0123456789ab",
                                                .recovery_point = 7};
    struct translation *moved = translate_sample("linux", &settings);
    expect(moved, bios_expected, G_N_ELEMENTS(bios_expected));
    expect_changes(moved, bios_changes, G_N_ELEMENTS(bios_changes));
    g_assert_false(moved->blocked);
    g_assert_cmpstr(moved->name, ==, "web1");
    translation_free(moved);
}

/* --- a test beside it ----------------------------------------------------------------------------
 */

static const struct expectation rehearsal_expected[] = {
    {"/domain/name", "host-bound-test"},
    {"/domain/uuid", "00000000-1111-4222-8333-444444444444"},
    {"/domain/sysinfo/system/entry[@name='uuid']", "00000000-1111-4222-8333-444444444444"},
    {"/domain/sysinfo/system/entry[@name='manufacturer']", "Example"},
    {"/domain/genid[.='43dc0cf8-809b-4adb-9bea-a9abb5f3d90e']", NULL},
    {"/domain/metadata/*[local-name()='frozen']", NULL},
    {"/domain/metadata/*[local-name()='note']", "keep me"},
    {"/domain/memory", "512"},
    {"/domain/memory/@unit", "MiB"},
    {"/domain/currentMemory", NULL},
    {"count(/domain/memoryBacking/*)", "0"},
    {"/domain/vcpu", "2"},
    {"/domain/vcpu/@cpuset", NULL},
    {"count(/domain/cputune/*)", "1"},
    {"/domain/cputune/shares", "2048"},
    {"/domain/blkiotune/weight", "500"},
    {"count(/domain/blkiotune/device)", "0"},
    {"count(/domain/numatune | /domain/resource | //seclabel)", "0"},
    {"/domain/os/loader", "/usr/share/OVMF/OVMF_CODE_4M.fd"},
    {"/domain/os/nvram", "/srv/t/nvram.fd"},
    {"/domain/os/nvram/@template", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/domain/cpu/@mode", "host-passthrough"},
    {"/domain/cpu/topology/@cores", "2"},
    {"/domain/features/hyperv/relaxed/@state", "on"},
    /* One disk of the recovery point, one drive, emptied; the rest is not there. */
    {"count(/domain/devices/disk)", "2"},
    {"/domain/devices/disk[1]/source/@file", "/srv/t/vda.qcow2"},
    {"/domain/devices/disk[1]/driver/@iothread", "1"},
    {"/domain/devices/disk[1]/blockio/@physical_block_size", "4096"},
    {"/domain/devices/disk[1]/serial", "DISK-ONE"},
    {"/domain/devices/disk[1]/boot/@order", "2"},
    {"/domain/devices/disk[1]/address/@bus", "0x05"},
    {"/domain/devices/disk[2]/@device", "cdrom"},
    {"/domain/devices/disk[2]/source", NULL},
    {"count(/domain/devices/disk[2]/source)", "0"},
    {"/domain/devices/disk[2]/boot/@order", "3"},
    /* Every card in the network of the test, the one that leads out by itself, too. */
    {"count(/domain/devices/interface)", "4"},
    {"count(/domain/devices/interface[@type='network']/source[@network='isolated'])", "4"},
    {"/domain/devices/interface[1]/mac/@address", "52:54:00:00:00:01"},
    {"/domain/devices/interface[1]/boot/@order", "1"},
    {"/domain/devices/interface[1]/driver/@queues", "2"},
    {"/domain/devices/interface[1]/address/@bus", "0x06"},
    {"count(/domain/devices/interface/*[self::vlan or self::virtualport or self::filterref])", "0"},
    {"/domain/devices/interface[2]/source/@portgroup", NULL},
    {"/domain/devices/interface[3]/source/@mode", NULL},
    {"/domain/devices/interface[4]/mac/@address", "52:54:00:00:00:04"},
    {"count(/domain/devices/hostdev | /domain/devices/filesystem | /domain/devices/shmem)", "0"},
    {"/domain/devices/serial[1]/@type", "pty"},
    {"/domain/devices/serial[1]/log/@file", "/srv/t/console.log"},
    {"/domain/devices/console[1]/log/@file", "/srv/t/console.log"},
    {"/domain/devices/console[1]/@type", "pty"},
    {"/domain/devices/serial[2]/@type", "pty"},
    {"count(/domain/devices/serial[2]/*[self::log or self::protocol or self::source])", "0"},
    {"/domain/devices/channel[1]/source/@path", NULL},
    {"/domain/devices/channel[2]/@type", "spicevmc"},
    {"/domain/devices/tpm/backend/@type", "emulator"},
    {"count(/domain/devices/tpm/backend/device)", "0"},
    {"count(/domain/devices/graphics[@autoport='yes' and @listen='127.0.0.1'])", "2"},
    {"/domain/devices/graphics[@type='vnc']/listen/@address", "127.0.0.1"},
    {"count(/domain/devices/graphics[@port != '-1'])", "0"},
    {"/domain/devices/audio/@type", "none"},
    {"/domain/devices/audio/@serverName", NULL},
    {"/domain/devices/video/model/@type", "qxl"},
    {"/domain/devices/watchdog/@action", "reset"},
    {"/domain/devices/rng/backend", "/dev/urandom"},
    {"/domain/devices/vsock/cid/@auto", "yes"},
    {"/domain/devices/vsock/cid/@address", NULL},
};

static const struct expectation rehearsal_changes[] = {
    {"disk vda", "info: /var/lib/libvirt/images/one.qcow2 → /srv/t/vda.qcow2 (qcow2)"},
    {"disk vdb", "warning: rbd pool/two → -"},
    {"disk vdc", "info: /tmp/swap.raw → -"},
    {"lun sda", "warning: /dev/disk/by-id/scsi-36001405 → -"},
    {"cdrom sdb", "info: /srv/iso/debian.iso → empty"},
    {"device of the host", "warning: pci subsystem 0x0000 0x65 0x00 0x1 → -"},
    {"network card 52:54:00:00:00:05", "warning: a device of the source host → -"},
    {"network card 52:54:00:00:00:04", "info: user user → network isolated"},
    {"TPM", "warning: passthrough → emulator, empty"},
    {"huge pages", "info: hugepages → -"},
    {"UEFI variables", "warning: /var/lib/libvirt/qemu/nvram/host-bound_VARS.fd → /srv/t/nvram.fd"},
    {"memory", "info: 1048576 KiB → 512 MiB"},
    {"graphics", "info: spice 192.0.2.1 5999 → spice 127.0.0.1"},
    {"serial 0", "info: file /var/log/host-bound.log → pty"},
    {"vsock address", "info: 7 → chosen by libvirt"},
};

static void test_rehearsal(void)
{
    const struct translate_disk disks[] = {{.name = "vda", .path = "/srv/t/vda.qcow2"}};
    const char *const excluded[] = {"vdc", NULL};
    struct translate_settings settings = {.purpose = TRANSLATE_TEST,
                                          .name = "host-bound-test",
                                          .disks = disks,
                                          .disk_count = 1,
                                          .uuid = "00000000-1111-4222-8333-444444444444",
                                          .exclude_disks = excluded,
                                          .test_network = "isolated",
                                          .console_log = "/srv/t/console.log",
                                          .memory_mib = 512,
                                          .nvram = "/srv/t/nvram.fd"};
    struct translation *test = translate_sample("host-bound", &settings);
    expect(test, rehearsal_expected, G_N_ELEMENTS(rehearsal_expected));
    expect_changes(test, rehearsal_changes, G_N_ELEMENTS(rehearsal_changes));
    g_assert_false(test->blocked);
    translation_free(test);

    /* In a network with others, nothing may be there twice. */
    settings.new_macs = TRUE;
    test = translate_sample("host-bound", &settings);
    static const struct expectation renewed[] = {{"count(/domain/devices/interface/mac)", "0"}};
    expect(test, renewed, 1);
    translation_free(test);
}

static void test_uefi(void)
{
    const struct translate_disk disks[] = {{.name = "sda", .path = "/m/sda.qcow2"},
                                           {.name = "sdb", .path = "/m/sdb.qcow2"},
                                           {.name = "sdc", .path = "/m/sdc.qcow2"}};
    const struct translate_settings settings = {.disks = disks, .disk_count = 3};
    struct translation *moved = translate_sample("windows", &settings);
    static const struct expectation expected[] = {
        /* The image is there: its variables fit no other. */
        {"/domain/os/@firmware", NULL},
        {"/domain/os/loader", "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"},
        {"/domain/os/loader/@secure", "yes"},
        {"/domain/features/smm/@state", "on"},
        {"/domain/os/nvram", NULL},
        {"/domain/os/nvram/@template", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
        {"/domain/devices/tpm/backend/@version", "2.0"},
        {"/domain/devices/disk[1]/source/encryption", NULL},
        {"/domain/devices/disk[2]/shareable", NULL},
        {"/domain/devices/disk[3]/@device", "disk"},
        {"/domain/devices/disk[3]/target/@bus", "scsi"},
    };
    expect(moved, expected, G_N_ELEMENTS(expected));
    static const struct expectation changes[] = {{"disk sda", "warning: encrypted → -"},
                                                 {"disk sdb", "warning: shared → -"},
                                                 {"lun sdc", "warning: lun → -"}};
    expect_changes(moved, changes, G_N_ELEMENTS(changes));
    g_assert_false(moved->blocked);
    translation_free(moved);
}

/* The same operation asks for the same UUID when it is run again; others get others. */
static void test_uuid(void)
{
    const char *machine = "6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11";
    g_autofree char *first = translate_uuid(machine, "0123456789ab", "1");
    g_autofree char *again = translate_uuid(machine, "0123456789ab", "1");
    g_autofree char *second = translate_uuid(machine, "0123456789ab", "2");
    g_autofree char *other = translate_uuid(machine, "0123456789ac", "1");
    g_assert_true(g_uuid_string_is_valid(first));
    g_assert_cmpstr(first, ==, again);
    g_assert_cmpstr(first, !=, second);
    g_assert_cmpstr(first, !=, other);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/translate/migrate-bios", test_migrate_bios);
    g_test_add_func("/translate/rehearsal", test_rehearsal);
    g_test_add_func("/translate/uefi", test_uefi);
    g_test_add_func("/translate/uuid", test_uuid);
    return g_test_run();
}
