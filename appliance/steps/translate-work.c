/* SPDX-License-Identifier: Apache-2.0 */
/* From a step's work to the settings of a translation. */
#include "appliance/steps/translate-work.h"
#include "appliance/cycle/opened-machine.h"
#include "base/json.h"
#include "snapshot/libvirt.h"

#include <string.h>

#define TEST_SUFFIX "-test"
#define RECONNECT_VERSION 10000000ul /* of libvirt; the element came a little before */

/* Owns what the settings borrow, where that is not the work. */
struct request {
    const struct step_work *work;
    struct opened_machine opened;
    const struct manifest *point; /* of opened */
    GPtrArray *texts;             /* char * */
    GArray *disks;                /* struct translate_disk */
    GPtrArray *layers;            /* struct translate_layer *, an array each */
    GStrv excluded;
    struct translate_settings settings;
};

static const char *keep(struct request *request, char *text)
{
    g_ptr_array_add(request->texts, text);
    return text;
}

/* The element of that name in an array of objects, or NULL. */
static JsonObject *element_named(JsonArray *array, const char *name)
{
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        if (JSON_NODE_HOLDS_OBJECT(node) &&
            g_strcmp0(json_find_string(json_node_get_object(node), "name"), name) == 0)
            return json_node_get_object(node);
    }
    return NULL;
}

/* --- the store -----------------------------------------------------------------------------------
 */

static gboolean open_replica(const struct step_work *work, struct opened_machine *opened,
                             GError **error)
{
    return opened_machine_open(opened, work->store_path, work->machine_uuid, STORE_READ, error);
}

static char *read_definition(const struct opened_machine *opened, GError **error)
{
    const char *xml = NULL;
    g_autoptr(JsonObject) object = store_machine_description(opened->machine, error);
    if (!object || !json_optional_string(object, "domain_xml", LANDFALL_ERROR_CORRUPT, &xml, error))
        return NULL;
    if (!xml)
        landfall_error_set(
            error, LANDFALL_ERROR_CONFIG, "export its disks, and define a machine for them by hand",
            "the replica has no definition of a machine: it was made without libvirt");
    return g_strdup(xml);
}

char *translate_work_source(const struct step_work *work, GError **error)
{
    struct opened_machine opened = {NULL};
    char *xml = open_replica(work, &opened, error) ? read_definition(&opened, error) : NULL;
    opened_machine_close(&opened);
    return xml;
}

/* --- disks ---------------------------------------------------------------------------------------
 */

static void take_layers(struct request *request, struct translate_disk *disk, JsonArray *layers)
{
    guint count = layers ? json_array_get_length(layers) : 0;
    struct translate_layer *array = g_new0(struct translate_layer, count + 1);
    g_ptr_array_add(request->layers, array);
    for (guint i = 0; i < count; i++) {
        JsonObject *layer = json_array_get_object_element(layers, i);
        array[i] = (struct translate_layer){json_find_string(layer, "path"),
                                            json_find_string(layer, "format")};
    }
    disk->layers = array;
    disk->layer_count = count;
}

/* As the step serve has said, or as it will be. */
static void take_export(struct request *request, struct translate_disk *disk)
{
    const struct step_work *work = request->work;
    JsonArray *served = json_find_array(step_work_fact(work, "serve"), "disks");
    JsonObject *export = element_named(served, disk->name);
    const char *address = json_find_string(json_find_object(work->json, "nbd"), "address");
    disk->nbd_export = export ? json_find_string(export, "export") : disk->name;
    disk->nbd_tls = json_find_boolean(export, "tls");
    disk->nbd_tls_hostname = json_find_string(export, "tls_hostname");
    disk->nbd_socket = json_find_string(export, "socket");
    if (export && g_strcmp0(json_find_string(export, "transport"), "unix") == 0)
        return;
    disk->nbd_host = export ? json_find_string(export, "host") : address ? address : "appliance";
    disk->nbd_port = export ? (guint)json_find_uint(export, "port") : 10809;
}

static void take_file(struct request *request, struct translate_disk *disk)
{
    const struct step_work *work = request->work;
    JsonArray *cloned = json_find_array(step_work_fact(work, "clone"), "disks");
    JsonObject *clone = element_named(cloned, disk->name);
    g_autofree char *owner = step_work_owner(work);
    g_autofree char *file = g_strconcat(disk->name, ".qcow2", NULL);
    disk->path = clone ? json_find_string(clone, "path")
                       : keep(request, g_build_filename(work->target_store_path, work->machine_uuid,
                                                        "clones", owner, file, NULL));
    disk->format = clone ? json_find_string(clone, "format") : NULL;
    disk->keep_owner = json_find_boolean(clone, "keep_owner");
    take_layers(request, disk, json_find_array(clone, "layers"));
}

static void take_disks(struct request *request)
{
    for (guint i = 0; i < request->point->disks->len; i++) {
        const struct manifest_disk *from = request->point->disks->pdata[i];
        struct translate_disk disk = {.name = from->name};
        if (request->work->reach == STEP_REACH_NBD)
            take_export(request, &disk);
        else
            take_file(request, &disk);
        g_array_append_val(request->disks, disk);
    }
    request->settings.disks = (const struct translate_disk *)request->disks->data;
    request->settings.disk_count = request->disks->len;
}

/* --- who it is, and where it is plugged into -----------------------------------------------------
 */

static gboolean is_one_host(const struct step_work *work)
{
    return g_strcmp0(work->source_host, work->target_host) == 0 ||
           g_strcmp0(work->source_uri, work->target_uri) == 0;
}

/* The name that an earlier run has given, or the usual one; a test beside another test of the
 * machine is told from it by its number. */
static const char *choose_name(struct request *request, virConnectPtr connection, gboolean test)
{
    const struct step_work *work = request->work;
    const char *asked = json_find_string(work->options, "name_suffix");
    const char *set = work->settings.name_suffix;
    const char *suffix = test && asked ? asked : set ? set : test ? TEST_SUFFIX : "";
    const char *name = keep(request, g_strconcat(work->machine_name, suffix, NULL));
    if (!test)
        return name;
    g_autoptr(virDomain) ours = virDomainLookupByUUIDString(connection, request->settings.uuid);
    if (ours)
        return keep(request, g_strdup(virDomainGetName(ours)));
    g_autoptr(virDomain) other = virDomainLookupByName(connection, name);
    g_autofree char *owner = step_work_owner(work);
    return other ? keep(request, g_strconcat(name, "-", owner, NULL)) : name;
}

/* The schema of an older libvirt does not know the element, and refuses the definition. */
static gboolean knows_reconnect(virConnectPtr connection)
{
    unsigned long version = 0;
    return virConnectGetLibVersion(connection, &version) == 0 && version >= RECONNECT_VERSION;
}

static void take_identity(struct request *request, virConnectPtr connection)
{
    const struct step_work *work = request->work;
    struct translate_settings *settings = &request->settings;
    gboolean test = g_strcmp0(work->kind, "test") == 0;
    settings->purpose = test ? TRANSLATE_TEST : TRANSLATE_MIGRATE;
    settings->owner = keep(request, step_work_owner(work));
    settings->kind = work->kind;
    settings->store_id = request->opened.store->id;
    settings->recovery_point = request->point->number;
    if (test || is_one_host(work))
        settings->uuid =
            keep(request, translate_uuid(work->machine_uuid, settings->store_id, settings->owner));
    settings->name = choose_name(request, connection, test);
}

/* A network that was named for one test has others on it, for all we know; one that is isolated, or
 * set aside for tests, has not. */
static void take_networks(struct request *request)
{
    const struct step_work *work = request->work;
    struct translate_settings *settings = &request->settings;
    const char *asked = json_find_string(work->options, "network");
    const char *made = json_find_string(step_work_fact(work, "test-network"), "name");
    gboolean named = asked && strcmp(asked, "isolated") != 0;
    settings->networks = work->networks;
    if (made)
        settings->test_network = made;
    else if (settings->purpose == TRANSLATE_TEST)
        settings->test_network = named                ? asked
                                 : work->test_network ? work->test_network
                                                      : "isolated";
    settings->new_macs =
        settings->purpose == TRANSLATE_TEST && named && g_strcmp0(asked, work->test_network) != 0;
}

static void take_excluded(struct request *request)
{
    JsonArray *names =
        json_find_array(json_find_object(request->work->json, "known"), "disks_excluded");
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; names && i < json_array_get_length(names); i++)
        g_strv_builder_add(builder, json_array_get_string_element(names, i));
    request->excluded = g_strv_builder_end(builder);
}

static gboolean take_machine(struct request *request, GError **error)
{
    const struct step_work *work = request->work;
    struct translate_settings *settings = &request->settings;
    JsonObject *clone = step_work_fact(work, "clone");
    const char *folder = json_find_string(clone, "target_folder");
    settings->cpus = work->settings.cpus;
    settings->memory_mib = work->settings.memory_mib;
    settings->firmware = work->settings.firmware;
    settings->machine_type = work->settings.machine_type;
    settings->cpu_model = work->settings.cpu_model;
    settings->video = work->settings.video;
    settings->nvram = json_find_string(clone, "nvram");
    settings->nvram_copied = json_find_boolean(clone, "nvram_copied");
    if (folder && step_work_keeps_console(work))
        settings->console_log = keep(request, g_build_filename(folder, "console.log", NULL));
    take_excluded(request);
    return step_work_option_uint(work, "memory_mib", settings->memory_mib, &settings->memory_mib,
                                 error);
}

/* --- the whole -----------------------------------------------------------------------------------
 */

static void request_clear(struct request *request)
{
    opened_machine_close(&request->opened);
    g_ptr_array_unref(request->texts);
    g_array_unref(request->disks);
    g_ptr_array_unref(request->layers);
    g_strfreev(request->excluded);
}

struct translation *translate_work(virConnectPtr connection, const struct step_work *work,
                                   GError **error)
{
    struct request request = {
        .work = work,
        .texts = g_ptr_array_new_with_free_func(g_free),
        .layers = g_ptr_array_new_with_free_func(g_free),
        .disks = g_array_new(FALSE, TRUE, sizeof(struct translate_disk)),
    };
    struct translation *translation = NULL;
    g_autofree char *source = NULL;
    if (open_replica(work, &request.opened, error) &&
        (request.point = opened_machine_point(&request.opened, work->recovery_point, error)) &&
        (source = read_definition(&request.opened, error)) && take_machine(&request, error)) {
        request.settings.exclude_disks = (const char *const *)request.excluded;
        take_identity(&request, connection);
        take_networks(&request);
        take_disks(&request);
        request.settings.nbd_reconnect = knows_reconnect(connection);
        translation = translate_for(connection, source, &request.settings, error);
    }
    request_clear(&request);
    return translation;
}
