/* SPDX-License-Identifier: Apache-2.0 */
/* Screens: the card is the guest's; who may look at it, and where, is the host's. */
#include "appliance/steps/translate-private.h"

#define GRAPHICS "devices/graphics/enum[@name='type']"

static void listen_here(xmlNodePtr node)
{
    static const char *const children[] = {"gl", "channel"};
    static const char *const attributes[] = {"tlsPort",       "socket",    "websocket",  "passwd",
                                             "passwdValidTo", "connected", "defaultMode"};
    for (gsize i = 0; i < G_N_ELEMENTS(children); i++)
        translate_remove_child(node, children[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(attributes); i++)
        translate_remove_attribute(node, attributes[i]);
    snapshot_xml_set(node, "port", "-1");
    snapshot_xml_set(node, "autoport", "yes");
    snapshot_xml_set(node, "listen", "127.0.0.1");
    xmlNodePtr listen = translate_fresh_child(node, "listen");
    snapshot_xml_set(listen, "type", "address");
    snapshot_xml_set(listen, "address", "127.0.0.1");
}

/* Those that open a window at the host, or need its graphics card, become VNC; one is enough. */
static void set_graphics(struct translating *translating)
{
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(translating->document, NULL, "/domain/devices/graphics");
    gboolean has_vnc =
        snapshot_xml_holds(translating->document, NULL, "/domain/devices/graphics[@type='vnc']");
    for (guint i = 0; i < nodes->len; i++) {
        xmlNodePtr node = nodes->pdata[i];
        g_autofree char *type = snapshot_xml_string(translating->document, node, "string(./@type)");
        g_autofree char *before = snapshot_xml_string(
            translating->document, node,
            "normalize-space(concat(./@type, ' ', ./@listen, ' ', ./@port[. != '-1']))");
        gboolean keep = (g_strcmp0(type, "vnc") == 0 || g_strcmp0(type, "spice") == 0) &&
                        translate_offered(translating, GRAPHICS, type);
        if (!keep && (has_vnc || !translate_offered(translating, GRAPHICS, "vnc"))) {
            translate_note(translating, TRANSLATE_INFO, "graphics", before, NULL,
                           "a window, or a graphics card, of the source host");
            snapshot_xml_remove(node);
            continue;
        }
        if (!keep) {
            xmlNodeSetContent(node, NULL);
            for (xmlAttrPtr attribute = node->properties; attribute; attribute = node->properties)
                xmlRemoveProp(attribute);
            snapshot_xml_set(node, "type", "vnc");
            has_vnc = TRUE;
        }
        g_autofree char *after = g_strdup_printf("%s 127.0.0.1", keep ? type : "vnc");
        listen_here(node);
        if (g_strcmp0(before, after) != 0)
            translate_note(translating, TRANSLATE_INFO, "graphics", before, after,
                           "address, port and password are the source host's");
    }
}

/* Without SPICE its channels have no other end. */
static void drop_spice_parts(struct translating *translating)
{
    if (snapshot_xml_holds(translating->document, NULL, "/domain/devices/graphics[@type='spice']"))
        return;
    translate_drop(translating,
                   "/domain/devices/*[self::channel or self::redirdev or self::smartcard]"
                   "[@type='spicevmc' or @type='spiceport']",
                   TRANSLATE_INFO, NULL, "the target has no SPICE screen for it");
}

static void set_video_model(struct translating *translating, xmlNodePtr model, const char *value,
                            const char *why)
{
    g_autofree char *before = snapshot_xml_string(translating->document, model, "string(./@type)");
    if (g_strcmp0(before, value) == 0)
        return;
    xmlNodeSetContent(model, NULL);
    for (xmlAttrPtr attribute = model->properties; attribute; attribute = model->properties)
        xmlRemoveProp(attribute);
    snapshot_xml_set(model, "type", value);
    translate_note(translating, TRANSLATE_INFO, "video card", before, value, why);
}

static void set_video(struct translating *translating)
{
    static const char *const fallbacks[] = {"virtio", "vga", "cirrus", "none"};
    const char *wanted = translating->settings->video;
    g_autoptr(GPtrArray) models =
        snapshot_xml_nodes(translating->document, NULL, "/domain/devices/video/model");
    if (wanted && models->len > 0)
        set_video_model(translating, models->pdata[0], wanted, "set for the target");
    for (guint i = 0; i < models->len; i++) {
        g_autofree char *type =
            snapshot_xml_string(translating->document, models->pdata[i], "string(./@type)");
        if (!type || translate_offered(translating, "devices/video/enum[@name='modelType']", type))
            continue;
        for (gsize k = 0; k < G_N_ELEMENTS(fallbacks); k++) {
            if (!translate_offered(translating, "devices/video/enum[@name='modelType']",
                                   fallbacks[k]))
                continue;
            set_video_model(translating, models->pdata[i], fallbacks[k],
                            "the target does not offer it");
            break;
        }
    }
    /* The host's graphics card draws nothing for the copy. */
    translate_drop(translating,
                   "/domain/devices/video/model/acceleration[@accel3d='yes' or @rendernode]",
                   TRANSLATE_INFO, "3D acceleration", "it needs a graphics card of the host");
}

void translate_display(struct translating *translating)
{
    set_graphics(translating);
    drop_spice_parts(translating);
    set_video(translating);
}
