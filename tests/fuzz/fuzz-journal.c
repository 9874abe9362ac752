/* SPDX-License-Identifier: Apache-2.0 */

/* Map journals: an input as it is, and with a checksum that fits; one that is good foretells a root
 * for a small map. */

#include "replicator/map-journal.h"
#include "tests/fuzz/scratch-file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

static void use(const struct map_journal *journal)
{
    int fd;
    struct block_hash root;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = scratch_file(NULL, 0, &fd);
    if (journal->disk_bytes > 1ull << 32)
        return; /* as large as a disk may be, and too large to be quick */
    struct block_map *map = block_map_create(path, 3 * 16777216 + 512, 1, &error);
    g_assert_no_error(error);
    g_assert_true(map_journal_root_after(journal, map, &root, &error));
    if (journal->generation > 0)
        g_assert_true(map_journal_apply(journal, map, &error));
    block_map_free(map);
    close(fd);
}

static void try_journal(const guint8 *data, gsize length)
{
    int fd;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = scratch_file(data, length, &fd);
    struct map_journal *journal = map_journal_load(path, &error);
    g_assert_true(!journal == !!error);
    if (journal)
        use(journal);
    map_journal_free(journal);
    close(fd);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    try_journal(data, length);
    if (length < 16)
        return 0;
    g_autofree guint8 *fitting = g_memdup2(data, length);
    struct block_hash checksum = block_hash_bytes(fitting, length - 16, 0);
    memcpy(fitting + length - 16, checksum.bytes, 16);
    try_journal(fitting, length);
    return 0;
}
