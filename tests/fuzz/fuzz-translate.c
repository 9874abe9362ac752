/* SPDX-License-Identifier: Apache-2.0 */

/* Definitions of machines, as they are translated for a target. Whatever the input: what comes out
 * is XML, the same each time, has the name and identity that were asked for, and no device of a
 * host. */

#include "appliance/steps/translate.h"
#include "snapshot/xml.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

static const char *const offered =
    "<domainCapabilities><vcpu max='4'/><os><enum name='firmware'><value>efi</value></enum>"
    "<loader><value>/fw/code.fd</value></loader></os><cpu><mode name='maximum' supported='yes'/>"
    "<mode name='custom' supported='yes'><model usable='yes'>Penryn</model></mode></cpu>"
    "<devices><disk><enum name='bus'><value>virtio</value></enum></disk>"
    "<graphics><enum name='type'><value>vnc</value></enum></graphics>"
    "<video><enum name='modelType'><value>vga</value></enum></video>"
    "<tpm><enum name='backendModel'><value>emulator</value></enum></tpm></devices>"
    "</domainCapabilities>";

static const char *const capabilities =
    "<capabilities><guest><os_type>hvm</os_type><arch name='x86_64'><emulator>/q</emulator>"
    "<machine canonical='pc-i440fx-7.2'>pc</machine><machine>pc-i440fx-2.1</machine>"
    "<machine>pc-q35-7.2</machine><domain type='qemu'/></arch></guest></capabilities>";

static void look_at(const struct translation *translation,
                    const struct translate_settings *settings)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) document = snapshot_xml_parse(translation->xml, "the result", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(translation->name, ==, settings->name);
    g_assert_cmpstr(translation->uuid, ==, settings->uuid);
    g_assert_false(snapshot_xml_holds(document, NULL, "/domain/devices/hostdev"));
    g_assert_false(snapshot_xml_holds(document, NULL, "/domain/devices/filesystem"));
    g_assert_false(snapshot_xml_holds(document, NULL,
                                      "/domain/devices/interface[not(@type='network')] | "
                                      "/domain/devices/interface/source[@*[name()!='network']]"));
    g_assert_false(
        snapshot_xml_holds(document, NULL, "/domain/devices/disk[@device='cdrom']/source"));
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    g_autofree char *text = g_strndup((const char *)data, length);
    const struct translate_layer layer = {"/l/base.raw", "raw"};
    const struct translate_disk disks[] = {
        {.name = "vda", .path = "/c/vda", .layers = &layer, .layer_count = 1, .keep_owner = TRUE},
        {.name = "vdb", .nbd_host = "h", .nbd_port = 1, .nbd_tls = TRUE}};
    const struct translate_settings settings = {.purpose = TRANSLATE_TEST,
                                                .name = "copy",
                                                .uuid = "00000000-1111-4222-8333-444444444444",
                                                .disks = disks,
                                                .disk_count = 2,
                                                .test_network = "isolated",
                                                .new_macs = TRUE,
                                                .nvram = "/c/nvram",
                                                .console_log = "/c/log",
                                                .cpus = 3,
                                                .memory_mib = 64,
                                                .owner = "1",
                                                .kind = "test",
                                                .store_id = "s"};
    struct translate_choice choice = {NULL}, fixed = {(char *)"x86_64", (char *)"qemu",
                                                      (char *)"pc-i440fx-7.2", (char *)"/q"};
    g_autoptr(GError) refusal = NULL;
    if (translate_choose(text, capabilities, &settings, &choice, &refusal))
        translate_choice_clear(&choice);
    g_autoptr(GError) error = NULL;
    struct translation *first = translate_run(text, &fixed, offered, &settings, &error);
    g_assert_true(!first == !!error);
    if (!first)
        return 0;
    struct translation *second = translate_run(text, &fixed, offered, &settings, NULL);
    g_assert_cmpstr(first->xml, ==, second->xml);
    look_at(first, &settings);
    translation_free(first);
    translation_free(second);
    return 0;
}
