/* SPDX-License-Identifier: Apache-2.0 */
/* Serial ports, consoles and channels: the guest's end stays; the host's end becomes what every
 * host has, a terminal of its own for ports, and a socket in libvirt's place for channels. */
#include "appliance/steps/translate-private.h"

static void clear_host_end(xmlNodePtr node)
{
    static const char *const children[] = {"source", "protocol", "log", "alias"};
    for (gsize i = 0; i < G_N_ELEMENTS(children); i++)
        translate_remove_child(node, children[i]);
    translate_remove_attribute(node, "tty");
}

static char *host_end(struct translating *translating, xmlNodePtr node)
{
    return snapshot_xml_string(translating->document, node,
                               "normalize-space(concat(./@type, ' ', ./source/@path, "
                               "./source/@host, ./source/@channel, ' ', ./source/@service))");
}

static void set_type(struct translating *translating, xmlNodePtr node, const char *type)
{
    g_autofree char *before = host_end(translating, node);
    gboolean same = g_strcmp0(before, type) == 0;
    g_autofree char *what =
        snapshot_xml_string(translating->document, node,
                            "normalize-space(concat(name(), ' ', ./target/@port, ./target/@name))");
    clear_host_end(node);
    snapshot_xml_set(node, "type", type);
    /* Where a terminal is opened is not known before it is. */
    if (!same && !snapshot_xml_holds(translating->document, node, "self::console"))
        translate_note(translating, TRANSLATE_INFO, what, before, type,
                       "its other end is at the source host");
}

static void set_ports(struct translating *translating)
{
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(translating->document, NULL,
                           "/domain/devices/*[self::serial or self::parallel or self::console]");
    for (guint i = 0; i < nodes->len; i++) {
        gboolean alone = snapshot_xml_holds(translating->document, nodes->pdata[i],
                                            "./@type='null' or ./@type='stdio' or ./@type='vc'");
        set_type(translating, nodes->pdata[i], alone ? "null" : "pty");
    }
}

/* The first serial port and the console upon it are one device. */
static void keep_log(struct translating *translating)
{
    const char *path = translating->settings->console_log;
    if (!path)
        return;
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(
        translating->document, NULL,
        "/domain/devices/serial[1] | /domain/devices/console[1][/domain/devices/serial and "
        "(not(./target/@type) or ./target/@type='serial')] | "
        "/domain/devices/console[1][not(/domain/devices/serial)]");
    for (guint i = 0; i < nodes->len; i++) {
        xmlNodePtr log = snapshot_xml_child(nodes->pdata[i], "log", NULL);
        snapshot_xml_set(log, "file", path);
        snapshot_xml_set(log, "append", "off");
    }
    if (nodes->len > 0)
        translate_note(translating, TRANSLATE_INFO, "console", NULL, path, "what it says is kept");
}

static void set_channels(struct translating *translating)
{
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(
        translating->document, NULL,
        "/domain/devices/channel[not(@type='spicevmc' or @type='qemu-vdagent')]");
    for (guint i = 0; i < nodes->len; i++) {
        xmlNodePtr node = nodes->pdata[i];
        gboolean guest_forward =
            snapshot_xml_holds(translating->document, node, "./target/@type='guestfwd'");
        if (guest_forward) {
            translate_note(translating, TRANSLATE_WARNING, "channel", "guestfwd", NULL,
                           "its other end is at the source host");
            snapshot_xml_remove(node);
            continue;
        }
        set_type(translating, node, "unix");
    }
    /* What the guest's end was doing when the definition was read. */
    g_autoptr(GPtrArray) targets =
        snapshot_xml_nodes(translating->document, NULL, "/domain/devices/channel/target[@state]");
    for (guint i = 0; i < targets->len; i++)
        translate_remove_attribute(targets->pdata[i], "state");
}

void translate_chardevs(struct translating *translating)
{
    set_ports(translating);
    keep_log(translating);
    set_channels(translating);
}
