/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The JSON files of the store: objects with a format, a version, and a checksum of the file's own
 * bytes, so that no bit of them changes unseen. How the checksum is made stands at the head of
 * sealed-json.c. */

#include <json-glib/json-glib.h>

/* What one such file is. */
struct sealed_kind {
    const char *noun; /* for errors: "manifest" */
    const char *format;
    guint64 version;
    const char *hint; /* what to do about a damaged one */
};

/* Writes path atomically and durably: format, version and checksum, then the members of body. */
gboolean sealed_json_write(const char *path, const struct sealed_kind *kind, JsonObject *body,
                           GError **error);

/* The object in the file; the caller owns it. Errors: corrupt (not what was written: any changed
 * byte), unsupported (another version), replica. Each names the file. */
JsonObject *sealed_json_load(const char *path, const struct sealed_kind *kind, GError **error);

/* Error of cause's code for the file, with the hint of its kind where cause has none: for what the
 * members hold. */
void sealed_json_refuse(const char *path, const struct sealed_kind *kind, const GError *cause,
                        GError **error);
