/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/layer-writer.c, layer-reader.c, layer-chain.c: what one writes the other reads, and
 * qemu-img, too; chains over disks of changing sizes; damaged tables are told from good ones. */

#include "base/error.h"
#include "replicator/layer-reader.h"
#include "replicator/layer-writer.h"
#include "replicator/store-file.h"
#include "tests/unit/temp-folder.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((guint64)BLOCK_BYTES)
#define TABLE_BLOCKS 8192u /* of one L2 table: 512 MiB */

/* The content of a block in the layer of that number. */
static void fill(guint8 *data, guint layer, guint64 block)
{
    memset(data, (int)(1 + layer), BLOCK_BYTES);
    memcpy(data, &block, sizeof block);
}

struct piece {
    guint64 block;
    gboolean zero;
};

/* Writes layer NUMBER.qcow2 with these pieces, data clusters in reverse order, as lanes may. */
static void write_layer(const char *folder, guint number, const char *below, guint64 disk_bytes,
                        const struct piece *pieces, gsize n)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strdup_printf("%06u.qcow2", number);
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree guint8 *data = g_malloc(BLOCK_BYTES);
    g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
    gboolean raw = g_str_has_suffix(below, ".raw");
    struct layer_writer *writer =
        layer_writer_create(path, disk_bytes, below, raw ? "raw" : "qcow2", &error);
    g_assert_no_error(error);
    for (gsize i = n; i > 0; i--) {
        struct block_change change = {.block = pieces[i - 1].block};
        if (!pieces[i - 1].zero) {
            change.layer_offset = layer_writer_allocate(writer, 1);
            fill(data, number, change.block);
            temp_file_put(path, data, block_length(disk_bytes, change.block), change.layer_offset);
        }
        g_array_prepend_val(changes, change);
    }
    guint64 bytes = 0;
    g_assert_true(layer_writer_finish(writer, changes, &bytes, &error));
    g_assert_no_error(error);
    layer_writer_free(writer);
    gsize length;
    g_autofree char *whole = temp_file_load(path, &length);
    g_assert_cmpuint(length, ==, bytes);
}

static void write_base(const char *folder, guint64 disk_bytes, guint blocks)
{
    g_autofree char *path = g_build_filename(folder, "base.raw", NULL);
    g_autofree guint8 *data = g_malloc(BLOCK_BYTES);
    FILE *file = g_fopen(path, "we");
    for (guint block = 0; block < blocks; block++) {
        fill(data, 0, block);
        g_assert_cmpuint(fwrite(data, 1, BLOCK_BYTES, file), ==, BLOCK_BYTES);
    }
    g_assert_cmpint(fclose(file), ==, 0);
    g_assert_cmpint(truncate(path, (off_t)disk_bytes), ==, 0);
}

/* Expects block to come from that layer; -1: zero. */
static void expect_block(struct layer_chain *chain, guint64 block, int layer)
{
    g_autoptr(GError) error = NULL;
    gboolean zero;
    gsize length = block_length(layer_chain_disk_bytes(chain), block);
    g_autofree guint8 *found = g_malloc(BLOCK_BYTES);
    g_autofree guint8 *expected = g_malloc0(BLOCK_BYTES);
    memset(found, 0x77, BLOCK_BYTES);
    g_assert_true(layer_chain_read_block(chain, block, found, &zero, &error));
    g_assert_no_error(error);
    if (layer >= 0)
        fill(expected, (guint)layer, block);
    g_assert_false(zero && layer >= 0);
    if (!zero)
        g_assert_cmpmem(found, length, expected, length);
}

static void run(const char *const *argv)
{
    gint status = 0;
    g_autoptr(GError) error = NULL;
    g_autofree char *output = NULL, *errors = NULL;
    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output,
                               &errors, &status, &error));
    if (!g_spawn_check_wait_status(status, &error))
        g_test_message("%s: %s%s", argv[0], output, errors);
    g_assert_no_error(error);
}

static void qemu_img_check(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    const char *const argv[] = {"qemu-img", "check", "-q", "-f", "qcow2", path, NULL};
    run(argv);
}

/* Our reading of a chain is QEMU's. */
static void qemu_img_agrees(const char *folder, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *copy = g_build_filename(folder, "copy", NULL);
    g_autofree guint8 *data = g_malloc(BLOCK_BYTES);
    struct layer_chain *chain = layer_chain_open(folder, name, &error);
    g_assert_no_error(error);
    guint64 disk_bytes = layer_chain_disk_bytes(chain);
    int fd = store_file_open(copy, O_RDWR | O_CREAT | O_TRUNC, &error);
    g_assert_true(store_file_truncate(fd, copy, disk_bytes, &error));
    for (guint64 block = 0; block < block_count(disk_bytes); block++) {
        gboolean zero;
        g_assert_true(layer_chain_read_block(chain, block, data, &zero, &error));
        g_assert_true(zero || store_file_write(fd, copy, data, block_length(disk_bytes, block),
                                               block * BLOCK, &error));
    }
    close(fd);
    layer_chain_free(chain);
    const char *const argv[] = {"qemu-img", "compare", "-q", "-f", "qcow2",
                                "-F",       "raw",     path, copy, NULL};
    run(argv);
    g_assert_cmpint(g_unlink(copy), ==, 0);
}

/* Sizes at the edges of blocks and of L2 tables; no change, one, the first and the last. */
static void test_sizes(void)
{
    static const guint64 sizes[] = {512,
                                    BLOCK - 512,
                                    BLOCK,
                                    BLOCK + 512,
                                    10 * BLOCK,
                                    TABLE_BLOCKS * BLOCK - 512,
                                    TABLE_BLOCKS * BLOCK,
                                    TABLE_BLOCKS * BLOCK + 512,
                                    3 * TABLE_BLOCKS * BLOCK + BLOCK};
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(temp_folder) folder = temp_folder_new();
        g_autoptr(GError) error = NULL;
        guint64 last = block_count(sizes[i]) - 1;
        const struct piece first_and_last[] = {{0, FALSE}, {last, FALSE}};
        const struct piece zero[] = {{last, TRUE}};
        write_base(folder, sizes[i], 0);
        write_layer(folder, 1, "base.raw", sizes[i], NULL, 0);
        write_layer(folder, 2, "000001.qcow2", sizes[i], first_and_last, last ? 2 : 1);
        write_layer(folder, 3, "000002.qcow2", sizes[i], zero, 1);
        struct layer_chain *chain = layer_chain_open(folder, "000002.qcow2", &error);
        g_assert_no_error(error);
        g_assert_cmpuint(layer_chain_disk_bytes(chain), ==, sizes[i]);
        expect_block(chain, 0, 2);
        expect_block(chain, last, 2);
        if (last > 2)
            expect_block(chain, last / 2, -1);
        layer_chain_free(chain);
        chain = layer_chain_open(folder, "000003.qcow2", &error);
        expect_block(chain, last, -1);
        g_assert_cmpuint(layer_chain_names(chain)->len, ==, 4);
        layer_chain_free(chain);
        for (guint number = 1; number <= 3; number++) {
            g_autofree char *name = g_strdup_printf("%06u.qcow2", number);
            qemu_img_check(folder, name);
            qemu_img_agrees(folder, name);
        }
    }
}

/* Enough clusters that refcounts need more than one block (32768 clusters): sparse, so cheap. */
static void test_many_clusters(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    const guint64 blocks = 32768 * 2, disk_bytes = blocks * BLOCK;
    g_autofree char *path = g_build_filename(folder, "000001.qcow2", NULL);
    g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(struct block_change));
    write_base(folder, disk_bytes, 0);
    struct layer_writer *writer = layer_writer_create(path, disk_bytes, "base.raw", "raw", &error);
    guint64 bytes, first = layer_writer_allocate(writer, (guint)blocks);
    for (guint64 block = 0; block < blocks; block++) {
        struct block_change change = {.block = block, .layer_offset = first + block * BLOCK};
        g_array_append_val(changes, change);
    }
    g_assert_true(layer_writer_finish(writer, changes, &bytes, &error));
    g_assert_no_error(error);
    layer_writer_free(writer);
    qemu_img_check(folder, "000001.qcow2");
}

/* A disk that shrank and grew again: the old tail is not there. */
static void test_chain_sizes(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    const struct piece one[] = {{1, FALSE}};
    write_base(folder, 10 * BLOCK, 10);
    write_layer(folder, 1, "base.raw", 4 * BLOCK, one, 1);
    write_layer(folder, 2, "000001.qcow2", 12 * BLOCK, NULL, 0);
    struct layer_chain *chain = layer_chain_open(folder, "000002.qcow2", &error);
    g_assert_no_error(error);
    for (guint64 block = 0; block < 12; block++)
        expect_block(chain, block, block == 1 ? 1 : block < 4 ? 0 : -1);
    layer_chain_free(chain);
    qemu_img_agrees(folder, "000002.qcow2");
}

static void test_rebase(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    const struct piece one[] = {{1, FALSE}}, two[] = {{2, FALSE}};
    write_base(folder, 4 * BLOCK, 4);
    write_layer(folder, 1, "base.raw", 4 * BLOCK, one, 1);
    write_layer(folder, 2, "000001.qcow2", 4 * BLOCK, two, 1);
    g_assert_true(layer_rebase(folder, "000002.qcow2", "base.raw", "raw", &error));
    g_assert_no_error(error);
    struct layer_chain *chain = layer_chain_open(folder, "000002.qcow2", &error);
    g_assert_cmpuint(layer_chain_names(chain)->len, ==, 2);
    expect_block(chain, 1, 0);
    expect_block(chain, 2, 2);
    layer_chain_free(chain);
    qemu_img_check(folder, "000002.qcow2");
    qemu_img_agrees(folder, "000002.qcow2");
}

static void test_names(void)
{
    static const char *const below[] = {"../base.raw", "x.qcow2",      "block-map",  "..", ".",
                                        "/etc/passwd", "base.raw.raw", "00001.qcow2"};
    for (gsize i = 0; i < G_N_ELEMENTS(below); i++) {
        g_autoptr(temp_folder) folder = temp_folder_new();
        g_autoptr(GError) error = NULL;
        write_layer(folder, 2, below[i], BLOCK, NULL, 0);
        g_assert_null(layer_open(folder, "000002.qcow2", &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    }
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    write_layer(folder, 2, "000003.qcow2", BLOCK, NULL, 0);
    write_layer(folder, 3, "000002.qcow2", BLOCK, NULL, 0);
    g_assert_null(layer_chain_open(folder, "000003.qcow2", &error)); /* a loop */
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
}

/* Reads the whole layer; TRUE when nothing was found to be wrong. */
static gboolean read_all(const char *folder, GError **error)
{
    struct layer *layer = layer_open(folder, "000001.qcow2", error);
    gboolean ok = layer != NULL;
    for (guint64 block = 0; ok && block < block_count(layer_disk_bytes(layer)); block++) {
        enum layer_cluster kind;
        guint64 offset;
        g_autofree guint8 *data = g_malloc(BLOCK_BYTES);
        ok = layer_lookup(layer, block, &kind, &offset, error) &&
             (kind != LAYER_CLUSTER_DATA || layer_read(layer, offset, data, BLOCK_BYTES, error));
    }
    layer_free(layer);
    return ok;
}

/* Any bit of header, L1 or L2: an error or another reading, and never a crash or a read outside of
 * the file. Entries that QEMU would refuse are refused. */
static void test_damage(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "000001.qcow2", NULL);
    g_autoptr(GError) error = NULL;
    const struct piece pieces[] = {{0, FALSE}, {1, TRUE}, {3, FALSE}};
    gsize length;
    write_base(folder, 4 * BLOCK, 4);
    write_layer(folder, 1, "base.raw", 4 * BLOCK, pieces, G_N_ELEMENTS(pieces));
    g_autofree char *bytes = temp_file_load(path, &length);
    g_assert_true(read_all(folder, &error));
    /* Clusters: header, two of data, L2, L1, refcounts. */
    const gsize l2 = 3 * BLOCK, l1 = 4 * BLOCK;
    const struct {
        gsize offset;
        gsize length;
    } parts[] = {{0, 104}, {l2, 40}, {l1, 16}};
    guint refused = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        for (gsize bit = 0; bit < parts[i].length * 8; bit++) {
            gsize at = parts[i].offset + bit / 8;
            int fd = store_file_open(path, O_RDWR, &error);
            char byte = (char)(bytes[at] ^ (1 << bit % 8));
            g_assert_true(store_file_write(fd, path, &byte, 1, at, &error));
            if (!read_all(folder, &error)) {
                g_assert_nonnull(strstr(error->message, path));
                refused++;
            }
            g_clear_error(&error);
            g_assert_true(store_file_write(fd, path, bytes + at, 1, at, &error));
            close(fd);
        }
    }
    g_assert_true(read_all(folder, &error));
    g_assert_cmpuint(refused, >, 800);
    for (gsize cut = 0; cut < length; cut += 4096) {
        g_assert_cmpint(truncate(path, (off_t)(length - cut - 1)), ==, 0);
        if (length - cut - 1 < l1) { /* what is behind the L1 table is not read by us */
            g_assert_false(read_all(folder, &error));
            g_clear_error(&error);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/layers/sizes", test_sizes);
    g_test_add_func("/layers/many-clusters", test_many_clusters);
    g_test_add_func("/layers/chain-sizes", test_chain_sizes);
    g_test_add_func("/layers/rebase", test_rebase);
    g_test_add_func("/layers/names", test_names);
    g_test_add_func("/layers/damage", test_damage);
    return g_test_run();
}
