/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/layer-format.h"

#include <string.h>

static gsize append_extension(guint8 *sector, gsize at, guint32 type, const char *text)
{
    guint32 fields[2] = {GUINT32_TO_BE(type), GUINT32_TO_BE((guint32)strlen(text))};
    memcpy(sector + at, fields, sizeof fields);
    memcpy(sector + at + sizeof fields, text, strlen(text));
    return at + sizeof fields + (strlen(text) + 7) / 8 * 8;
}

gboolean layer_header_encode(const struct layer_header *header, const char *backing_name,
                             const char *backing_format, guint8 ret_sector[LAYER_HEADER_SECTOR])
{
    gsize format_bytes = 8 + (strlen(backing_format) + 7) / 8 * 8;
    gsize name_at = sizeof *header + format_bytes + 8; /* and the extension that ends the list */
    if (name_at + strlen(backing_name) > LAYER_HEADER_SECTOR)
        return FALSE;
    struct layer_header big = {
        .magic = GUINT32_TO_BE(header->magic),
        .version = GUINT32_TO_BE(header->version),
        .backing_file_offset = GUINT64_TO_BE((guint64)name_at),
        .backing_file_bytes = GUINT32_TO_BE((guint32)strlen(backing_name)),
        .cluster_bits = GUINT32_TO_BE(header->cluster_bits),
        .disk_bytes = GUINT64_TO_BE(header->disk_bytes),
        .l1_entries = GUINT32_TO_BE(header->l1_entries),
        .l1_offset = GUINT64_TO_BE(header->l1_offset),
        .refcount_table_offset = GUINT64_TO_BE(header->refcount_table_offset),
        .refcount_table_clusters = GUINT32_TO_BE(header->refcount_table_clusters),
        .refcount_order = GUINT32_TO_BE(header->refcount_order),
        .header_bytes = GUINT32_TO_BE(header->header_bytes),
    };
    memset(ret_sector, 0, LAYER_HEADER_SECTOR);
    memcpy(ret_sector, &big, sizeof big);
    append_extension(ret_sector, sizeof big, LAYER_EXTENSION_BACKING_FORMAT, backing_format);
    memcpy(ret_sector + name_at, backing_name, strlen(backing_name));
    return TRUE;
}
