/* SPDX-License-Identifier: Apache-2.0 */

/* JSON, version 1: one object.
 *
 *   "version": 1, "store": PATH, "machine": KEY, "machine_name": TEXT,
 *   "describe": { … goes to machine.json },
 *   "consistency": "crash" | "filesystem" | "shutdown", "checkpoint": TEXT, "bitmap_since": TEXT,
 *   "bandwidth": bytes per second, "retain": N, "audit_blocks": N, "reconnect_seconds": N,
 *   "full_scan": true | false, "confirm": true | false,
 *   "verify": "none" | "transferred" | "full",
 *   "disks": [ { "name": TEXT, "uri": NBD-URI, "command": [TEXT, …], "bitmap": CONTEXT,
 *                "demotion_cause": TOKEN, "demotion_detail": TEXT, "images": [TEXT, …] } … ]
 *
 * Only version, store, machine and disks with name and uri are mandatory. */

#include "replicator/work.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/manifest.h"
#include "replicator/store-name.h"

#include <string.h>

#define WORK_VERSION 1u
#define DISKS_MAX 256u
#define CONFIG LANDFALL_ERROR_CONFIG

static void work_disk_free(struct work_disk *disk)
{
    g_free(disk->source.name);
    g_free(disk->source.uri);
    g_strfreev(disk->source.command);
    g_free(disk->bitmap);
    g_free(disk->demotion_cause);
    g_free(disk->demotion_detail);
    g_strfreev(disk->images);
    g_free(disk);
}

struct work *work_new(void)
{
    struct work *work = g_new0(struct work, 1);
    work->consistency = g_strdup("crash");
    work->audit_blocks = WORK_AUDIT_BLOCKS;
    work->reconnect_seconds = WORK_RECONNECT_SECONDS;
    work->disks = g_ptr_array_new_with_free_func((GDestroyNotify)work_disk_free);
    return work;
}

void work_free(struct work *work)
{
    if (!work)
        return;
    g_free(work->store);
    g_free(work->machine);
    g_free(work->machine_name);
    g_clear_pointer(&work->describe, json_object_unref);
    g_free(work->consistency);
    g_free(work->checkpoint);
    g_free(work->bitmap_since);
    g_ptr_array_unref(work->disks);
    g_free(work);
}

struct work_disk *work_add_disk(struct work *work, const char *name)
{
    struct work_disk *disk = g_new0(struct work_disk, 1);
    disk->source.name = g_strdup(name);
    g_ptr_array_add(work->disks, disk);
    return disk;
}

struct work_disk *work_find_disk(const struct work *work, const char *name)
{
    for (guint i = 0; i < work->disks->len; i++) {
        struct work_disk *disk = work->disks->pdata[i];
        if (strcmp(disk->source.name, name) == 0)
            return disk;
    }
    return NULL;
}

static gboolean take_string(JsonObject *object, const char *name, char **target, GError **error)
{
    const char *text = NULL;
    if (!json_optional_string(object, name, CONFIG, &text, error))
        return FALSE;
    if (text) {
        g_free(*target);
        *target = g_strdup(text);
    }
    return TRUE;
}

static gboolean take_count(JsonObject *object, const char *name, guint *target, GError **error)
{
    guint64 value = *target;
    if (!json_optional_uint(object, name, CONFIG, &value, error))
        return FALSE;
    if (value > G_MAXUINT) {
        landfall_error_set(error, CONFIG, NULL, "member '%s' is too large", name);
        return FALSE;
    }
    *target = (guint)value;
    return TRUE;
}

static gboolean take_verify(struct work *work, JsonObject *object, GError **error)
{
    const char *text = NULL;
    if (!json_optional_string(object, "verify", CONFIG, &text, error))
        return FALSE;
    if (!text || verify_mode_from_name(text, &work->verify))
        return TRUE;
    landfall_error_set(error, CONFIG, "write none, transferred or full",
                       "member 'verify' cannot be '%s'", text);
    return FALSE;
}

static gboolean take_disk(struct work *work, JsonObject *object, GError **error)
{
    const char *name, *uri;
    if (!json_member_string(object, "name", CONFIG, &name, error) ||
        !json_member_string(object, "uri", CONFIG, &uri, error))
        return FALSE;
    struct work_disk *disk = work_add_disk(work, name);
    disk->source.uri = g_strdup(uri);
    return json_optional_strings(object, "command", CONFIG, &disk->source.command, error) &&
           json_optional_strings(object, "images", CONFIG, &disk->images, error) &&
           take_string(object, "bitmap", &disk->bitmap, error) &&
           take_string(object, "demotion_cause", &disk->demotion_cause, error) &&
           take_string(object, "demotion_detail", &disk->demotion_detail, error);
}

static gboolean take_describe(struct work *work, JsonObject *object, GError **error)
{
    JsonNode *node = json_object_get_member(object, "describe");
    if (!node || JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        landfall_error_set(error, CONFIG, NULL, "member 'describe' is not an object");
        return FALSE;
    }
    work->describe = json_object_ref(json_node_get_object(node));
    return TRUE;
}

static gboolean take_body(struct work *work, JsonObject *object, GError **error)
{
    guint64 version;
    JsonArray *disks;
    if (!json_member_uint(object, "version", CONFIG, &version, error))
        return FALSE;
    if (version != WORK_VERSION) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "use landfall and landfall-replicate of one version",
                           "the work has version %" G_GUINT64_FORMAT ", this program knows %u",
                           version, WORK_VERSION);
        return FALSE;
    }
    if (!take_string(object, "store", &work->store, error) ||
        !take_string(object, "machine", &work->machine, error) ||
        !take_string(object, "machine_name", &work->machine_name, error) ||
        !take_describe(work, object, error) ||
        !take_string(object, "consistency", &work->consistency, error) ||
        !take_string(object, "checkpoint", &work->checkpoint, error) ||
        !take_string(object, "bitmap_since", &work->bitmap_since, error) ||
        !json_optional_uint(object, "bandwidth", CONFIG, &work->bandwidth, error) ||
        !take_count(object, "retain", &work->retain, error) ||
        !take_count(object, "audit_blocks", &work->audit_blocks, error) ||
        !take_count(object, "reconnect_seconds", &work->reconnect_seconds, error) ||
        !json_optional_boolean(object, "full_scan", CONFIG, &work->full_scan, error) ||
        !json_optional_boolean(object, "confirm", CONFIG, &work->confirm, error) ||
        !take_verify(work, object, error) ||
        !json_member_array(object, "disks", CONFIG, &disks, error))
        return FALSE;
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk;
        if (!json_element_object(disks, i, "disks", CONFIG, &disk, error) ||
            !take_disk(work, disk, error))
            return FALSE;
    }
    return TRUE;
}

struct work *work_parse(const char *text, gsize length_bytes, GError **error)
{
    g_autoptr(JsonObject) object = json_parse_object(text, length_bytes, "the work", CONFIG, error);
    if (!object)
        return NULL;
    struct work *work = work_new();
    if (take_body(work, object, error))
        return work;
    work_free(work);
    g_prefix_error(error, "work: ");
    return NULL;
}

static JsonObject *disk_to_json(const struct work_disk *disk)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", disk->source.name);
    json_object_set_string_member(object, "uri", disk->source.uri);
    json_set_optional_strings(object, "command", (const char *const *)disk->source.command);
    json_set_optional_strings(object, "images", (const char *const *)disk->images);
    json_set_optional_string(object, "bitmap", disk->bitmap);
    json_set_optional_string(object, "demotion_cause", disk->demotion_cause);
    json_set_optional_string(object, "demotion_detail", disk->demotion_detail);
    return object;
}

JsonObject *work_to_json(const struct work *work)
{
    JsonObject *object = json_object_new();
    JsonArray *disks = json_array_new();
    json_object_set_int_member(object, "version", WORK_VERSION);
    json_object_set_string_member(object, "store", work->store);
    json_object_set_string_member(object, "machine", work->machine);
    json_set_optional_string(object, "machine_name", work->machine_name);
    if (work->describe)
        json_object_set_object_member(object, "describe", json_object_ref(work->describe));
    json_object_set_string_member(object, "consistency", work->consistency);
    json_set_optional_string(object, "checkpoint", work->checkpoint);
    json_set_optional_string(object, "bitmap_since", work->bitmap_since);
    json_object_set_int_member(object, "bandwidth", (gint64)work->bandwidth);
    json_object_set_int_member(object, "retain", work->retain);
    json_object_set_int_member(object, "audit_blocks", work->audit_blocks);
    json_object_set_int_member(object, "reconnect_seconds", work->reconnect_seconds);
    json_object_set_boolean_member(object, "full_scan", work->full_scan);
    json_object_set_boolean_member(object, "confirm", work->confirm);
    json_object_set_string_member(object, "verify", verify_mode_name(work->verify));
    for (guint i = 0; i < work->disks->len; i++)
        json_array_add_object_element(disks, disk_to_json(work->disks->pdata[i]));
    json_object_set_array_member(object, "disks", disks);
    return object;
}

static gboolean check_disks(const struct work *work, GError **error)
{
    if (work->disks->len == 0 || work->disks->len > DISKS_MAX) {
        landfall_error_set(error, CONFIG, "name each disk: --disk vda=NBD-URI",
                           work->disks->len ? "more than %u disks" : "no disk to replicate",
                           DISKS_MAX);
        return FALSE;
    }
    for (guint i = 0; i < work->disks->len; i++) {
        const struct work_disk *disk = work->disks->pdata[i];
        if (!store_name_is_safe(disk->source.name)) {
            landfall_error_set(error, CONFIG,
                               "use letters, digits, '.', '_' and '-', not starting with a dot",
                               "'%s' cannot be the name of a disk", disk->source.name);
            return FALSE;
        }
        if (work_find_disk(work, disk->source.name) != disk) {
            landfall_error_set(error, CONFIG, NULL, "disk %s is named twice", disk->source.name);
            return FALSE;
        }
        if (!disk->source.uri) {
            landfall_error_set(error, CONFIG, "name its source: --disk NAME=NBD-URI",
                               "disk %s has no source", disk->source.name);
            return FALSE;
        }
        if (!nbd_source_check(&disk->source, error))
            return FALSE;
    }
    return TRUE;
}

gboolean work_check(const struct work *work, GError **error)
{
    if (!work->store || !work->machine) {
        landfall_error_set(error, CONFIG, "give --store FOLDER and --machine NAME",
                           "the %s is not named", work->store ? "machine" : "store");
        return FALSE;
    }
    if (!store_name_is_safe(work->machine)) {
        landfall_error_set(error, CONFIG,
                           "use letters, digits, '.', '_' and '-', not starting with a dot",
                           "'%s' cannot be the name of a machine's folder", work->machine);
        return FALSE;
    }
    if (work->audit_blocks > WORK_AUDIT_BLOCKS_MAX) {
        landfall_error_set(error, CONFIG, "for more, give --full-scan",
                           "at most %u blocks can be audited, not %u", WORK_AUDIT_BLOCKS_MAX,
                           work->audit_blocks);
        return FALSE;
    }
    if (!consistency_is_known(work->consistency)) {
        landfall_error_set(error, CONFIG, "write crash, filesystem or shutdown",
                           "'%s' is not a consistency", work->consistency);
        return FALSE;
    }
    return check_disks(work, error);
}
