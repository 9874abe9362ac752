/* SPDX-License-Identifier: Apache-2.0 */

/* Each block that is looked at must have, at the source and in the replica, the hash that the block
 * map will have for it. So the root over the map is the root over both. */

#include "replicator/disk-verify.h"
#include "base/error.h"
#include "replicator/candidates.h"
#include "replicator/disk-pass.h"
#include "replicator/lane-check.h"

/* The blocks that this cycle has changed, those that became zero included. */
static struct extent_list *changed_blocks(const struct disk_cycle *disk, const GArray *changes)
{
    struct extent_list *list = extent_list_new(disk->disk_bytes);
    for (guint i = 0; i < changes->len; i++)
        extent_list_add(list, g_array_index(changes, struct block_change, i).block * BLOCK_BYTES,
                        BLOCK_BYTES, EXTENT_DATA);
    extent_list_seal(list);
    return list;
}

/* What a first copy has read. */
static struct extent_list *data_blocks(const struct disk_cycle *disk)
{
    struct extent_list *list = extent_list_new(disk->disk_bytes);
    const GArray *extents = extent_list_extents(disk->candidates);
    for (guint i = 0; i < extents->len; i++) {
        const struct extent *extent = &g_array_index(extents, struct extent, i);
        if (extent->kind == EXTENT_DATA)
            extent_list_add(list, extent->offset_bytes, extent->length_bytes, EXTENT_DATA);
    }
    extent_list_seal(list);
    return list;
}

static struct extent_list *choose(struct disk_cycle *disk, const struct cycle_context *context,
                                  const GArray *changes, GError **error)
{
    if (context->work->verify == VERIFY_FULL)
        return candidates_all(&disk->work->source, &disk->handle, disk->disk_bytes,
                              context->cancelled, error);
    return changes ? changed_blocks(disk, changes) : data_blocks(disk);
}

static gboolean page_hash(const struct check_expected *expected, guint64 page,
                          struct block_hash *ret_hash, GError **error)
{
    struct block_hash hashes[MAP_PAGE_BLOCKS] = {0};
    guint64 first = page * MAP_PAGE_BLOCKS, end = block_count(expected->disk_bytes);
    if (!check_expected_read(expected, first, (gsize)MIN(MAP_PAGE_BLOCKS, end - first), hashes,
                             error))
        return FALSE;
    *ret_hash = block_map_page_hash(hashes);
    return TRUE;
}

/* The root from the hashes of all blocks: those that were proven, and nothing that was kept. */
static gboolean check_root(const struct check_expected *expected, const struct manifest_disk *entry,
                           GError **error)
{
    guint64 page_count = block_map_page_count(expected->disk_bytes);
    g_autofree struct block_hash *pages = g_new(struct block_hash, page_count);
    for (guint64 page = 0; page < page_count; page++)
        if (!page_hash(expected, page, &pages[page], error))
            return FALSE;
    struct block_hash root = block_map_root(pages, page_count, expected->disk_bytes, entry->seed);
    if (block_hash_equal(&root, &entry->root_hash))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT, block_map_rebuild_hint(),
                       "the source, the replica and the block map agree on every block, and not "
                       "with the map's own root hash");
    return FALSE;
}

static gboolean verify(struct disk_cycle *disk, const struct cycle_context *context,
                       struct manifest_disk *entry, GError **error)
{
    gboolean full = context->work->verify == VERIFY_FULL;
    const GArray *changes = disk->journal ? disk->journal->changes : disk->changes;
    g_autofree char *folder = store_machine_disk_folder(context->machine, entry->name);
    struct check_expected expected = {
        .map = disk->map,
        .changes = disk->mode == SCAN_INITIAL ? NULL : changes,
        .folder = folder,
        .layer = entry->layer,
        .disk_bytes = disk->disk_bytes,
    };
    struct lane_counters counters = {0};
    struct pass_plan plan = {.counters = &counters, .expected = &expected};
    struct extent_list *list = choose(disk, context, expected.changes, error);
    if (!list)
        return FALSE;
    guint64 bytes = extent_list_bytes(list, EXTENT_DATA) + extent_list_bytes(list, EXTENT_ZERO);
    context->observer->verify(context->observer->data, entry->name, context->work->verify, bytes);
    plan.extents = list;
    gboolean ok = disk_pass_run(disk, context, &plan, error) &&
                  (!full || check_root(&expected, entry, error));
    extent_list_free(list);
    entry->verified.blocks = block_count(bytes);
    entry->verified.bytes = bytes;
    return ok;
}

gboolean disk_verify(struct disk_cycle *disk, const struct cycle_context *context,
                     struct manifest_disk *entry, GError **error)
{
    gint64 begun_us = g_get_monotonic_time();
    gboolean full = context->work->verify == VERIFY_FULL;
    entry->verified.mode = context->work->verify;
    if (!full && disk->mode != SCAN_INITIAL && !disk->journal)
        return TRUE; /* nothing was changed */
    nbd_source_disconnect(g_steal_pointer(&disk->handle));
    disk->handle = nbd_source_connect(&disk->work->source, full ? NBD_CONTEXT_ALLOCATION : NULL,
                                      context->cancelled, error);
    if (!disk->handle ||
        !nbd_source_check_size(&disk->work->source, disk->handle, disk->disk_bytes, error) ||
        !verify(disk, context, entry, error))
        return FALSE;
    entry->verified.ms = (guint64)(g_get_monotonic_time() - begun_us) / 1000;
    return TRUE;
}
