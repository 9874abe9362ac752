/* SPDX-License-Identifier: Apache-2.0 */

/* Manifests: an input is taken as it is, and once more with a checksum that fits, so that the
 * search gets behind the first look. */

#include "replicator/manifest.h"
#include "tests/fuzz/scratch-file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

static void try_manifest(const guint8 *data, gsize length)
{
    int fd;
    g_autofree char *path = scratch_file(data, length, &fd);
    g_autoptr(GError) error = NULL;
    struct manifest *manifest = manifest_load(path, &error);
    g_assert_true(!manifest == !!error);
    if (manifest) {
        g_autoptr(JsonObject) object = manifest_to_json(manifest);
        g_assert_nonnull(object);
    }
    manifest_free(manifest);
    close(fd);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    g_autofree char *text = g_strndup((const char *)data, length);
    char *member = strstr(text, "\"checksum\"");
    char *quote = member ? strchr(member + 10, '"') : NULL;
    try_manifest(data, length);
    if (!quote || strlen(quote + 1) < 32)
        return 0;
    memset(quote + 1, '0', 32);
    struct block_hash checksum = block_hash_bytes(text, strlen(text), 0);
    g_autofree char *hex = block_hash_to_hex(&checksum);
    memcpy(quote + 1, hex, 32);
    try_manifest((const guint8 *)text, strlen(text));
    return 0;
}
