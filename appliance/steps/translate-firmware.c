/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine starts with: BIOS, UEFI with its variables, a kernel of the host's; and its TPM.
 */
#include "appliance/steps/translate-private.h"

#define LOADERS "/domainCapabilities/os/loader/value"

static gboolean loader_offered(struct translating *translating, const char *path)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(translating->capabilities, NULL, LOADERS);
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree char *offered =
            snapshot_xml_string(translating->capabilities, nodes->pdata[i], "string(.)");
        if (g_strcmp0(offered, path) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean uefi_offered(struct translating *translating)
{
    return snapshot_xml_holds(translating->capabilities, NULL,
                              "/domainCapabilities/os/enum[@name='firmware']/value[.='efi']");
}

/* Lets the target's libvirt choose among its UEFI firmwares, one with secure boot or without. */
static void choose_uefi(struct translating *translating, gboolean secure)
{
    xmlNodePtr os = translate_node(translating->document, "/domain/os");
    gboolean said = snapshot_xml_holds(translating->document, NULL,
                                       "/domain/os/firmware/feature[@name='secure-boot']");
    snapshot_xml_set(os, "firmware", "efi");
    translate_remove_child(os, "loader");
    translate_remove_child(os, "nvram");
    if (!said) {
        xmlNodePtr feature = snapshot_xml_child(
            translate_element(translating, "/domain/os", "firmware"), "feature", NULL);
        snapshot_xml_set(feature, "enabled", secure ? "yes" : "no");
        snapshot_xml_set(feature, "name", "secure-boot");
    }
}

/* The very image the machine has: its variables were made by that. */
static void keep_loader(struct translating *translating, gboolean secure)
{
    xmlNodePtr os = translate_node(translating->document, "/domain/os");
    translate_remove_attribute(os, "firmware");
    translate_remove_child(os, "firmware");
    if (secure)
        snapshot_xml_set(translate_element(translating, "/domain/features", "smm"), "state", "on");
}

/* The variables' place: a file of the target's, filled from the template when it is not there.
 * Those of another image are of no use. */
static void set_nvram(struct translating *translating, gboolean same_image)
{
    const struct translate_settings *settings = translating->settings;
    gboolean copied = same_image && settings->nvram && settings->nvram_copied;
    const char *path = settings->nvram_copied && !copied ? NULL : settings->nvram;
    xmlNodePtr nvram = translate_element(translating, "/domain/os", "nvram");
    g_autofree char *before = snapshot_xml_string(
        translating->document, nvram, "string(./text() | ./source/@file | ./source/@dev)");
    translate_set_text(nvram, path ? path : "");
    translate_remove_attribute(nvram, "type");
    translate_note(translating, copied ? TRANSLATE_INFO : TRANSLATE_WARNING, "UEFI variables",
                   before, path ? path : "libvirt's place",
                   copied ? "a copy of its own"
                          : "they are in no recovery point: boot entries and keys that the guest "
                            "has set are those of a fresh machine");
    if (!path && !nvram->properties)
        snapshot_xml_remove(nvram);
}

static void set_uefi(struct translating *translating)
{
    xmlNodePtr os = translate_node(translating->document, "/domain/os");
    g_autofree char *loader = snapshot_xml_string(translating->document, os, "string(./loader)");
    gboolean secure = snapshot_xml_holds(translating->document, os,
                                         "./loader/@secure='yes' or ./firmware/feature["
                                         "@name='secure-boot' and @enabled='yes']");
    gboolean offered = loader && loader_offered(translating, loader);
    if (offered) {
        keep_loader(translating, secure);
    } else if (uefi_offered(translating)) {
        choose_uefi(translating, secure);
        if (loader)
            translate_note(translating, TRANSLATE_WARNING, "firmware", loader,
                           secure ? "the target's UEFI with secure boot" : "the target's UEFI",
                           "the target does not have that image");
    } else {
        translate_note(
            translating, TRANSLATE_BLOCKED, "firmware", loader ? loader : "UEFI", NULL,
            "the target has no UEFI firmware for such a machine: install it there (ovmf, "
            "edk2-ovmf)");
        return;
    }
    /* Where libvirt chooses the image, it chooses alike on both hosts. */
    set_nvram(translating, offered || !loader);
}

static void set_bios(struct translating *translating)
{
    xmlNodePtr os = translate_node(translating->document, "/domain/os");
    g_autofree char *loader = snapshot_xml_string(translating->document, os, "string(./loader)");
    if (loader)
        translate_note(translating, TRANSLATE_INFO, "firmware", loader, "the target's BIOS",
                       "an image of the source host");
    translate_remove_attribute(os, "firmware");
    translate_remove_child(os, "firmware");
    translate_remove_child(os, "loader");
    translate_remove_child(os, "nvram");
}

/* Files of the host the machine is started with stay where they are said to be. */
static void tell_files(struct translating *translating)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(
        translating->document, NULL,
        "/domain/os/kernel | /domain/os/initrd | /domain/os/dtb | /domain/os/acpi/table");
    for (guint i = 0; i < nodes->len; i++) {
        xmlNodePtr node = nodes->pdata[i];
        g_autofree char *path = snapshot_xml_string(translating->document, node, "string(.)");
        translate_note(translating, TRANSLATE_WARNING, (const char *)node->name, path, path,
                       "the machine is started with a file of the host: the target needs it at the "
                       "same place");
    }
}

void translate_firmware(struct translating *translating)
{
    const char *wanted = translating->settings->firmware;
    xmlNodePtr os = translate_node(translating->document, "/domain/os");
    gboolean uefi = snapshot_xml_holds(translating->document, os,
                                       "./@firmware='efi' or ./loader/@type='pflash' or ./nvram");
    gboolean want_uefi = wanted ? g_strcmp0(wanted, "uefi") == 0 : uefi;
    if (uefi != want_uefi)
        translate_note(translating, TRANSLATE_WARNING, "firmware", uefi ? "uefi" : "bios", wanted,
                       "set for the target: the guest has to be installed for it");
    if (want_uefi)
        set_uefi(translating);
    else
        set_bios(translating);
    tell_files(translating);
}

/* An emulated TPM begins anew; one of the host's becomes an emulated one. */
void translate_tpm(struct translating *translating)
{
    xmlNodePtr tpm = translate_node(translating->document, "/domain/devices/tpm");
    if (!tpm)
        return;
    g_autofree char *backend =
        snapshot_xml_string(translating->document, tpm, "string(./backend/@type)");
    g_autofree char *version =
        snapshot_xml_string(translating->document, tpm, "string(./backend/@version)");
    g_autofree char *model = snapshot_xml_string(translating->document, tpm, "string(./@model)");
    gboolean offered =
        translate_offered(translating, "devices/tpm/enum[@name='backendModel']", "emulator") &&
        translate_offered(translating, "devices/tpm/enum[@name='model']",
                          model ? model : "tpm-tis");
    translate_note(translating, TRANSLATE_WARNING, "TPM", backend,
                   offered ? "emulator, empty" : NULL,
                   offered ? "what it holds is on no disk: have recovery keys of what is sealed by "
                             "it at hand"
                           : "the target cannot emulate one (swtpm): what is sealed by it stays "
                             "closed");
    if (!offered) {
        snapshot_xml_remove(tpm);
        return;
    }
    translate_remove_child(tpm, "alias");
    xmlNodePtr node = translate_fresh_child(tpm, "backend");
    snapshot_xml_set(node, "type", "emulator");
    snapshot_xml_set(node, "version", version ? version : "2.0");
}
