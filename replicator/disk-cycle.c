/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/disk-cycle.h"
#include "replicator/disk-pass.h"
#include "replicator/store-name.h"

#include <string.h>
#include <unistd.h>

struct disk_cycle *disk_cycle_new(const struct work_disk *work)
{
    struct disk_cycle *disk = g_new0(struct disk_cycle, 1);
    disk->work = work;
    disk->changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
    return disk;
}

void disk_cycle_free(struct disk_cycle *disk, const struct cycle_context *context,
                     gboolean keep_files)
{
    if (!disk)
        return;
    nbd_source_close(disk->handle);
    if (disk->replica) {
        if (!keep_files)
            context->ops->abort(disk->replica);
        context->ops->free(disk->replica);
    }
    if (disk->journal_path && !keep_files)
        unlink(disk->journal_path);
    extent_list_free(disk->candidates);
    block_map_free(disk->map);
    map_journal_free(disk->journal);
    if (disk->changes)
        g_array_unref(disk->changes);
    g_free(disk->demotion_cause);
    g_free(disk->demotion_detail);
    g_free(disk->journal_path);
    g_free(disk);
}

/* --- transfer ------------------------------------------------------------------------------------
 */

static gboolean begin_replica(struct disk_cycle *disk, const struct cycle_context *context,
                              GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(context->machine, disk->work->source.name);
    struct block_map *map = NULL;
    struct replica_spec spec = {
        .folder = folder,
        .disk = disk->work->source.name,
        .disk_bytes = disk->disk_bytes,
        .number = context->number,
        .previous = disk->previous,
        .cancelled = context->cancelled,
    };
    disk->replica = context->ops->begin(&spec, &map, error);
    if (map)
        disk->map = map;
    return disk->replica != NULL;
}

gboolean disk_cycle_transfer(struct disk_cycle *disk, const struct cycle_context *context,
                             GError **error)
{
    struct pass_plan plan = {
        .extents = disk->candidates,
        .counters = &disk->counters,
        .in_place = disk->mode == SCAN_INITIAL,
    };
    return begin_replica(disk, context, error) && disk_pass_run(disk, context, &plan, error);
}

/* --- making it durable ---------------------------------------------------------------------------
 */

/* Blocks past the end of a disk that shrank become zero, in the map alone: they must not be taken
 * for known if the disk grows again. */
static gboolean add_cut_tail(struct disk_cycle *disk, GError **error)
{
    guint64 end = block_count(block_map_disk_bytes(disk->map));
    guint64 block = block_count(disk->disk_bytes);
    while ((block = block_map_next_nonzero(disk->map, block)) < end) {
        struct block_change change = {.block = block};
        if (!block_map_read(disk->map, block, 1, &change.before, error))
            return FALSE;
        if (!block_hash_is_zero(&change.before))
            g_array_append_val(disk->changes, change);
        block++;
    }
    return TRUE;
}

static gboolean finish_unchanged(struct disk_cycle *disk, const struct cycle_context *context,
                                 struct manifest_disk *entry)
{
    context->ops->abort(disk->replica);
    context->ops->free(g_steal_pointer(&disk->replica));
    entry->layer = g_strdup(disk->previous->layer);
    entry->layer_bytes = disk->previous->layer_bytes;
    entry->generation = disk->previous->generation;
    entry->root_hash = disk->previous->root_hash;
    return TRUE;
}

static gboolean finish_first(struct disk_cycle *disk, const struct cycle_context *context,
                             struct manifest_disk *entry, GError **error)
{
    guint64 page_count;
    if (!context->ops->finish(disk->replica, disk->changes, &entry->layer, &entry->layer_bytes,
                              error) ||
        !block_map_rehash(disk->map, NULL, error) ||
        !block_map_seal(disk->map, context->number, error))
        return FALSE;
    g_autofree struct block_hash *pages = block_map_load_page_hashes(disk->map, &page_count, error);
    if (!pages)
        return FALSE;
    entry->generation = context->number;
    entry->root_hash =
        block_map_root(pages, page_count, disk->disk_bytes, block_map_seed(disk->map));
    return TRUE;
}

static gboolean finish_delta(struct disk_cycle *disk, const struct cycle_context *context,
                             struct manifest_disk *entry, GError **error)
{
    g_autofree char *name = store_name_number(context->number, ".journal");
    if (!context->ops->finish(disk->replica, disk->changes, &entry->layer, &entry->layer_bytes,
                              error) ||
        !add_cut_tail(disk, error))
        return FALSE;
    struct map_journal *journal = disk->journal = g_new0(struct map_journal, 1);
    journal->generation = context->number;
    journal->disk_bytes_before = block_map_disk_bytes(disk->map);
    journal->disk_bytes = disk->disk_bytes;
    journal->changes = g_steal_pointer(&disk->changes);
    disk->journal_path = store_machine_disk_file(context->machine, disk->work->source.name, name);
    entry->generation = context->number;
    return map_journal_write(disk->journal_path, journal, error) &&
           map_journal_root_after(journal, disk->map, &entry->root_hash, error);
}

static void fill_figures(const struct disk_cycle *disk, struct manifest_disk *entry)
{
    entry->size_bytes = disk->disk_bytes;
    entry->seed = block_map_seed(disk->map);
    entry->mode = disk->mode;
    entry->demotion_cause = g_strdup(disk->demotion_cause);
    entry->demotion_detail = g_strdup(disk->demotion_detail);
    entry->images = g_strdupv(disk->work->images);
    entry->figures = (struct disk_figures){
        .candidate_bytes = extent_list_bytes(disk->candidates, EXTENT_DATA) +
                           extent_list_bytes(disk->candidates, EXTENT_ZERO),
        .read_bytes = disk->counters.read_bytes,
        .sent_bytes = disk->counters.sent_bytes,
        .changed_blocks = disk->counters.changed_blocks,
        .zero_blocks = disk->counters.zero_blocks,
        .audited_blocks = disk->audit.audited_blocks,
        .audit_misses = disk->audit.misses,
    };
}

gboolean disk_cycle_finish(struct disk_cycle *disk, const struct cycle_context *context,
                           struct manifest *manifest, GError **error)
{
    struct manifest_disk *entry = manifest_add_disk(manifest, disk->work->source.name);
    gboolean ok;
    fill_figures(disk, entry);
    if (disk->mode == SCAN_INITIAL)
        ok = finish_first(disk, context, entry, error);
    else if (disk->changes->len == 0 && disk->disk_bytes == disk->previous->size_bytes)
        ok = finish_unchanged(disk, context, entry);
    else
        ok = finish_delta(disk, context, entry, error);
    if (!ok)
        g_prefix_error(error, "disk %s: ", disk->work->source.name);
    return ok;
}

gboolean disk_cycle_settle(struct disk_cycle *disk, GError **error)
{
    return !disk->journal || map_journal_apply(disk->journal, disk->map, error);
}
