/* SPDX-License-Identifier: Apache-2.0 */

/* One JSON object, indented for people, that begins with
 *
 *   "format", "version",
 *   "checksum": 32 hexadecimal digits, XXH3-128 of the file's bytes with these digits as zeros
 *
 * The checksum is over bytes and not over members: whatever wrote the text, and however a JSON
 * library spaces it, each byte counts. */

#include "replicator/sealed-json.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/block-hash.h"
#include "replicator/store-file.h"

#include <string.h>

#define SEALED_BYTES_MAX (16u << 20)
#define CHECKSUM_MEMBER "\"checksum\""
#define NO_CHECKSUM "00000000000000000000000000000000"
#define CORRUPT LANDFALL_ERROR_CORRUPT

gboolean sealed_json_write(const char *path, const struct sealed_kind *kind, JsonObject *body,
                           GError **error)
{
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_string_member(object, "format", kind->format);
    json_object_set_int_member(object, "version", (gint64)kind->version);
    json_object_set_string_member(object, "checksum", NO_CHECKSUM);
    g_autoptr(GList) names = json_object_get_members(body);
    for (GList *name = names; name; name = name->next)
        if (!json_object_has_member(object, name->data))
            json_object_set_member(object, name->data, json_object_dup_member(body, name->data));
    g_autofree char *json = json_object_to_text(object, TRUE);
    g_autofree char *text = g_strconcat(json, "\n", NULL);
    struct block_hash checksum = block_hash_bytes(text, strlen(text), 0);
    g_autofree char *hex = block_hash_to_hex(&checksum);
    char *place = strstr(strstr(text, CHECKSUM_MEMBER), NO_CHECKSUM);
    memcpy(place, hex, strlen(hex));
    return store_file_replace(path, text, strlen(text), error);
}

static gboolean corrupt(GError **error, const char *what)
{
    landfall_error_set(error, CORRUPT, NULL, "%s", what);
    return FALSE;
}

/* The digits are found in the text, set to zero and the whole is hashed. */
static gboolean checksum_check(char *text, gsize length, GError **error)
{
    char *member = strstr(text, CHECKSUM_MEMBER);
    char *quote = member ? strchr(member + strlen(CHECKSUM_MEMBER), '"') : NULL;
    struct block_hash stored, computed;
    if (!quote || strlen(quote + 1) < strlen(NO_CHECKSUM))
        return corrupt(error, "it has no checksum");
    g_autofree char *hex = g_strndup(quote + 1, strlen(NO_CHECKSUM));
    if (!block_hash_from_hex(hex, &stored))
        return corrupt(error, "it has no checksum");
    memcpy(quote + 1, NO_CHECKSUM, strlen(NO_CHECKSUM));
    computed = block_hash_bytes(text, length, 0);
    return block_hash_equal(&stored, &computed) || corrupt(error, "its checksum is wrong");
}

/* Before the checksum: a later version may have it elsewhere, and the advice for a damaged file
 * would throw a good one away. */
static gboolean version_check(JsonObject *object, const struct sealed_kind *kind, GError **error)
{
    const char *format;
    guint64 version;
    if (!json_member_string(object, "format", CORRUPT, &format, error) ||
        !json_member_uint(object, "version", CORRUPT, &version, error))
        return FALSE;
    if (strcmp(format, kind->format) != 0) {
        landfall_error_set(error, CORRUPT, NULL, "its format is not %s", kind->format);
        return FALSE;
    }
    if (version == kind->version)
        return TRUE;
    landfall_error_set(
        error, LANDFALL_ERROR_UNSUPPORTED,
        version > kind->version ? "use the Landfall that wrote this store, or a later one"
                                : "use the Landfall that wrote this store, or make a new store",
        "it has version %" G_GUINT64_FORMAT ", this program knows %" G_GUINT64_FORMAT, version,
        kind->version);
    return FALSE;
}

void sealed_json_refuse(const char *path, const struct sealed_kind *kind, const GError *cause,
                        GError **error)
{
    const char *hint = landfall_error_hint(cause);
    landfall_error_set(error, (enum landfall_error_code)cause->code, hint ? hint : kind->hint,
                       "%s %s: %s", kind->noun, path, cause->message);
}

JsonObject *sealed_json_load(const char *path, const struct sealed_kind *kind, GError **error)
{
    gsize length;
    g_autoptr(GError) cause = NULL;
    g_autofree char *text = store_file_load(path, SEALED_BYTES_MAX, &length, error);
    if (!text)
        return NULL;
    g_autoptr(JsonObject) object = json_parse_object(text, length, "the text", CORRUPT, &cause);
    if (object && version_check(object, kind, &cause) && checksum_check(text, length, &cause))
        return g_steal_pointer(&object);
    sealed_json_refuse(path, kind, cause, error);
    return NULL;
}
