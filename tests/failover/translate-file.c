/* SPDX-License-Identifier: Apache-2.0 */

/* translate-file migrate|test|nbd FILE: the definition in the file, translated for the host that
 * LIBVIRT_DEFAULT_URI names. Every disk is taken to be in the recovery point, and every network to
 * be mapped to "default". */

#include "appliance/steps/translate.h"
#include "base/json.h"
#include "snapshot/xml.h"

#include <stdio.h>
#include <string.h>

#define UUID "00000000-1111-4222-8333-444444444444"

static GArray *list_disks(xmlDocPtr document, gboolean nbd)
{
    GArray *disks = g_array_new(FALSE, TRUE, sizeof(struct translate_disk));
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(
        document, NULL, "/domain/devices/disk[not(@device='cdrom' or @device='floppy')]");
    for (guint i = 0; i < nodes->len; i++) {
        struct translate_disk disk = {.keep_owner = TRUE};
        disk.name = snapshot_xml_string(document, nodes->pdata[i], "string(./target/@dev)");
        if (!nbd)
            disk.path = g_strdup_printf("/srv/clones/%s.qcow2", disk.name);
        else if (i % 2 == 0)
            disk.nbd_socket = "/run/landfall/nbd";
        else
            disk.nbd_host = "192.0.2.1", disk.nbd_port = 10809, disk.nbd_tls = TRUE,
            disk.nbd_tls_hostname = "landfall";
        g_array_append_val(disks, disk);
    }
    return disks;
}

static JsonObject *map_all(xmlDocPtr document)
{
    JsonObject *networks = json_object_new();
    g_autoptr(GPtrArray) names = snapshot_xml_nodes(
        document, NULL,
        "/domain/devices/interface/source/@*[name()='network' or name()='bridge' or name()='dev']");
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *name = snapshot_xml_string(document, names->pdata[i], "string(.)");
        json_object_set_string_member(networks, name, "default");
    }
    return networks;
}

static gboolean translate(const char *purpose, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, error))
        return FALSE;
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the file", error);
    virConnectPtr connection = document ? virConnectOpen(NULL) : NULL;
    if (!connection)
        return FALSE;
    gboolean test = strcmp(purpose, "test") == 0;
    GArray *disks = list_disks(document, strcmp(purpose, "nbd") == 0);
    const struct translate_layer layer = {"/srv/store/base.raw", "raw"};
    for (guint i = 0; i < disks->len; i++) {
        struct translate_disk *disk = &g_array_index(disks, struct translate_disk, i);
        disk->layers = &layer;
        disk->layer_count = 1;
    }
    g_autoptr(JsonObject) networks = map_all(document);
    const struct translate_settings settings = {
        .purpose = test ? TRANSLATE_TEST : TRANSLATE_MIGRATE,
        .uuid = test ? UUID : NULL,
        .name = test ? "a-test" : NULL,
        .disks = (const struct translate_disk *)disks->data,
        .disk_count = disks->len,
        .networks = networks,
        .test_network = test ? "isolated" : NULL,
        .nvram = test ? "/srv/clones/nvram.fd" : NULL,
        .console_log = test ? "/srv/clones/console.log" : NULL,
        .owner = "here-12",
        .kind = purpose,
        .store_id = "0123456789ab",
    };
    struct translation *translation = translate_for(connection, text, &settings, error);
    virConnectClose(connection);
    if (!translation)
        return FALSE;
    g_autoptr(JsonObject) told = json_object_new();
    json_object_set_array_member(told, "changes", json_array_ref(translation->changes));
    g_autofree char *changes = json_object_to_text(told, TRUE);
    fprintf(stderr, "%s\n", changes);
    printf("%s", translation->xml);
    translation_free(translation);
    return TRUE;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    if (argc == 3 && translate(argv[1], argv[2], &error))
        return 0;
    fprintf(stderr, "%s\n", error ? error->message : "translate-file migrate|test|nbd FILE");
    return 1;
}
