/* SPDX-License-Identifier: Apache-2.0 */

/* Layers: the reader never leaves the file and never takes what it cannot be. The input is the
 * file's tables: its first 512 bytes are the header's sector, then 4 KiB each for the L1 and an L2
 * table at their places, the rest of the file is a hole, so that inputs stay small. */

#include "replicator/block-map.h"
#include "replicator/layer-reader.h"
#include "tests/fuzz/scratch-file.h"

#include <string.h>

#define CLUSTER 65536
#define LOOKUPS 1024u

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

static void put(int fd, const guint8 *data, gsize length, gsize from, gsize size, off_t at)
{
    if (from < length)
        g_assert_cmpint(pwrite(fd, data + from, MIN(size, length - from), at), >, 0);
}

static void look(struct layer *layer)
{
    guint64 end = block_count(layer_disk_bytes(layer)), block = 0;
    g_assert_nonnull(layer_backing_name(layer));
    for (guint i = 0; i < LOOKUPS && block < end;
         i++, block = layer_next_present(layer, block + 1)) {
        enum layer_cluster kind;
        guint64 offset = 0;
        guint8 byte;
        g_autoptr(GError) error = NULL;
        if (!layer_lookup(layer, block, &kind, &offset, &error))
            g_assert_nonnull(error);
        else if (kind == LAYER_CLUSTER_DATA)
            g_assert_true(layer_read(layer, offset, &byte, 1, &error));
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    int fd;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = scratch_file(NULL, 0, &fd);
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    g_assert_cmpint(ftruncate(fd, 5 * CLUSTER), ==, 0);
    put(fd, data, length, 0, 512, 0);
    put(fd, data, length, 512, 4096, 3 * CLUSTER);
    put(fd, data, length, 512 + 4096, 4096, 4 * CLUSTER);
    struct layer *layer = layer_open(folder, name, &error);
    g_assert_true(!layer == !!error);
    if (layer)
        look(layer);
    layer_free(layer);
    close(fd);
    return 0;
}
