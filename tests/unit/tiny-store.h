/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A store made by hand: a machine with one disk of eight blocks, whose recovery point N has block
 * N % 8 filled with the byte N and everything else as it was. */

#include "replicator/block-map.h"
#include "replicator/layer-reader.h"
#include "replicator/layer-writer.h"
#include "replicator/map-journal.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"
#include "replicator/store.h"
#include "tests/unit/temp-folder.h"

#include <string.h>

#define TINY_BLOCKS 8u
#define TINY_BYTES (TINY_BLOCKS * (guint64)BLOCK_BYTES)
#define TINY_SEED 5ull

static inline void tiny_fill(guint8 *data, guint number)
{
    memset(data, (int)number, BLOCK_BYTES);
}

static inline void tiny_manifest(const struct store_machine *machine, guint number,
                                 const char *layer, guint64 layer_bytes,
                                 const struct block_hash *root)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = store_machine_manifest_path(machine, number);
    struct manifest *manifest = manifest_new();
    struct manifest_disk *disk = manifest_add_disk(manifest, "vda");
    manifest->number = number;
    manifest->machine = g_strdup(machine->key);
    manifest->machine_name = g_strdup("Tiny");
    manifest->created = g_strdup("2026-01-01T00:00:00Z");
    manifest->consistency = g_strdup("crash");
    disk->size_bytes = TINY_BYTES;
    disk->seed = TINY_SEED;
    disk->layer = g_strdup(layer);
    disk->layer_bytes = layer_bytes;
    disk->generation = number;
    disk->root_hash = *root;
    disk->mode = number == 1 ? SCAN_INITIAL : SCAN_HASH_SCAN;
    g_assert_true(manifest_write(manifest, path, &error));
    g_assert_no_error(error);
    g_ptr_array_add(machine->manifests, manifest);
}

static inline void tiny_first(const struct store_machine *machine)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = store_machine_disk_folder(machine, "vda");
    g_autofree char *base = store_machine_disk_file(machine, "vda", BASE_NAME);
    g_autofree char *map_path = store_machine_disk_file(machine, "vda", BLOCK_MAP_NAME);
    g_autofree guint8 *data = g_malloc0(TINY_BYTES);
    guint64 page_count;
    g_assert_true(store_folder_create(folder, &error));
    tiny_fill(data + BLOCK_BYTES, 1);
    temp_file_save(base, data, TINY_BYTES);
    struct block_map *map = block_map_create(map_path, TINY_BYTES, TINY_SEED, &error);
    struct block_hash hash = block_hash_compute(data + BLOCK_BYTES, BLOCK_BYTES, TINY_SEED);
    g_assert_true(block_map_write(map, 1, 1, &hash, &error));
    g_assert_true(block_map_rehash(map, NULL, &error) && block_map_seal(map, 1, &error));
    g_autofree struct block_hash *pages = block_map_load_page_hashes(map, &page_count, &error);
    struct block_hash root = block_map_root(pages, page_count, TINY_BYTES, TINY_SEED);
    block_map_free(map);
    tiny_manifest(machine, 1, BASE_NAME, TINY_BYTES, &root);
}

/* The next recovery point; settle: the block map gets its journal, as after an undisturbed cycle.
 */
static inline void tiny_next(const struct store_machine *machine, gboolean settle)
{
    g_autoptr(GError) error = NULL;
    const struct manifest *latest = store_machine_latest(machine);
    guint number = (guint)latest->number + 1;
    const char *below = manifest_disk_find(latest, "vda")->layer;
    g_autofree char *name = store_name_number(number, ".qcow2");
    g_autofree char *journal_name = store_name_number(number, ".journal");
    g_autofree char *path = store_machine_disk_file(machine, "vda", name);
    g_autofree char *journal_path = store_machine_disk_file(machine, "vda", journal_name);
    g_autofree char *map_path = store_machine_disk_file(machine, "vda", BLOCK_MAP_NAME);
    g_autofree guint8 *data = g_malloc(BLOCK_BYTES);
    struct block_change change = {.block = number % TINY_BLOCKS};
    struct block_hash root;
    guint64 bytes;
    struct layer_writer *writer = layer_writer_create(
        path, TINY_BYTES, below, strcmp(below, BASE_NAME) ? "qcow2" : "raw", &error);
    tiny_fill(data, number);
    change.after = block_hash_compute(data, BLOCK_BYTES, TINY_SEED);
    change.layer_offset = layer_writer_allocate(writer, 1);
    temp_file_put(path, data, BLOCK_BYTES, change.layer_offset);
    struct map_journal journal = {number, TINY_BYTES, TINY_BYTES, NULL};
    journal.changes = g_array_new(FALSE, FALSE, sizeof change);
    struct block_map *map = block_map_open(map_path, TRUE, &error);
    g_assert_true(block_map_read(map, change.block, 1, &change.before, &error));
    g_array_append_val(journal.changes, change);
    g_assert_true(layer_writer_finish(writer, journal.changes, &bytes, &error));
    layer_writer_free(writer);
    g_assert_true(map_journal_write(journal_path, &journal, &error));
    g_assert_true(map_journal_root_after(&journal, map, &root, &error));
    tiny_manifest(machine, number, name, bytes, &root);
    g_assert_true(!settle || map_journal_apply(&journal, map, &error));
    g_assert_no_error(error);
    g_array_unref(journal.changes);
    block_map_free(map);
}

/* Expects recovery point number to read as it was made. */
static inline void tiny_expect(const struct store_machine *machine, guint number)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = store_machine_disk_folder(machine, "vda");
    g_autofree guint8 *expected = g_malloc0(TINY_BYTES);
    g_autofree guint8 *found = g_malloc0(BLOCK_BYTES);
    const struct manifest *manifest = store_machine_find(machine, number);
    g_assert_nonnull(manifest);
    for (guint i = 1; i <= number; i++)
        tiny_fill(expected + i % TINY_BLOCKS * BLOCK_BYTES, i);
    struct layer_chain *chain =
        layer_chain_open(folder, manifest_disk_find(manifest, "vda")->layer, &error);
    g_assert_no_error(error);
    for (guint64 block = 0; block < TINY_BLOCKS; block++) {
        gboolean zero;
        g_assert_true(layer_chain_read_block(chain, block, found, &zero, &error));
        if (zero)
            memset(found, 0, BLOCK_BYTES);
        g_assert_cmpmem(found, BLOCK_BYTES, expected + block * BLOCK_BYTES, BLOCK_BYTES);
    }
    layer_chain_free(chain);
}

static inline gboolean tiny_has_file(const struct store_machine *machine, const char *name)
{
    g_autofree char *path = store_machine_disk_file(machine, "vda", name);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}
