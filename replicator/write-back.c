/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/write-back.h"
#include "base/error.h"
#include "replicator/block-map.h"
#include "replicator/layer-check.h"
#include "replicator/layer-reader.h"
#include "replicator/proven-reader.h"

#include <string.h>

#define RUN_BLOCKS 16u        /* neighbours that are written, or read, at once */
#define PROGRESS_BLOCKS 4096u /* from one word of how far it is to the next */

/* One disk on its way. */
struct writing {
    const struct manifest_disk *to;
    const struct nbd_source *target;
    const struct write_back_observer *observer;
    const gint *cancelled;
    struct nbd_handle *handle;
    struct proven_reader *reader; /* of the recovery point */
    GPtrArray *newer;             /* struct layer: those between; NULL: all blocks are compared */
    guint8 *wanted;               /* RUN_BLOCKS blocks of the recovery point */
    guint8 *found;                /* as many of the target, from found_first on */
    guint64 found_first, found_count;
    GArray *written; /* guint64: numbers of blocks */
    struct write_back_figures figures;
};

/* A run of neighbours that are all to be written, with their content in wanted. */
struct run {
    guint64 first;
    guint count;
    gsize bytes;
    gboolean zero; /* known to be zeros, all of it */
};

/* --- the target ----------------------------------------------------------------------------------
 */

/* Reads what the target has, and as many as max neighbours with it, for those that come next. */
static gboolean read_found(struct writing *writing, guint64 block, guint max, GError **error)
{
    guint64 end = MIN(block + max, block_count(writing->to->size_bytes));
    guint64 offset = block * BLOCK_BYTES;
    gsize bytes = (gsize)(MIN(end * BLOCK_BYTES, writing->to->size_bytes) - offset);
    writing->found_count = 0;
    if (nbd_pread(writing->handle, writing->found, bytes, offset, 0) < 0) {
        nbd_source_error(writing->target, "read from", error);
        return FALSE;
    }
    writing->found_first = block;
    writing->found_count = end - block;
    return TRUE;
}

/* Whether the target has in a block, which was read, what the recovery point has. */
static gboolean is_as_wanted(struct writing *writing, guint64 block, gboolean *ret_is,
                             GError **error)
{
    const guint8 *data = writing->found + (block - writing->found_first) * BLOCK_BYTES;
    gsize length = block_length(writing->to->size_bytes, block);
    struct block_hash wanted, found = block_hash_compute(data, length, writing->to->seed);
    if (!proven_reader_hash(writing->reader, block, &wanted, error))
        return FALSE;
    *ret_is = block_hash_equal(&found, &wanted);
    return TRUE;
}

/* --- which blocks --------------------------------------------------------------------------------
 */

/* The layers above the one that from has; none when that is not in the chain any more, or when the
 * disk had another size in between: what a smaller one cut off stands in no layer. Their tables
 * tell which blocks are written, so these are proven first. */
static gboolean open_newer(struct writing *writing, const char *folder,
                           const struct manifest_disk *from, GError **error)
{
    const GPtrArray *names = proven_reader_layers(writing->reader);
    guint count = 0;
    while (from && count < names->len && strcmp(names->pdata[count], from->layer) != 0)
        count++;
    if (!from || count == names->len)
        return TRUE;
    writing->newer = g_ptr_array_new_with_free_func((GDestroyNotify)layer_free);
    for (guint i = 0; i < count; i++) {
        const char *name = names->pdata[i];
        struct layer *layer =
            layer_check(folder, name, error) ? layer_open(folder, name, error) : NULL;
        if (!layer)
            return FALSE;
        g_ptr_array_add(writing->newer, layer);
        if (layer_disk_bytes(layer) != writing->to->size_bytes) {
            g_clear_pointer(&writing->newer, g_ptr_array_unref);
            return TRUE;
        }
    }
    return TRUE;
}

/* Whether any of the layers has the block, or the target has it otherwise. */
static gboolean is_candidate(struct writing *writing, guint64 block, gboolean *ret_is,
                             GError **error)
{
    *ret_is = FALSE;
    if (!writing->newer) {
        gboolean read = block - writing->found_first < writing->found_count;
        if ((!read && !read_found(writing, block, RUN_BLOCKS, error)) ||
            !is_as_wanted(writing, block, ret_is, error))
            return FALSE;
        *ret_is = !*ret_is;
        return TRUE;
    }
    for (guint i = 0; i < writing->newer->len && !*ret_is; i++) {
        enum layer_cluster kind;
        guint64 offset;
        if (!layer_lookup(writing->newer->pdata[i], block, &kind, &offset, error))
            return FALSE;
        *ret_is = kind != LAYER_CLUSTER_ABSENT;
    }
    return TRUE;
}

/* The first block at or after block that may be one. */
static guint64 next_present(const struct writing *writing, guint64 block)
{
    guint64 next = writing->newer ? G_MAXUINT64 : block;
    for (guint i = 0; writing->newer && i < writing->newer->len; i++)
        next = MIN(next, layer_next_present(writing->newer->pdata[i], block));
    return next;
}

/* Reads one block of the recovery point to where it belongs in the run, unless it is of another
 * kind: the next run begins with that. */
static gboolean add_wanted(struct writing *writing, struct run *run, guint64 block, GError **error)
{
    guint8 *place = writing->wanted + (gsize)run->count * BLOCK_BYTES;
    gboolean zero;
    if (!proven_reader_block(writing->reader, block, place, &zero, error))
        return FALSE;
    if (run->count > 0 && zero != run->zero)
        return TRUE;
    if (run->count == 0)
        run->first = block;
    run->zero = zero;
    run->count++;
    run->bytes += block_length(writing->to->size_bytes, block);
    return TRUE;
}

/* The next run at or after *block, which moves behind it. Empty where there was none for a while.
 */
static gboolean next_run(struct writing *writing, guint64 *block, struct run *ret_run,
                         GError **error)
{
    struct run run = {0};
    guint64 end = block_count(writing->to->size_bytes);
    *block = MIN(end, next_present(writing, *block));
    guint64 until = MIN(end, *block + RUN_BLOCKS);
    for (; *block < until; (*block)++) {
        guint count = run.count;
        gboolean is;
        if (!is_candidate(writing, *block, &is, error) ||
            (is && !add_wanted(writing, &run, *block, error)))
            return FALSE;
        if (count > 0 && run.count == count)
            break; /* no neighbour of its kind */
    }
    *ret_run = run;
    return TRUE;
}

/* --- writing -------------------------------------------------------------------------------------
 */

static gboolean write_run(struct writing *writing, const struct run *run, GError **error)
{
    guint64 offset = run->first * BLOCK_BYTES;
    int result = run->zero && nbd_can_zero(writing->handle) == 1
                     ? nbd_zero(writing->handle, run->bytes, offset, 0)
                     : nbd_pwrite(writing->handle, writing->wanted, run->bytes, offset, 0);
    if (result < 0) {
        nbd_source_error(writing->target, "write to", error);
        return FALSE;
    }
    for (guint64 block = run->first; block < run->first + run->count; block++)
        g_array_append_val(writing->written, block);
    writing->figures.written_blocks += run->count;
    writing->figures.zero_blocks += run->zero ? run->count : 0;
    writing->figures.written_bytes += run->bytes;
    return TRUE;
}

static gboolean check_cancelled(const struct writing *writing, GError **error)
{
    if (!g_atomic_int_get(writing->cancelled))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
    return FALSE;
}

static gboolean write_all(struct writing *writing, GError **error)
{
    guint64 block = 0, told = 0, total = block_count(writing->to->size_bytes);
    while (block < total) {
        struct run run;
        if (!check_cancelled(writing, error) || !next_run(writing, &block, &run, error) ||
            (run.count > 0 && !write_run(writing, &run, error)))
            return FALSE;
        if (block < total && block - told < PROGRESS_BLOCKS)
            continue;
        writing->observer->progress(writing->observer->data, writing->to->name, block, total);
        told = block;
    }
    if (nbd_can_flush(writing->handle) == 1 && nbd_flush(writing->handle, 0) < 0) {
        nbd_source_error(writing->target, "flush", error);
        return FALSE;
    }
    return TRUE;
}

/* What was written is read back, and held against the block map once more. */
static gboolean check_written(struct writing *writing, GError **error)
{
    for (guint i = 0; i < writing->written->len; i++) {
        guint64 block = g_array_index(writing->written, guint64, i);
        gboolean is;
        if (!check_cancelled(writing, error) || !read_found(writing, block, 1, error) ||
            !is_as_wanted(writing, block, &is, error))
            return FALSE;
        if (is)
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                           "look at the storage of the disk and at the memory of this host, then "
                           "run the same again",
                           "block %" G_GUINT64_FORMAT " (byte %" G_GUINT64_FORMAT
                           ") of %s, read back, is not what was written",
                           block, block * BLOCK_BYTES, writing->target->uri);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_target(const struct writing *writing, const struct manifest_disk *from,
                             GError **error)
{
    guint64 bytes;
    if (!nbd_source_size(writing->target, writing->handle, &bytes, error))
        return FALSE;
    if (bytes != writing->to->size_bytes || (from && from->size_bytes != writing->to->size_bytes)) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "give the disk that size (qemu-img resize), then run the same again",
                           "the disk has %" G_GUINT64_FORMAT " bytes, and at the recovery point "
                           "%" G_GUINT64_FORMAT,
                           bytes, writing->to->size_bytes);
        return FALSE;
    }
    if (nbd_is_read_only(writing->handle) == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "%s cannot be written",
                       writing->target->uri);
    return FALSE;
}

static gboolean open_all(struct writing *writing, const struct store_machine *machine,
                         const struct manifest_disk *from, const struct manifest *to,
                         GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, writing->to->name);
    writing->reader = proven_reader_open(machine, to, writing->to->name, error);
    if (!writing->reader || !open_newer(writing, folder, from, error))
        return FALSE;
    writing->handle = nbd_source_connect(writing->target, NULL, writing->cancelled, error);
    writing->wanted = g_malloc((gsize)RUN_BLOCKS * BLOCK_BYTES);
    writing->found = g_malloc((gsize)RUN_BLOCKS * BLOCK_BYTES);
    writing->written = g_array_new(FALSE, FALSE, sizeof(guint64));
    return writing->handle && check_target(writing, from, error);
}

static void close_all(struct writing *writing)
{
    nbd_source_disconnect(writing->handle);
    proven_reader_free(writing->reader);
    g_clear_pointer(&writing->newer, g_ptr_array_unref);
    g_clear_pointer(&writing->written, g_array_unref);
    g_free(writing->wanted);
    g_free(writing->found);
}

gboolean write_back_disk(const struct store_machine *machine, const struct manifest *from,
                         const struct manifest *to, const struct nbd_source *target,
                         const struct write_back_observer *observer, const gint *cancelled,
                         struct write_back_figures *ret_figures, GError **error)
{
    const struct manifest_disk *older = from ? manifest_disk_find(from, target->name) : NULL;
    struct writing writing = {.to = manifest_disk_find(to, target->name),
                              .target = target,
                              .observer = observer,
                              .cancelled = cancelled};
    gboolean ok = open_all(&writing, machine, older, to, error) && write_all(&writing, error) &&
                  check_written(&writing, error);
    if (ok)
        *ret_figures = writing.figures;
    else if (error && *error && !g_str_has_prefix((*error)->message, "disk "))
        g_prefix_error(error, "disk %s: ", target->name);
    close_all(&writing);
    return ok;
}
