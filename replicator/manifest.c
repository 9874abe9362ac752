/* SPDX-License-Identifier: Apache-2.0 */

/* Format, version 1: a sealed JSON object (sealed-json.c) of format "landfall-recovery-point" with
 *
 *   "number", "machine", "machine_name", "created", "consistency", "checkpoint", "duration_ms",
 *   "disks": an array of
 *      "name", "size_bytes", "seed" (16 hexadecimal digits), "layer", "layer_bytes", "generation",
 *      "root_hash", "mode", "demotion_cause", "demotion_detail", "images" and the figures of the
 *      cycle.
 *
 * Valid if and only if (1) the checksum holds, (2) every member is there with its type, (3) names
 * are plain file names. A layer's backing files are named in the layers themselves: each fact
 * stands in one place, and a merge rewrites the manifests of one recovery point instead of all. */

#include "replicator/manifest.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/block-map.h"
#include "replicator/sealed-json.h"
#include "replicator/store-name.h"

#include <string.h>

#define CORRUPT LANDFALL_ERROR_CORRUPT

static const struct sealed_kind manifest_kind = {
    .noun = "manifest",
    .format = "landfall-recovery-point",
    .version = 1,
    .hint = "bring the file back from a backup, or move it out of the store: the other recovery "
            "points do not need it",
};

static const char *const mode_names[] = {
    [SCAN_INITIAL] = "initial", [SCAN_BITMAP] = "bitmap", [SCAN_HASH_SCAN] = "hash-scan"};
static const char *const verify_names[] = {
    [VERIFY_NONE] = "none", [VERIFY_TRANSFERRED] = "transferred", [VERIFY_FULL] = "full"};
static const char *const consistencies[] = {"crash", "filesystem", "shutdown", NULL};

static void manifest_disk_free(struct manifest_disk *disk)
{
    g_free(disk->name);
    g_free(disk->layer);
    g_free(disk->demotion_cause);
    g_free(disk->demotion_detail);
    g_strfreev(disk->images);
    g_free(disk);
}

struct manifest *manifest_new(void)
{
    struct manifest *manifest = g_new0(struct manifest, 1);
    manifest->disks = g_ptr_array_new_with_free_func((GDestroyNotify)manifest_disk_free);
    return manifest;
}

struct manifest_disk *manifest_add_disk(struct manifest *manifest, const char *name)
{
    struct manifest_disk *disk = g_new0(struct manifest_disk, 1);
    disk->name = g_strdup(name);
    g_ptr_array_add(manifest->disks, disk);
    return disk;
}

void manifest_free(struct manifest *manifest)
{
    if (!manifest)
        return;
    g_free(manifest->machine);
    g_free(manifest->machine_name);
    g_free(manifest->created);
    g_free(manifest->consistency);
    g_free(manifest->checkpoint);
    g_ptr_array_unref(manifest->disks);
    g_free(manifest);
}

struct manifest_disk *manifest_disk_find(const struct manifest *manifest, const char *name)
{
    for (guint i = 0; i < manifest->disks->len; i++) {
        struct manifest_disk *disk = manifest->disks->pdata[i];
        if (strcmp(disk->name, name) == 0)
            return disk;
    }
    return NULL;
}

const char *scan_mode_name(enum scan_mode mode)
{
    return mode_names[mode];
}

const char *verify_mode_name(enum verify_mode mode)
{
    return verify_names[mode];
}

gboolean verify_mode_from_name(const char *text, enum verify_mode *ret_mode)
{
    for (gsize i = 0; i < G_N_ELEMENTS(verify_names); i++) {
        if (strcmp(text, verify_names[i]) == 0) {
            *ret_mode = (enum verify_mode)i;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean consistency_is_known(const char *text)
{
    return g_strv_contains(consistencies, text);
}

/* The figures by their names in JSON: one table for writing and reading. */
struct figure {
    const char *name;
    gsize offset;
};

#define FIGURE(member)                                                                             \
    {                                                                                              \
#member, G_STRUCT_OFFSET(struct disk_figures, member)                                      \
    }

static const struct figure figures[] = {
    FIGURE(candidate_bytes), FIGURE(read_bytes),     FIGURE(sent_bytes),   FIGURE(changed_blocks),
    FIGURE(zero_blocks),     FIGURE(audited_blocks), FIGURE(audit_misses),
};

/* The root is that of both sides: every block that it was taken from was found to be the same. */
static JsonObject *verified_to_json(const struct disk_verified *verified, const char *root)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "mode", verify_names[verified->mode]);
    json_object_set_int_member(object, "blocks", (gint64)verified->blocks);
    json_object_set_int_member(object, "bytes", (gint64)verified->bytes);
    json_object_set_string_member(object, "root_hash", root);
    json_object_set_int_member(object, "ms", (gint64)verified->ms);
    return object;
}

static JsonObject *disk_to_json(const struct manifest_disk *disk)
{
    JsonObject *object = json_object_new();
    g_autofree char *seed = g_strdup_printf("%016" G_GINT64_MODIFIER "x", disk->seed);
    g_autofree char *root = block_hash_to_hex(&disk->root_hash);
    json_object_set_string_member(object, "name", disk->name);
    json_object_set_int_member(object, "size_bytes", (gint64)disk->size_bytes);
    json_object_set_string_member(object, "seed", seed);
    json_object_set_string_member(object, "layer", disk->layer);
    json_object_set_int_member(object, "layer_bytes", (gint64)disk->layer_bytes);
    json_object_set_int_member(object, "generation", (gint64)disk->generation);
    json_object_set_string_member(object, "root_hash", root);
    json_object_set_string_member(object, "mode", mode_names[disk->mode]);
    json_set_optional_string(object, "demotion_cause", disk->demotion_cause);
    json_set_optional_string(object, "demotion_detail", disk->demotion_detail);
    json_set_optional_strings(object, "images", (const char *const *)disk->images);
    for (gsize i = 0; i < G_N_ELEMENTS(figures); i++)
        json_object_set_int_member(
            object, figures[i].name,
            (gint64)G_STRUCT_MEMBER(guint64, &disk->figures, figures[i].offset));
    if (disk->verified.mode != VERIFY_NONE)
        json_object_set_object_member(object, "verified", verified_to_json(&disk->verified, root));
    return object;
}

JsonObject *manifest_to_json(const struct manifest *manifest)
{
    JsonObject *object = json_object_new();
    JsonArray *disks = json_array_new();
    json_object_set_int_member(object, "number", (gint64)manifest->number);
    json_object_set_string_member(object, "machine", manifest->machine);
    json_object_set_string_member(object, "machine_name", manifest->machine_name);
    json_object_set_string_member(object, "created", manifest->created);
    json_object_set_string_member(object, "consistency", manifest->consistency);
    json_set_optional_string(object, "checkpoint", manifest->checkpoint);
    json_object_set_int_member(object, "duration_ms", (gint64)manifest->duration_ms);
    for (guint i = 0; i < manifest->disks->len; i++)
        json_array_add_object_element(disks, disk_to_json(manifest->disks->pdata[i]));
    json_object_set_array_member(object, "disks", disks);
    return object;
}

gboolean manifest_write(const struct manifest *manifest, const char *path, GError **error)
{
    g_autoptr(JsonObject) body = manifest_to_json(manifest);
    return sealed_json_write(path, &manifest_kind, body, error);
}

static gboolean corrupt(GError **error, const char *what)
{
    landfall_error_set(error, CORRUPT, NULL, "%s", what);
    return FALSE;
}

static gboolean member_dup(JsonObject *object, const char *name, char **ret_text, GError **error)
{
    const char *text;
    if (!json_member_string(object, name, CORRUPT, &text, error))
        return FALSE;
    *ret_text = g_strdup(text);
    return TRUE;
}

static gboolean optional_dup(JsonObject *object, const char *name, char **ret_text, GError **error)
{
    const char *text = NULL;
    if (!json_optional_string(object, name, CORRUPT, &text, error))
        return FALSE;
    *ret_text = g_strdup(text);
    return TRUE;
}

static gboolean disk_hashes_load(struct manifest_disk *disk, JsonObject *object, GError **error)
{
    const char *seed, *root, *mode;
    if (!json_member_string(object, "seed", CORRUPT, &seed, error) ||
        !json_member_string(object, "root_hash", CORRUPT, &root, error) ||
        !json_member_string(object, "mode", CORRUPT, &mode, error))
        return FALSE;
    if (strlen(seed) != 16 ||
        !g_ascii_string_to_unsigned(seed, 16, 0, G_MAXUINT64, &disk->seed, NULL))
        return corrupt(error, "member 'seed' is not 16 hexadecimal digits");
    if (!block_hash_from_hex(root, &disk->root_hash))
        return corrupt(error, "member 'root_hash' is not 32 hexadecimal digits");
    for (gsize i = 0; i < G_N_ELEMENTS(mode_names); i++) {
        if (strcmp(mode, mode_names[i]) == 0) {
            disk->mode = (enum scan_mode)i;
            return TRUE;
        }
    }
    return corrupt(error, "member 'mode' is not known");
}

static gboolean verified_load(struct manifest_disk *disk, JsonObject *object, GError **error)
{
    JsonNode *node = json_object_get_member(object, "verified");
    const char *mode;
    if (!node)
        return TRUE;
    if (!JSON_NODE_HOLDS_OBJECT(node))
        return corrupt(error, "member 'verified' is not an object");
    JsonObject *verified = json_node_get_object(node);
    if (!json_member_string(verified, "mode", CORRUPT, &mode, error) ||
        !json_member_uint(verified, "blocks", CORRUPT, &disk->verified.blocks, error) ||
        !json_member_uint(verified, "bytes", CORRUPT, &disk->verified.bytes, error) ||
        !json_member_uint(verified, "ms", CORRUPT, &disk->verified.ms, error))
        return FALSE;
    return verify_mode_from_name(mode, &disk->verified.mode) ||
           corrupt(error, "member 'verified' has a mode that is not known");
}

static gboolean disk_load(struct manifest *manifest, JsonObject *object, GError **error)
{
    const char *name;
    if (!json_member_string(object, "name", CORRUPT, &name, error))
        return FALSE;
    if (!store_name_is_safe(name) || manifest_disk_find(manifest, name))
        return corrupt(error, "a disk's name cannot be");
    struct manifest_disk *disk = manifest_add_disk(manifest, name);
    if (!json_member_uint(object, "size_bytes", CORRUPT, &disk->size_bytes, error) ||
        !member_dup(object, "layer", &disk->layer, error) ||
        !json_member_uint(object, "layer_bytes", CORRUPT, &disk->layer_bytes, error) ||
        !json_member_uint(object, "generation", CORRUPT, &disk->generation, error) ||
        !disk_hashes_load(disk, object, error) ||
        !optional_dup(object, "demotion_cause", &disk->demotion_cause, error) ||
        !optional_dup(object, "demotion_detail", &disk->demotion_detail, error) ||
        !json_optional_strings(object, "images", CORRUPT, &disk->images, error) ||
        !verified_load(disk, object, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(figures); i++)
        if (!json_member_uint(object, figures[i].name, CORRUPT,
                              &G_STRUCT_MEMBER(guint64, &disk->figures, figures[i].offset), error))
            return FALSE;
    if (!store_name_is_layer(disk->layer))
        return corrupt(error, "member 'layer' is not the name of a layer");
    if (disk->size_bytes == 0 || disk->size_bytes > DISK_BYTES_MAX)
        return corrupt(error, "member 'size_bytes' cannot be");
    return TRUE;
}

static gboolean body_load(struct manifest *manifest, JsonObject *object, GError **error)
{
    JsonArray *disks;
    if (!json_member_uint(object, "number", CORRUPT, &manifest->number, error) ||
        !member_dup(object, "machine", &manifest->machine, error) ||
        !member_dup(object, "machine_name", &manifest->machine_name, error) ||
        !member_dup(object, "created", &manifest->created, error) ||
        !member_dup(object, "consistency", &manifest->consistency, error) ||
        !optional_dup(object, "checkpoint", &manifest->checkpoint, error) ||
        !json_member_uint(object, "duration_ms", CORRUPT, &manifest->duration_ms, error) ||
        !json_member_array(object, "disks", CORRUPT, &disks, error))
        return FALSE;
    if (!consistency_is_known(manifest->consistency))
        return corrupt(error, "member 'consistency' is not known");
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk;
        if (!json_element_object(disks, i, "disks", CORRUPT, &disk, error) ||
            !disk_load(manifest, disk, error))
            return FALSE;
    }
    return manifest->disks->len > 0 || corrupt(error, "it names no disk");
}

struct manifest *manifest_load(const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonObject) object = sealed_json_load(path, &manifest_kind, error);
    if (!object)
        return NULL;
    struct manifest *manifest = manifest_new();
    if (body_load(manifest, object, &cause))
        return manifest;
    manifest_free(manifest);
    sealed_json_refuse(path, &manifest_kind, cause, error);
    return NULL;
}
