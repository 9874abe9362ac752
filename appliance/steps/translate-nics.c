/* SPDX-License-Identifier: Apache-2.0 */
/* Network cards: the card is the guest's and stays as it is, with its MAC address; what it is
 * plugged into is the host's, and is one of the target's networks. */
#include "appliance/steps/translate-private.h"

/* What the card is plugged into: network, bridge, device. A network that is in use tells its
 * bridge, too. */
static char *plugged_into(struct translating *translating, xmlNodePtr node)
{
    char *name = snapshot_xml_string(
        translating->document, node,
        "string(./source/@network | (./source/@bridge | ./source/@dev | ./source/@name | "
        "./source/@path)[not(../@network)])");
    return name ? name : snapshot_xml_string(translating->document, node, "string(./@type)");
}

static const char *mapped(const struct translate_settings *settings, const char *from)
{
    if (settings->test_network)
        return settings->test_network;
    return settings->networks && from
               ? json_object_get_string_member_with_default(settings->networks, from, NULL)
               : NULL;
}

/* What stands in an interface about the host's side of it. */
static void clear_host_side(struct translating *translating, xmlNodePtr node, const char *what)
{
    static const char *const silent[] = {"target",      "alias", "backend", "script", "downscript",
                                         "portForward", "ip",    "route",   "guest"};
    static const struct {
        const char *name;
        const char *why;
    } told[] = {
        {"virtualport", "a port of the source's switch"},
        {"vlan", "tags for the source's switch: the target's network is to have them"},
        {"filterref",
         "a filter that is defined at the source: set one at the target if it is needed"},
        {"teaming", "the other card of the team is one of the host's"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(silent); i++)
        translate_remove_child(node, silent[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(told); i++) {
        g_autofree char *xpath = g_strdup_printf("./%s", told[i].name);
        if (!snapshot_xml_holds(translating->document, node, xpath))
            continue;
        translate_note(translating, TRANSLATE_WARNING, what, told[i].name, NULL, told[i].why);
        translate_remove_child(node, told[i].name);
    }
    translate_remove_attribute(node, "managed");
    translate_remove_attribute(node, "trustGuestRxFilters");
    g_autoptr(GPtrArray) roms =
        snapshot_xml_nodes(translating->document, node, "./rom[@file] | ./driver[@name]");
    for (guint i = 0; i < roms->len; i++) {
        translate_remove_attribute(roms->pdata[i], "file");
        translate_remove_attribute(roms->pdata[i], "name");
    }
}

static void plug_into(struct translating *translating, xmlNodePtr node, const char *what,
                      const char *from, const char *network)
{
    g_autofree char *type = snapshot_xml_string(translating->document, node, "string(./@type)");
    g_autofree char *before = g_strdup_printf("%s %s", type ? type : "", from ? from : "");
    g_autofree char *after = g_strdup_printf("network %s", network);
    clear_host_side(translating, node, what);
    snapshot_xml_set(node, "type", "network");
    snapshot_xml_set(translate_fresh_child(node, "source"), "network", network);
    if (g_strcmp0(before, after) != 0)
        translate_note(translating, TRANSLATE_INFO, what, before, after,
                       translating->settings->test_network ? "the network of the test"
                                                           : "as mapped for the target");
}

static void renew_mac(struct translating *translating, xmlNodePtr node, const char *what)
{
    g_autofree char *mac =
        snapshot_xml_string(translating->document, node, "string(./mac/@address)");
    translate_remove_child(node, "mac");
    translate_note(translating, TRANSLATE_INFO, what, mac, "a new address",
                   "the network is not isolated: no address may be there twice");
}

/* QEMU's own small network needs nothing of the host, and leads out of a test. */
static gboolean stands_alone(struct translating *translating, xmlNodePtr node)
{
    return snapshot_xml_holds(translating->document, node, "./@type='user'") &&
           !translating->settings->test_network;
}

static void move_nic(struct translating *translating, xmlNodePtr node)
{
    g_autofree char *mac =
        snapshot_xml_string(translating->document, node, "string(./mac/@address)");
    g_autofree char *what = g_strdup_printf("network card %s", mac ? mac : "(no address)");
    g_autofree char *from = plugged_into(translating, node);
    const char *network = mapped(translating->settings, from);
    if (snapshot_xml_holds(translating->document, node, "./@type='hostdev'")) {
        translate_note(translating, TRANSLATE_WARNING, what, "a device of the source host", NULL,
                       "the guest loses this card: give it one of the target's");
        snapshot_xml_remove(node);
        return;
    }
    if (network) {
        plug_into(translating, node, what, from, network);
    } else if (stands_alone(translating, node)) {
        translate_remove_child(node, "source");
        clear_host_side(translating, node, what);
    } else {
        translate_note(translating, TRANSLATE_BLOCKED, what, from, NULL,
                       "no network of the target is mapped to it: landfall target set HOST "
                       "--network SOURCE=TARGET");
    }
    if (translating->settings->new_macs)
        renew_mac(translating, node, what);
}

void translate_nics(struct translating *translating)
{
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(translating->document, NULL, "/domain/devices/interface");
    for (guint i = 0; i < nodes->len; i++)
        move_nic(translating, nodes->pdata[i]);
}
