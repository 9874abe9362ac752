/* SPDX-License-Identifier: Apache-2.0 */

/* Real cycles, and a power cut at every one of their operations on the store: whatever is kept,
 * lost, torn or spoiled of what was not synced, no committed recovery point is lost or wrong, none
 * half made is visible, and a crash of the recovery changes nothing of that. */

#include "replicator/block-hash.h"
#include "tests/crash/file-layer.h"
#include "tests/crash/rig.h"
#include "tests/crash/seed.h"

#include <errno.h>
#include <string.h>

#define BLOCKS 12u
#define SIZE (BLOCKS * (guint64)BLOCK_BYTES)

static const struct rig_options plain = {.by_bitmap = TRUE};
static const struct rig_options both = {.by_bitmap = TRUE, .with_vdb = TRUE};
static const struct rig_options both_retain_2 = {.by_bitmap = TRUE, .with_vdb = TRUE, .retain = 2};

static void expect_fine(char *problem)
{
    if (problem)
        g_error("LANDFALL_SEED=%" G_GUINT64_FORMAT ": %s", seed_get(), problem);
}

/* Content that is nowhere else, in blocks [first, first + n). */
static void fill(struct rig *rig, const char *disk, guint first, guint n)
{
    static guint8 counter;
    g_autofree guint8 *data = g_malloc((gsize)n * BLOCK_BYTES);
    memset(data, ++counter | 1, (gsize)n * BLOCK_BYTES);
    for (guint i = 0; i < n; i++)
        data[(gsize)i * BLOCK_BYTES] = (guint8)i;
    source_write(rig->source, disk, first * (guint64)BLOCK_BYTES, data, (gsize)n * BLOCK_BYTES);
}

static void cycle(struct rig *rig, const struct rig_options *options)
{
    g_autoptr(GError) error = NULL;
    rig_cycle(rig, options, &error);
    g_assert_no_error(error);
}

static void settled_cycle(struct rig *rig, const struct rig_options *options)
{
    cycle(rig, options);
    expect_fine(rig_settle(rig));
}

/* A store with points recovery points of both disks, each with changes, the third without. */
static struct rig *prepared(guint points)
{
    struct rig *rig = rig_new(SIZE, SIZE / 2 + 512);
    fill(rig, "vda", 0, BLOCKS - 4);
    fill(rig, "vdb", 1, 2);
    for (guint i = 0; i < points; i++) {
        if (i != 2) {
            fill(rig, "vda", i % BLOCKS, 2);
            fill(rig, "vdb", i % 6, 1);
            source_zero(rig->source, "vda", (i + 4) % BLOCKS * (guint64)BLOCK_BYTES, BLOCK_BYTES,
                        i % 2);
        }
        settled_cycle(rig, &both);
    }
    return rig;
}

/* The recorded cycle, cut off everywhere, in several ways each. */
static void crash_everywhere(struct rig *rig)
{
    guint length = disk_log_length(rig->log), ways = seed_is_long() ? 40 : 1;
    g_test_message("%u operations, committed after %u", length, rig->committed_at);
    expect_fine(rig_check_record(rig));
    for (guint count = 0; count <= length; count++) {
        if (count == length || disk_log_is_sync(rig->log, count + 1))
            expect_fine(rig_crash(rig, count, DISK_FATE_LOST, seed_next()));
        if (count == length || count % 4 == 0)
            expect_fine(rig_crash(rig, count, DISK_FATE_KEPT, seed_next()));
        for (guint way = 0; way < ways; way++)
            expect_fine(rig_crash(
                rig, count, (count + way) % 2 ? DISK_FATE_CHANCE : DISK_FATE_SHUFFLE, seed_next()));
    }
}

static void test_first(void)
{
    struct rig *rig = prepared(0);
    cycle(rig, &both);
    crash_everywhere(rig);
    rig_free(rig);
}

/* A first cycle goes on from whatever of its data reached the disk, over and over. */
static void test_first_resumed(void)
{
    for (guint i = 0; i < (seed_is_long() ? 200 : 20); i++) {
        struct rig *rig = prepared(0);
        for (guint round = 0; round < 4; round++) {
            cycle(rig, &both);
            guint before = (guint)(seed_next() % rig->committed_at);
            expect_fine(rig_crash_and_go_on(rig, before, DISK_FATE_SHUFFLE, seed_next()));
            fill(rig, "vda", seed_next() % BLOCKS, 1);
            source_zero(rig->source, "vda", seed_next() % BLOCKS * BLOCK_BYTES, BLOCK_BYTES, TRUE);
        }
        settled_cycle(rig, &both);
        rig_free(rig);
    }
}

static void test_delta(void)
{
    struct rig *rig = prepared(2);
    fill(rig, "vda", 3, 3);
    fill(rig, "vdb", 0, 1);
    source_zero(rig->source, "vda", 0, 2 * BLOCK_BYTES, TRUE);
    cycle(rig, &both);
    crash_everywhere(rig);
    rig_free(rig);
}

/* One disk changes, one does not, one comes back after it was away. */
static void test_some(void)
{
    struct rig *rig = prepared(2);
    fill(rig, "vda", 3, 1);
    settled_cycle(rig, &plain);
    fill(rig, "vdb", 3, 1);
    cycle(rig, &both);
    crash_everywhere(rig);
    expect_fine(rig_settle(rig));
    cycle(rig, &both);
    crash_everywhere(rig);
    rig_free(rig);
}

static void resized(struct rig *rig, guint64 size_bytes)
{
    source_resize(rig->source, "vda", size_bytes);
    fill(rig, "vda", 1, 1);
    cycle(rig, &both);
    crash_everywhere(rig);
    expect_fine(rig_settle(rig));
}

/* Sizes on both sides of a page of the map, 16 MiB, so that the map's file changes its size, too.
 */
static void test_resize(void)
{
    struct rig *rig = prepared(2);
    resized(rig, SIZE / 2 - 512);
    resized(rig, SIZE);
    resized(rig, (16ull << 20) + 3 * BLOCK_BYTES);
    fill(rig, "vda", 257, 1);
    resized(rig, SIZE / 2);
    rig_free(rig);
}

/* Several layers go at once, one of a smaller disk and one that two recovery points name. */
static void test_retention(void)
{
    struct rig *rig = prepared(4);
    source_resize(rig->source, "vda", SIZE / 2 + 1024);
    settled_cycle(rig, &both);
    source_resize(rig->source, "vda", SIZE);
    fill(rig, "vda", 7, 1);
    settled_cycle(rig, &both);
    settled_cycle(rig, &both);
    fill(rig, "vda", 2, 2);
    cycle(rig, &both_retain_2);
    crash_everywhere(rig);
    rig_free(rig);
}

/* Retention that was cut off is taken up by the next cycle, which is cut off, too. */
static void test_retention_again(void)
{
    for (guint i = 0; i < (seed_is_long() ? 200 : 10); i++) {
        struct rig *rig = prepared(4);
        for (guint round = 0; round < 5; round++) {
            fill(rig, "vda", seed_next() % BLOCKS, 1);
            cycle(rig, &both_retain_2);
            guint after = disk_log_length(rig->log) - rig->committed_at;
            expect_fine(rig_crash_and_go_on(rig,
                                            rig->committed_at + (guint)(seed_next() % (after + 1)),
                                            DISK_FATE_SHUFFLE, seed_next()));
        }
        settled_cycle(rig, &both_retain_2);
        g_assert_cmpuint(rig->truth->points->len, ==, 2);
        rig_free(rig);
    }
}

/* A process is killed, the next one goes on with what the kernel has and no disk yet, and the power
 * goes. */
static void test_killed(void)
{
    for (guint i = 0; i < (seed_is_long() ? 1000 : 12); i++) {
        struct rig *rig = prepared(3);
        const struct rig_options then = {
            .by_bitmap = TRUE, .with_vdb = TRUE, .retain = 1 + (guint)(seed_next() % 3)};
        fill(rig, "vda", seed_next() % BLOCKS, 1);
        cycle(rig, &both_retain_2);
        guint length = disk_log_length(rig->log);
        guint killed_at = seed_next() % 2 ? (guint)(seed_next() % (length + 1))
                                          : length - (guint)(seed_next() % 40);
        rig_kill(rig, killed_at);
        if (seed_next() % 2)
            fill(rig, "vdb", seed_next() % 6, 1);
        cycle(rig, &then);
        guint after = disk_log_length(rig->log) - killed_at;
        for (guint k = 0; k < 8; k++)
            expect_fine(rig_crash(rig, killed_at + (guint)(seed_next() % (after + 1)),
                                  DISK_FATE_SHUFFLE, seed_next()));
        expect_fine(rig_settle(rig));
        rig_free(rig);
    }
}

/* Every operation on the store fails from some point on: the cycle says so, or it is committed. */
static void test_failing(void)
{
    struct rig *rig = prepared(3);
    struct rig_options options = {.by_bitmap = TRUE, .with_vdb = TRUE, .retain = 2};
    guint failed = 0, done = 0;
    for (guint count = 0; done < 3; count++) {
        g_autoptr(GError) error = NULL;
        fill(rig, "vda", count % BLOCKS, 1);
        fill(rig, "vdb", count % 6, 1);
        options.fail_errnum = count % 2 ? EIO : ENOSPC;
        options.fail_after = count;
        gboolean ok = rig_cycle(rig, &options, &error);
        done += file_layer_failures() == 0;
        failed += !ok;
        g_assert_true(ok || file_layer_failures() > 0);
        g_assert_true(ok == (rig->committed_at != G_MAXUINT));
        if (count % 3 == 0)
            expect_fine(rig_crash(rig, disk_log_length(rig->log), DISK_FATE_CHANCE, seed_next()));
        expect_fine(rig_settle(rig));
    }
    g_test_message("%u cycles failed", failed);
    g_assert_cmpuint(failed, >, 20);
    rig_free(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    seed_init();
    g_test_add_func("/crash/R1, R2: in a first cycle", test_first);
    g_test_add_func("/crash/R2: a first cycle goes on from what landed", test_first_resumed);
    g_test_add_func("/crash/R1, R3, R5: in a delta", test_delta);
    g_test_add_func("/crash/R5, R8: with disks that do not change, or were away", test_some);
    g_test_add_func("/crash/R5: with a disk that shrinks and grows", test_resize);
    g_test_add_func("/crash/R7, R9: while layers are merged", test_retention);
    g_test_add_func("/crash/R9: merges taken up again", test_retention_again);
    g_test_add_func("/crash/R2, R5, R9: a kill, and then the power goes", test_killed);
    g_test_add_func("/crash/R2, R3: a store that fills up or breaks", test_failing);
    return g_test_run();
}
