/* SPDX-License-Identifier: Apache-2.0 */

/* Whole cycles into a back end that completes writes late and in any order, loses what was not
 * finished, and fails at any of its calls. */

#include "base/error.h"
#include "replicator/block-hash.h"
#include "tests/crash/fault-replica.h"
#include "tests/crash/rig.h"
#include "tests/crash/seed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Enough for two lanes, whose buffers are used several times. */
#define VDA_BLOCKS 160u
#define VDB_BLOCKS 12u

static const struct rig_options both = {.by_bitmap = TRUE, .with_vdb = TRUE};

static void expect_fine(char *problem)
{
    if (problem)
        g_error("LANDFALL_SEED=%" G_GUINT64_FORMAT ": %s", seed_get(), problem);
}

/* Changes n blocks all over the disk, some of them to zero. */
static void change(struct rig *rig, const char *disk, guint blocks, guint n)
{
    g_autofree guint8 *data = g_malloc(BLOCK_BYTES);
    for (guint i = 0; i < n; i++) {
        guint64 offset = seed_next() % blocks * BLOCK_BYTES;
        gsize length = (gsize)MIN(BLOCK_BYTES, source_size(rig->source, disk) - offset);
        memset(data, (int)(seed_next() % 255) + 1, length);
        if (seed_next() % 6 == 0)
            source_zero(rig->source, disk, offset, length, seed_next() % 2);
        else
            source_write(rig->source, disk, offset, data, length);
    }
}

static void change_both(struct rig *rig, guint n)
{
    change(rig, "vda", VDA_BLOCKS, n);
    change(rig, "vdb", VDB_BLOCKS, 1 + n / 4);
}

/* Block 0 of both has data that the replica has not. */
static void change_first(struct rig *rig)
{
    guint64 value = seed_next() | 1;
    source_write(rig->source, "vda", 0, &value, sizeof value);
    source_write(rig->source, "vdb", 0, &value, sizeof value);
}

/* A bit of the first block rots in the store, or is mended. */
static void flip_base(struct rig *rig, const char *disk)
{
    guint8 byte;
    g_autofree char *path = g_build_filename(rig->store, "m1", "disks", disk, "base.raw", NULL);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pread(fd, &byte, 1, 5), ==, 1);
    byte ^= 16;
    g_assert_cmpint(pwrite(fd, &byte, 1, 5), ==, 1);
    close(fd);
}

static void good_cycle(struct rig *rig)
{
    g_autoptr(GError) error = NULL;
    fault_replica_plan(FAULT_NONE, 0, 0);
    rig_cycle(rig, &both, &error);
    g_assert_no_error(error);
    expect_fine(rig_settle(rig));
}

static struct rig *prepared(void)
{
    struct rig *rig = rig_new(VDA_BLOCKS * BLOCK_BYTES, VDB_BLOCKS * BLOCK_BYTES - 512);
    change_both(rig, 2 * VDA_BLOCKS);
    return rig;
}

static void test_order(void)
{
    struct rig *rig = prepared();
    guint writes = fault_replica_writes();
    for (guint i = 0; i < (seed_is_long() ? 100 : 5); i++) {
        good_cycle(rig);
        change_both(rig, i % 2 ? VDA_BLOCKS : 8);
    }
    g_assert_cmpuint(fault_replica_writes() - writes, >, 40);
    rig_free(rig);
}

/* One call fails, then another one later, until the cycle has no more of its kind. */
static guint fail_each(struct rig *rig, enum fault_call call, guint step)
{
    guint hits = 0;
    for (guint after = 0;; after += step) {
        g_autoptr(GError) error = NULL;
        fault_replica_plan(call, after, after % 2 ? ENOSPC : EIO);
        gboolean ok = rig_cycle(rig, &both, &error);
        gboolean hit = fault_replica_hit();
        if (ok == hit)
            g_error("call %d after %u: %s", call, after, ok ? "no error" : error->message);
        g_assert_true(ok == (rig->committed_at != G_MAXUINT));
        expect_fine(rig_settle(rig));
        if (!hit)
            return hits;
        hits++;
        change_both(rig, 2);
    }
}

static void test_faults(void)
{
    guint hits[FAULT_COUNT] = {0};
    for (guint first = 0; first < 2; first++) {
        struct rig *rig = prepared();
        for (enum fault_call call = FAULT_BEGIN; call < FAULT_COUNT; call++) {
            if (first)
                rig_forget_store(rig);
            change_both(rig, 30);
            hits[call] += fail_each(rig, call, seed_is_long() ? 1 : 7);
        }
        for (guint i = 0; i < 2; i++, change_both(rig, 5))
            good_cycle(rig);
        rig_free(rig);
    }
    for (enum fault_call call = FAULT_BEGIN; call < FAULT_COUNT; call++)
        g_assert_cmpuint(hits[call], >, 0);
}

/* The second disk's end fails when all of the first is done. */
static void test_all_or_none(void)
{
    struct rig *rig = prepared();
    good_cycle(rig);
    for (guint after = 0; after < 2; after++) {
        g_autoptr(GError) error = NULL;
        change_both(rig, 20);
        fault_replica_plan(FAULT_FINISH, after, EIO);
        g_assert_false(rig_cycle(rig, &both, &error));
        g_assert_true(fault_replica_hit());
        expect_fine(rig_settle(rig));
        g_assert_cmpuint(rig->truth->points->len, ==, 1);
    }
    good_cycle(rig);
    g_assert_cmpuint(rig->truth->points->len, ==, 2);
    rig_free(rig);
}

/* --- the proof before a commit -------------------------------------------------------------------
 */

/* A cycle that is to be proven, and is not. */
static void expect_unproven(struct rig *rig, const struct rig_options *options, const char *words)
{
    g_autoptr(GError) error = NULL;
    guint points = rig->truth->points->len;
    if (rig_cycle(rig, options, &error))
        g_error("LANDFALL_SEED=%" G_GUINT64_FORMAT ": proven, though not \"%s\"; spoiled: %d",
                seed_get(), words, fault_replica_hit());
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    g_assert_nonnull(strstr(error->message, "disk vd"));
    g_assert_nonnull(strstr(error->message, words));
    g_assert_cmpuint(rig->committed_at, ==, G_MAXUINT);
    expect_fine(rig_settle(rig));
    g_assert_cmpuint(rig->truth->points->len, ==, points);
}

static void expect_proven(struct rig *rig, const struct rig_options *options)
{
    g_autoptr(GError) error = NULL;
    fault_replica_plan(FAULT_NONE, 0, 0);
    rig_cycle(rig, options, &error);
    g_assert_no_error(error);
    expect_fine(rig_settle(rig));
}

/* For a first copy, a delta and a scan; of what was sent, and of all. */
static void prove(enum verify_mode verify)
{
    struct rig_options options = both;
    struct rig *rig = prepared();
    options.verify = verify;
    for (guint i = 0; i < 3; i++) {
        options.full_scan = i == 2;
        for (guint after = 0; after < 20; after += 7) {
            if (i == 0)
                rig_forget_store(rig); /* a first copy goes on from what is there */
            fault_replica_plan(FAULT_SPOIL, after, EIO);
            expect_unproven(rig, &options, "read back from");
            g_assert_true(fault_replica_hit());
        }
        fault_replica_plan(FAULT_NONE, 0, 0);
        struct rig_options writing = options;
        writing.write_at_verify = TRUE;
        change_first(rig);
        expect_unproven(rig, &writing, "block 0 (byte 0) of the source");
        expect_proven(rig, &options);
        change_both(rig, 40);
    }
    options.by_bitmap = TRUE;
    expect_proven(rig, &options);
    expect_proven(rig, &options); /* nothing has changed */
    rig_free(rig);
}

static void test_prove_transferred(void)
{
    prove(VERIFY_TRANSFERRED);
}

/* What was right when it was written, and is not any more, is found by looking at all. */
static void test_prove_full(void)
{
    struct rig_options options = both;
    prove(VERIFY_FULL);
    struct rig *rig = prepared();
    change_first(rig);
    good_cycle(rig);
    change(rig, "vda", 1, 1); /* a layer above block 0 */
    good_cycle(rig);
    flip_base(rig, "vdb");
    options.verify = VERIFY_TRANSFERRED;
    change(rig, "vda", VDA_BLOCKS, 5);
    g_assert_true(rig_cycle(rig, &options, NULL));
    flip_base(rig, "vdb");
    expect_fine(rig_settle(rig));
    flip_base(rig, "vdb");
    change(rig, "vda", VDA_BLOCKS, 5);
    options.verify = VERIFY_FULL;
    g_autoptr(GError) error = NULL;
    g_assert_false(rig_cycle(rig, &options, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    g_assert_nonnull(strstr(error->message, "disk vdb: block 0 (byte 0), read back from"));
    flip_base(rig, "vdb");
    expect_fine(rig_settle(rig));
    expect_proven(rig, &options);
    rig_free(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    seed_init();
    g_test_add_func("/replica/R12: buffers stay until their writes have ended", test_order);
    g_test_add_func("/replica/R2, R12: after a failure of any call, too", test_faults);
    g_test_add_func("/replica/R3: no disk commits alone", test_all_or_none);
    g_test_add_func("/replica/R15: what was sent is proven before the commit",
                    test_prove_transferred);
    g_test_add_func("/replica/R15: all is proven before the commit", test_prove_full);
    return g_test_run();
}
