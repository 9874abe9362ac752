/* SPDX-License-Identifier: Apache-2.0 */

/* The layer is read as the list of changes it holds, the writer makes its tables of that list once
 * more, in memory, and both must agree in every byte that is not data. */

#include "replicator/layer-check.h"
#include "base/error.h"
#include "replicator/layer-format.h"
#include "replicator/layer-reader.h"
#include "replicator/layer-writer.h"
#include "replicator/map-journal.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct checking {
    struct layer *layer;
    char *path;
    int fd;          /* of the layer */
    GArray *changes; /* struct block_change: what the layer holds */
    guint64 data_clusters;
    int again_fd; /* the tables made again; borrowed from the writer */
};

static gboolean corrupt(const struct checking *checking, GError **error, const char *what)
{
    landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                       "verify the other recovery points (--all), and go back to a whole one",
                       "layer %s: %s", checking->path, what);
    return FALSE;
}

static gboolean collect(struct checking *checking, GError **error)
{
    guint64 end = block_count(layer_disk_bytes(checking->layer));
    for (guint64 block = layer_next_present(checking->layer, 0); block < end;
         block = layer_next_present(checking->layer, block + 1)) {
        struct block_change change = {.block = block};
        enum layer_cluster kind;
        if (!layer_lookup(checking->layer, block, &kind, &change.layer_offset, error))
            return FALSE;
        if (kind == LAYER_CLUSTER_ABSENT)
            continue;
        if (kind == LAYER_CLUSTER_DATA)
            checking->data_clusters++;
        g_array_append_val(checking->changes, change);
    }
    return TRUE;
}

/* Data clusters are those right behind the header, each used by one block. */
static gboolean check_data_clusters(const struct checking *checking, GError **error)
{
    g_autofree guint8 *used = g_malloc0(checking->data_clusters + 1);
    for (guint i = 0; i < checking->changes->len; i++) {
        const struct block_change *change =
            &g_array_index(checking->changes, struct block_change, i);
        guint64 cluster = change->layer_offset / LAYER_CLUSTER_BYTES;
        if (cluster == 0)
            continue;
        if (cluster > checking->data_clusters || used[cluster]++)
            return corrupt(checking, error, "two blocks share a cluster");
    }
    return TRUE;
}

/* The last block of a disk may be shorter than its cluster; the rest of that is zero. */
static gboolean check_tail(const struct checking *checking, GError **error)
{
    guint64 disk_bytes = layer_disk_bytes(checking->layer);
    gsize length = block_length(disk_bytes, block_count(disk_bytes) - 1);
    const struct block_change *last =
        checking->changes->len
            ? &g_array_index(checking->changes, struct block_change, checking->changes->len - 1)
            : NULL;
    guint8 rest[LAYER_CLUSTER_BYTES];
    if (!last || last->block != block_count(disk_bytes) - 1 || last->layer_offset == 0 ||
        length == LAYER_CLUSTER_BYTES)
        return TRUE;
    return store_file_read(checking->fd, checking->path, rest, sizeof rest - length,
                           last->layer_offset + length, error) &&
           (bytes_are_zero(rest, sizeof rest - length) ||
            corrupt(checking, error, "there is something behind the end of the disk"));
}

static gboolean compare_cluster(const struct checking *checking, guint64 offset, GError **error)
{
    guint8 is[LAYER_CLUSTER_BYTES], must_be[LAYER_CLUSTER_BYTES];
    if (!store_file_read(checking->fd, checking->path, is, sizeof is, offset, error) ||
        !store_file_read(checking->again_fd, checking->path, must_be, sizeof must_be, offset,
                         error))
        return FALSE;
    return memcmp(is, must_be, sizeof is) == 0 ||
           corrupt(checking, error, offset ? "its tables are damaged" : "its header is damaged");
}

static gboolean compare_tables(const struct checking *checking, guint64 file_bytes, GError **error)
{
    guint64 size_bytes;
    if (!store_file_size(checking->fd, checking->path, &size_bytes, error))
        return FALSE;
    if (size_bytes != file_bytes)
        return corrupt(checking, error, "it does not have its size");
    if (!compare_cluster(checking, 0, error))
        return FALSE;
    for (guint64 offset = (checking->data_clusters + 1) * LAYER_CLUSTER_BYTES; offset < file_bytes;
         offset += LAYER_CLUSTER_BYTES)
        if (!compare_cluster(checking, offset, error))
            return FALSE;
    return TRUE;
}

/* The journal also has blocks past the end of a disk that shrank, behind all others. */
static gboolean check_journal(const struct checking *checking, const struct map_journal *journal,
                              GError **error)
{
    guint64 end = block_count(layer_disk_bytes(checking->layer));
    guint count = journal->changes->len;
    while (count > 0 &&
           g_array_index(journal->changes, struct block_change, count - 1).block >= end)
        count--;
    gboolean same = count == checking->changes->len;
    for (guint i = 0; same && i < count; i++) {
        const struct block_change *held = &g_array_index(checking->changes, struct block_change, i);
        const struct block_change *noted = &g_array_index(journal->changes, struct block_change, i);
        same = held->block == noted->block &&
               (held->layer_offset == 0) == block_hash_is_zero(&noted->after);
    }
    return same || corrupt(checking, error, "it does not hold the blocks that its journal names");
}

static gboolean check_tables(struct checking *checking, GError **error)
{
    guint64 file_bytes;
    int fd = memfd_create("landfall-layer", MFD_CLOEXEC);
    if (fd < 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot take memory");
        return FALSE;
    }
    struct layer_writer *writer = layer_writer_new(
        fd, checking->path, layer_disk_bytes(checking->layer), layer_backing_name(checking->layer),
        layer_backing_format(checking->layer));
    checking->again_fd = fd;
    layer_writer_allocate(writer, (guint)checking->data_clusters);
    gboolean ok = layer_writer_finish(writer, checking->changes, &file_bytes, error) &&
                  compare_tables(checking, file_bytes, error);
    layer_writer_free(writer);
    return ok;
}

static struct map_journal *load_journal(const char *folder, const char *layer, GError **error)
{
    guint64 number = 0;
    store_name_parse_number(layer, ".qcow2", &number);
    g_autofree char *name = store_name_number(number, ".journal");
    g_autofree char *path = g_build_filename(folder, name, NULL);
    return map_journal_load(path, error);
}

gboolean layer_check(const char *folder, const char *name, GError **error)
{
    struct checking checking = {.fd = -1};
    struct map_journal *journal = load_journal(folder, name, error);
    checking.layer = journal ? layer_open(folder, name, error) : NULL;
    if (!checking.layer) {
        map_journal_free(journal);
        return FALSE;
    }
    checking.path = g_build_filename(folder, name, NULL);
    checking.changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
    checking.fd = store_file_open(checking.path, O_RDONLY, error);
    gboolean ok = checking.fd >= 0 && collect(&checking, error) &&
                  check_data_clusters(&checking, error) && check_tail(&checking, error) &&
                  check_journal(&checking, journal, error) && check_tables(&checking, error);
    if (checking.fd >= 0)
        close(checking.fd);
    g_array_unref(checking.changes);
    g_free(checking.path);
    layer_free(checking.layer);
    map_journal_free(journal);
    return ok;
}
