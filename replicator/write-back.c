/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/write-back.h"
#include "base/error.h"
#include "replicator/block-map.h"
#include "replicator/layer-reader.h"

#include <string.h>

#define RUN_BLOCKS 16u /* neighbours that are written, or read, at once */

/* One disk on its way. */
struct writing {
    const struct manifest_disk *to;
    const struct nbd_source *target;
    const struct write_back_observer *observer;
    const gint *cancelled;
    struct nbd_handle *handle;
    struct layer_chain *chain;
    GPtrArray *newer; /* struct layer: those between; NULL: all blocks are compared */
    guint8 *wanted;   /* RUN_BLOCKS blocks of the recovery point */
    guint8 *found;    /* the same of the target */
    GArray *written;  /* guint64: numbers of blocks */
    struct write_back_figures figures;
};

/* A run of neighbours that are all candidates, with their content in wanted. */
struct run {
    guint64 first;
    guint count;
    gsize bytes;
    gboolean zero; /* known to be zeros, all of it */
};

/* --- which blocks --------------------------------------------------------------------------------
 */

/* The layers above the one that from has; none when that is not in the chain any more, or when the
 * disk had another size in between: what a smaller one cut off stands in no layer. */
static gboolean open_newer(struct writing *writing, const char *folder,
                           const struct manifest_disk *from, GError **error)
{
    const GPtrArray *names = layer_chain_names(writing->chain);
    guint count = 0;
    while (from && count < names->len && strcmp(names->pdata[count], from->layer) != 0)
        count++;
    if (!from || count == names->len)
        return TRUE;
    writing->newer = g_ptr_array_new_with_free_func((GDestroyNotify)layer_free);
    for (guint i = 0; i < count; i++) {
        struct layer *layer = layer_open(folder, names->pdata[i], error);
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

/* Whether any of the layers has the block. */
static gboolean is_candidate(const struct writing *writing, guint64 block, gboolean *ret_is,
                             GError **error)
{
    *ret_is = writing->newer == NULL;
    for (guint i = 0; writing->newer && i < writing->newer->len && !*ret_is; i++) {
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

/* Reads one block of the recovery point to where it belongs in the run. */
static gboolean read_wanted(struct writing *writing, struct run *run, guint64 block, GError **error)
{
    guint8 *place = writing->wanted + (gsize)run->count * BLOCK_BYTES;
    gsize length = block_length(writing->to->size_bytes, block);
    gboolean zero;
    if (!layer_chain_read_block(writing->chain, block, place, &zero, error))
        return FALSE;
    if (zero)
        memset(place, 0, length);
    else
        zero = bytes_are_zero(place, length);
    if (run->count > 0 && zero != run->zero)
        return TRUE; /* the next run begins with it */
    run->zero = zero;
    run->count++;
    run->bytes += length;
    return TRUE;
}

/* The next run at or after *block, which moves behind it. Its count is 0 at the end of the disk. */
static gboolean next_run(struct writing *writing, guint64 *block, struct run *ret_run,
                         GError **error)
{
    struct run run = {0};
    guint64 end = block_count(writing->to->size_bytes);
    gboolean is;
    while (*block < end && run.count < RUN_BLOCKS) {
        guint count = run.count;
        if (run.count == 0)
            *block = next_present(writing, *block);
        if (*block >= end)
            break;
        if (!is_candidate(writing, *block, &is, error))
            return FALSE;
        if (is && run.count == 0)
            run.first = *block;
        if (is && !read_wanted(writing, &run, *block, error))
            return FALSE;
        if (run.count == count && count > 0)
            break; /* no neighbour of its kind */
        (*block)++;
    }
    *ret_run = run;
    return TRUE;
}

/* --- writing -------------------------------------------------------------------------------------
 */

static gboolean write_blocks(struct writing *writing, const struct run *run, guint first,
                             guint count, GError **error)
{
    guint64 offset = (run->first + first) * BLOCK_BYTES;
    gsize bytes = MIN((gsize)count * BLOCK_BYTES, run->bytes - (gsize)first * BLOCK_BYTES);
    const guint8 *data = writing->wanted + (gsize)first * BLOCK_BYTES;
    int result = run->zero && nbd_can_zero(writing->handle) == 1
                     ? nbd_zero(writing->handle, bytes, offset, 0)
                     : nbd_pwrite(writing->handle, data, bytes, offset, 0);
    if (result < 0) {
        nbd_source_error(writing->target, "write to", error);
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        guint64 block = run->first + first + i;
        g_array_append_val(writing->written, block);
    }
    writing->figures.written_blocks += count;
    writing->figures.zero_blocks += run->zero ? count : 0;
    writing->figures.written_bytes += bytes;
    return TRUE;
}

static gboolean read_found(struct writing *writing, guint64 block, gsize bytes, GError **error)
{
    if (nbd_pread(writing->handle, writing->found, bytes, block * BLOCK_BYTES, 0) == 0)
        return TRUE;
    nbd_source_error(writing->target, "read from", error);
    return FALSE;
}

/* Writes the blocks of a run that the target has otherwise. */
static gboolean write_differing(struct writing *writing, const struct run *run, GError **error)
{
    if (!read_found(writing, run->first, run->bytes, error))
        return FALSE;
    for (guint i = 0; i < run->count; i++) {
        gsize at = (gsize)i * BLOCK_BYTES;
        if (memcmp(writing->found + at, writing->wanted + at, MIN(BLOCK_BYTES, run->bytes - at)) !=
                0 &&
            !write_blocks(writing, run, i, 1, error))
            return FALSE;
    }
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
    guint64 block = 0, total = block_count(writing->to->size_bytes);
    struct run run;
    do {
        if (!check_cancelled(writing, error) || !next_run(writing, &block, &run, error))
            return FALSE;
        writing->figures.candidate_blocks += run.count;
        if (run.count > 0 && !(writing->newer ? write_blocks(writing, &run, 0, run.count, error)
                                              : write_differing(writing, &run, error)))
            return FALSE;
        writing->observer->progress(writing->observer->data, writing->to->name, MIN(block, total),
                                    total);
    } while (run.count > 0);
    if (nbd_can_flush(writing->handle) == 1 && nbd_flush(writing->handle, 0) < 0) {
        nbd_source_error(writing->target, "flush", error);
        return FALSE;
    }
    return TRUE;
}

/* What was written is read back, and held against the layers once more. */
static gboolean check_written(struct writing *writing, GError **error)
{
    for (guint i = 0; i < writing->written->len; i++) {
        guint64 block = g_array_index(writing->written, guint64, i);
        struct run run = {.first = block};
        if (!check_cancelled(writing, error) || !read_wanted(writing, &run, block, error) ||
            !read_found(writing, block, run.bytes, error))
            return FALSE;
        if (memcmp(writing->found, writing->wanted, run.bytes) == 0)
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

static gboolean open_all(struct writing *writing, const char *folder,
                         const struct manifest_disk *from, GError **error)
{
    writing->chain = layer_chain_open(folder, writing->to->layer, error);
    if (!writing->chain || !open_newer(writing, folder, from, error))
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
    layer_chain_free(writing->chain);
    g_clear_pointer(&writing->newer, g_ptr_array_unref);
    g_clear_pointer(&writing->written, g_array_unref);
    g_free(writing->wanted);
    g_free(writing->found);
}

gboolean write_back_disk(const struct store_machine *machine, const struct manifest_disk *from,
                         const struct manifest_disk *to, const struct nbd_source *target,
                         const struct write_back_observer *observer, const gint *cancelled,
                         struct write_back_figures *ret_figures, GError **error)
{
    g_autofree char *folder = store_machine_disk_folder(machine, to->name);
    struct writing writing = {
        .to = to, .target = target, .observer = observer, .cancelled = cancelled};
    gboolean ok = open_all(&writing, folder, from, error) && write_all(&writing, error) &&
                  check_written(&writing, error);
    if (ok)
        *ret_figures = writing.figures;
    else if (error && *error && !g_str_has_prefix((*error)->message, "disk "))
        g_prefix_error(error, "disk %s: ", to->name);
    close_all(&writing);
    return ok;
}
