/* SPDX-License-Identifier: Apache-2.0 */

#include "appliance/steps/translate.h"
#include "base/error.h"
#include "snapshot/xml.h"

static char *read_file(const char *folder, const char *name)
{
    g_autofree char *path = g_strdup_printf("tests/unit/%s/%s.xml", folder, name);
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

/* The target is the one in tests/unit/targets/, whose libvirt was asked for both kinds of machine;
 * less what this expression finds there. */
static const char *lacks = NULL;

static char *read_target(const char *name)
{
    g_autofree char *text = read_file("targets", name);
    if (!lacks)
        return g_steal_pointer(&text);
    g_autoptr(GRegex) regex = g_regex_new(lacks, 0, 0, NULL);
    return g_regex_replace_literal(regex, text, -1, 0, "", 0, NULL);
}

static struct translation *translate(const char *domain_xml,
                                     const struct translate_settings *settings)
{
    g_autoptr(GError) error = NULL;
    struct translate_choice choice = {NULL};
    g_autofree char *capabilities = read_target("capabilities");
    translate_choose(domain_xml, capabilities, settings, &choice, &error);
    g_assert_no_error(error);
    g_autofree char *name = g_strdup_printf(
        "%s-%s", strstr(choice.machine_type, "q35") ? "q35" : "pc", choice.domain_type);
    g_autofree char *offered = read_target(name);
    struct translation *translation = translate_run(domain_xml, &choice, offered, settings, &error);
    g_assert_no_error(error);
    translate_choice_clear(&choice);
    return translation;
}

static struct translation *translate_sample(const char *name,
                                            const struct translate_settings *settings)
{
    g_autofree char *text = read_file("domains", name);
    return translate(text, settings);
}

struct expectation {
    const char *xpath;
    const char *value; /* NULL: nothing */
};

static void expect(const struct translation *translation, const struct expectation *expected,
                   gsize count)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) document = snapshot_xml_parse(translation->xml, "the result", &error);
    g_assert_no_error(error);
    for (gsize i = 0; i < count; i++) {
        g_autofree char *string = g_strdup_printf("string(%s)", expected[i].xpath);
        g_autofree char *value = snapshot_xml_string(document, NULL, string);
        g_test_message("%s", expected[i].xpath);
        g_assert_cmpstr(value, ==, expected[i].value);
    }
}

/* "level: what: from → to" of the change about what; the first of those. NULL: there is none. */
static char *change_about(const struct translation *translation, const char *what)
{
    for (guint i = 0; i < json_array_get_length(translation->changes); i++) {
        JsonObject *change = json_array_get_object_element(translation->changes, i);
        g_assert_cmpstr(json_object_get_string_member(change, "why"), !=, "");
        if (g_strcmp0(json_object_get_string_member(change, "what"), what) == 0)
            return g_strdup_printf("%s: %s → %s", json_object_get_string_member(change, "level"),
                                   json_object_get_string_member_with_default(change, "from", "-"),
                                   json_object_get_string_member_with_default(change, "to", "-"));
    }
    return NULL;
}

static void expect_changes(const struct translation *translation,
                           const struct expectation *expected, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        g_autofree char *change = change_about(translation, expected[i].xpath);
        g_test_message("change of %s", expected[i].xpath);
        g_assert_cmpstr(change, ==, expected[i].value);
    }
}

static JsonObject *mapping(const char *first, ...)
{
    JsonObject *object = json_object_new();
    va_list arguments;
    va_start(arguments, first);
    for (const char *from = first; from; from = va_arg(arguments, const char *))
        json_object_set_string_member(object, from, va_arg(arguments, const char *));
    va_end(arguments);
    return object;
}

/* --- a machine with BIOS, as it is moved ---------------------------------------------------------
 */

static void test_migrate_bios(void)
{
    g_autoptr(JsonObject) networks = mapping("default", "office", "br0", "office-2", NULL);
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
    static const struct expectation expected[] = {
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
        {"//*[namespace-uri()='urn:landfall:machine']/@source",
         "6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11"},
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
    expect(moved, expected, G_N_ELEMENTS(expected));
    static const struct expectation changes[] = {
        {"disk vdb", "info: /dev/vg/data → /srv/m/vdb.raw (raw)"},
        {"network card 52:54:00:aa:bb:02", "info: bridge br0 → network office-2"},
        {"cdrom hda", NULL},
    };
    expect_changes(moved, changes, G_N_ELEMENTS(changes));
    g_assert_false(moved->blocked);
    g_assert_cmpstr(moved->name, ==, "web1");
    translation_free(moved);
}

/* --- a test beside it ----------------------------------------------------------------------------
 */

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
    static const struct expectation expected[] = {
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
        {"count(/domain/devices/interface/*[self::vlan or self::virtualport or self::filterref])",
         "0"},
        {"/domain/devices/interface[2]/source/@portgroup", NULL},
        {"/domain/devices/interface[3]/source/@mode", NULL},
        {"/domain/devices/interface[4]/mac/@address", "52:54:00:00:00:04"},
        {"count(/domain/devices/hostdev | /domain/devices/filesystem | /domain/devices/shmem)",
         "0"},
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
    expect(test, expected, G_N_ELEMENTS(expected));
    static const struct expectation changes[] = {
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
        {"UEFI variables",
         "warning: /var/lib/libvirt/qemu/nvram/host-bound_VARS.fd → /srv/t/nvram.fd"},
        {"memory", "info: 1048576 KiB → 512 MiB"},
        {"graphics", "info: spice 192.0.2.1 5999 → spice 127.0.0.1"},
        {"serial 0", "info: file /var/log/host-bound.log → pty"},
        {"vsock address", "info: 7 → chosen by libvirt"},
    };
    expect_changes(test, changes, G_N_ELEMENTS(changes));
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

/* --- variations of a small machine ---------------------------------------------------------------
 */

static const char *const variations =
    "<domain type='%s'><name>m</name><uuid>6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11</uuid>"
    "<memory>1</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='%s'>hvm</type>%s</os>%s"
    "<devices>%s</devices></domain>";

static struct translation *vary(const char *type, const char *machine, const char *os,
                                const char *middle, const char *devices,
                                const struct translate_settings *settings)
{
    static const struct translate_settings plain = {.name = NULL};
    g_autofree char *text = g_strdup_printf(variations, type, machine, os, middle, devices);
    return translate(text, settings ? settings : &plain);
}

static void test_machine_types(void)
{
    static const struct {
        const char *wanted;
        const char *chosen;
    } cases[] = {
        {"pc-i440fx-7.2", "pc-i440fx-7.2"},
        {"pc-i440fx-2.12", "pc-i440fx-2.12"},
        {"pc-i440fx-9.0", "pc-i440fx-7.2"},
        {"pc-i440fx-10.1", "pc-i440fx-7.2"},
        {"pc-i440fx-1.1", "pc-i440fx-1.4"},
        {"pc-q35-4.0.2", "pc-q35-4.0.1"},
        {"pc-q35-9.1", "pc-q35-7.2"},
        {"pc-q35-rhel9.2.0", "pc-q35-7.2"},
        {"pc-q35-noble", "pc-q35-7.2"},
        {"pc-i440fx-rhel7.6.0", "pc-i440fx-7.2"},
        {"pc", "pc-i440fx-7.2"},
        {"q35", "pc-q35-7.2"},
        {"pc-1.3", "pc-i440fx-7.2"},
        {"microvm", "microvm"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct translation *result = vary("kvm", cases[i].wanted, "", "", "", NULL);
        const struct expectation expected[] = {{"/domain/os/type/@machine", cases[i].chosen}};
        expect(result, expected, 1);
        g_autofree char *change = change_about(result, "machine type");
        g_assert_true(!change == (g_strcmp0(cases[i].wanted, cases[i].chosen) == 0));
        translation_free(result);
    }
}

/* Nothing is chosen for a machine that cannot run there. */
static void test_refusals(void)
{
    static const char *const domains[] = {
        "<domain type='kvm'><os><type arch='riscv128' machine='virt'>hvm</type></os></domain>",
        "<domain type='xen'><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>",
        "<domain type='kvm'><os><type arch='x86_64' machine='moon'>hvm</type></os></domain>",
        "<domain type='kvm'><os><type arch='x86_64' machine='pc'>exe</type></os></domain>",
        "<domain/>",
    };
    g_autofree char *capabilities = read_file("targets", "capabilities");
    const struct translate_settings settings = {.name = NULL};
    for (gsize i = 0; i < G_N_ELEMENTS(domains); i++) {
        g_autoptr(GError) error = NULL;
        struct translate_choice choice = {NULL};
        g_assert_false(translate_choose(domains[i], capabilities, &settings, &choice, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_UNSUPPORTED);
        g_assert_nonnull(landfall_error_hint(error));
        g_assert_null(choice.arch);
    }
}

static void expect_cpu(const char *type, const char *cpu, const char *wanted, const char *mode,
                       const char *model, const char *change)
{
    const struct translate_settings settings = {.cpu_model = wanted};
    struct translation *result = vary(type, "pc-i440fx-7.2", "", cpu, "", &settings);
    const struct expectation expected[] = {{"/domain/cpu/@mode", mode},
                                           {"/domain/cpu/model", model}};
    g_test_message("%s on %s", cpu, type);
    expect(result, expected, 2);
    g_autofree char *told = change_about(result, "processor model");
    g_assert_cmpstr(told, ==, change);
    translation_free(result);
}

static void test_cpu(void)
{
    const char *skylake =
        "<cpu mode='custom' match='exact'><model>Skylake-Server-noTSX-IBRS</model>"
        "<feature policy='require' name='pcid'/></cpu>";
    expect_cpu("kvm", "", NULL, NULL, NULL, NULL);
    expect_cpu("kvm", "<cpu><topology sockets='1' cores='1' threads='1'/></cpu>", NULL, NULL, NULL,
               NULL);
    expect_cpu("kvm", "<cpu mode='host-passthrough'/>", NULL, "host-passthrough", NULL, NULL);
    expect_cpu("qemu",
               "<cpu mode='host-passthrough' migratable='on'><feature policy='disable' "
               "name='vmx'/></cpu>",
               NULL, "maximum", NULL, "warning: host-passthrough → maximum");
    expect_cpu("qemu", "<cpu mode='host-model'/>", NULL, "host-model", NULL, NULL);
    expect_cpu("qemu", "<cpu mode='custom'><model>Penryn</model></cpu>", NULL, "custom", "Penryn",
               NULL);
    expect_cpu("qemu", "<cpu mode='custom'><model>Nehalem-IBRS</model></cpu>", NULL, "custom",
               "Nehalem", "warning: Nehalem-IBRS → Nehalem");
    expect_cpu("qemu", skylake, NULL, "maximum", NULL,
               "warning: Skylake-Server-noTSX-IBRS → maximum");
    expect_cpu("qemu", skylake, "Westmere", "custom", "Westmere",
               "info: Skylake-Server-noTSX-IBRS → Westmere");
    expect_cpu("qemu", "", "maximum", "maximum", NULL, "info: - → maximum");
}

/* A target without KVM gets a machine that QEMU alone can run. */
static void test_without_kvm(void)
{
    const struct translate_settings settings = {.name = NULL};
    lacks = "<domain type='kvm'/>";
    struct translation *result = translate_sample("host-bound", &settings);
    lacks = NULL;
    static const struct expectation expected[] = {
        {"/domain/@type", "qemu"},
        {"count(/domain/features/hyperv | /domain/features/kvm)", "0"},
        {"count(/domain/clock/timer)", "1"},
        {"/domain/clock/timer/@name", "rtc"},
        {"/domain/cpu/@mode", "maximum"},
        {"count(/domain/cpu/cache)", "0"},
        {"/domain/cpu/topology/@cores", "2"},
    };
    expect(result, expected, G_N_ELEMENTS(expected));
    static const struct expectation changes[] = {{"virtualisation", "warning: kvm → qemu"}};
    expect_changes(result, changes, 1);
    translation_free(result);
}

static void test_firmware_of_the_target(void)
{
    /* An image that the target does not have: the nearest of its own. */
    struct translation *result =
        vary("kvm", "pc-q35-7.2",
             "<loader readonly='yes' secure='yes' type='pflash'>/opt/edk2/secure.fd</loader>"
             "<nvram template='/opt/edk2/vars.fd'>/var/lib/x.fd</nvram>",
             "", "", NULL);
    static const struct expectation expected[] = {
        {"/domain/os/@firmware", "efi"},
        {"/domain/os/firmware/feature[@name='secure-boot']/@enabled", "yes"},
        {"count(/domain/os/loader | /domain/os/nvram)", "0"},
    };
    expect(result, expected, G_N_ELEMENTS(expected));
    g_assert_false(result->blocked);
    translation_free(result);

    /* The other way to start: only if it is asked for. */
    const struct translate_settings bios = {.firmware = "bios"}, uefi = {.firmware = "uefi"};
    result = vary("kvm", "pc-q35-7.2",
                  "<loader type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>", "", "", &bios);
    static const struct expectation no_uefi[] = {{"count(/domain/os/loader)", "0"}};
    expect(result, no_uefi, 1);
    translation_free(result);
    result = vary("kvm", "pc-q35-7.2", "", "", "", &uefi);
    static const struct expectation with_uefi[] = {{"/domain/os/@firmware", "efi"}};
    expect(result, with_uefi, 1);
    translation_free(result);

    /* A kernel of the host's goes by its path: somebody has to know. */
    result = vary("kvm", "pc-q35-7.2", "<kernel>/boot/vmlinuz</kernel>", "", "", NULL);
    static const struct expectation changes[] = {
        {"kernel", "warning: /boot/vmlinuz → /boot/vmlinuz"}};
    expect_changes(result, changes, 1);
    translation_free(result);
}

/* What would not start, or would be another machine, is said before anybody tries. */
static void test_blocked(void)
{
    static const struct {
        const char *os;
        const char *middle;
        const char *devices;
        const char *what;
    } cases[] = {
        {"", "",
         "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br7'/>"
         "</interface>",
         "network card 52:54:00:00:00:01"},
        {"", "",
         "<disk type='file' device='disk'><source file='/x'/><target dev='vda' bus='sd'/></disk>",
         "disk vda"},
        {"<loader type='pflash'>/opt/none.fd</loader>", "", "", "firmware"},
        {"", "<vcpu>1024</vcpu>", "", "processors"},
    };
    const struct translate_disk disk = {.name = "vda", .path = "/m/vda.qcow2"};
    struct translate_settings settings = {.disks = &disk, .disk_count = 1};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        settings.cpus = *cases[i].middle ? 1024 : 0;
        lacks = "<value>efi</value>";
        struct translation *result =
            vary("qemu", "isapc", cases[i].os, "", cases[i].devices, &settings);
        lacks = NULL;
        g_test_message("%s", cases[i].what);
        g_assert_true(result->blocked);
        gboolean found = FALSE;
        for (guint k = 0; k < json_array_get_length(result->changes); k++) {
            JsonObject *change = json_array_get_object_element(result->changes, k);
            found |= g_strcmp0(json_object_get_string_member(change, "level"), "blocked") == 0 &&
                     g_strcmp0(json_object_get_string_member(change, "what"), cases[i].what) == 0;
        }
        g_assert_true(found);
        translation_free(result);
    }
}

static void test_nbd(void)
{
    const char *devices = "<disk type='file' device='disk'><driver name='qemu' type='qcow2' "
                          "io='native' cache='none'/>"
                          "<source file='/a'/><target dev='vda' bus='virtio'/></disk>"
                          "<disk type='file' device='disk'><source file='/b'/><target dev='vdb' "
                          "bus='virtio'/></disk>";
    const struct translate_disk disks[] = {
        {.name = "vda",
         .nbd_export = "vda",
         .nbd_host = "192.0.2.7",
         .nbd_port = 10809,
         .nbd_tls = TRUE,
         .nbd_tls_hostname = "landfall"},
        {.name = "vdb", .nbd_export = "vdb", .nbd_socket = "/run/landfall/s"}};
    const struct translate_settings settings = {.disks = disks, .disk_count = 2};
    struct translation *result = vary("kvm", "pc-i440fx-7.2", "", "", devices, &settings);
    static const struct expectation expected[] = {
        {"/domain/devices/disk[1]/@type", "network"},
        {"/domain/devices/disk[1]/driver/@type", "raw"},
        {"/domain/devices/disk[1]/driver/@error_policy", "stop"},
        {"/domain/devices/disk[1]/driver/@io", NULL},
        {"/domain/devices/disk[1]/source/@protocol", "nbd"},
        {"/domain/devices/disk[1]/source/@name", "vda"},
        {"/domain/devices/disk[1]/source/@tls", "yes"},
        {"/domain/devices/disk[1]/source/@tlsHostname", "landfall"},
        {"/domain/devices/disk[1]/source/host/@name", "192.0.2.7"},
        {"/domain/devices/disk[1]/source/host/@port", "10809"},
        {"/domain/devices/disk[2]/source/@tls", NULL},
        {"/domain/devices/disk[2]/source/host/@transport", "unix"},
        {"/domain/devices/disk[2]/source/host/@socket", "/run/landfall/s"},
    };
    expect(result, expected, G_N_ELEMENTS(expected));
    translation_free(result);
}

/* The target's screens and cards, where it lacks the source's. */
static void test_display(void)
{
    lacks = "<value>(spice|qxl|virtio)</value>";
    struct translation *result =
        vary("kvm", "pc-q35-7.2", "", "",
             "<graphics type='spice'><gl enable='yes' rendernode='/dev/dri/renderD128'/></graphics>"
             "<graphics type='sdl' display=':0'/>"
             "<video><model type='qxl' ram='65536'><acceleration accel3d='yes'/></model></video>"
             "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"
             "<redirdev bus='usb' type='spicevmc'/><audio id='1' type='spice'/>",
             NULL);
    lacks = NULL;
    static const struct expectation expected[] = {
        {"count(/domain/devices/graphics)", "1"},
        {"/domain/devices/graphics/@type", "vnc"},
        {"count(/domain/devices/graphics/gl)", "0"},
        {"/domain/devices/video/model/@type", "vga"},
        {"/domain/devices/video/model/@ram", NULL},
        {"count(/domain/devices/channel | /domain/devices/redirdev | //acceleration)", "0"},
        {"/domain/devices/audio/@type", "none"},
    };
    expect(result, expected, G_N_ELEMENTS(expected));
    translation_free(result);
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
    g_test_add_func("/translate/machine-types", test_machine_types);
    g_test_add_func("/translate/refusals", test_refusals);
    g_test_add_func("/translate/cpu", test_cpu);
    g_test_add_func("/translate/without-kvm", test_without_kvm);
    g_test_add_func("/translate/firmware-of-the-target", test_firmware_of_the_target);
    g_test_add_func("/translate/blocked", test_blocked);
    g_test_add_func("/translate/nbd", test_nbd);
    g_test_add_func("/translate/display", test_display);
    g_test_add_func("/translate/uuid", test_uuid);
    return g_test_run();
}
