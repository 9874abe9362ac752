/* SPDX-License-Identifier: Apache-2.0 */

/* What a target offers, and what becomes of a machine that wants more. */

#include "tests/unit/translated.h"

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
    /* An image that the target does not have: the nearest of its own, with which the variables of
     * the other would not start. */
    const struct translate_settings copied = {.nvram = "/c/nvram.fd", .nvram_copied = TRUE};
    struct translation *result =
        vary("kvm", "pc-q35-7.2",
             "<loader readonly='yes' secure='yes' type='pflash'>/opt/edk2/secure.fd</loader>"
             "<nvram template='/opt/edk2/vars.fd'>/var/lib/x.fd</nvram>",
             "", "", &copied);
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/translate/machine-types", test_machine_types);
    g_test_add_func("/translate/refusals", test_refusals);
    g_test_add_func("/translate/cpu", test_cpu);
    g_test_add_func("/translate/without-kvm", test_without_kvm);
    g_test_add_func("/translate/firmware-of-the-target", test_firmware_of_the_target);
    g_test_add_func("/translate/blocked", test_blocked);
    g_test_add_func("/translate/nbd", test_nbd);
    g_test_add_func("/translate/display", test_display);
    return g_test_run();
}
