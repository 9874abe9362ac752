/* SPDX-License-Identifier: Apache-2.0 */

/* Sequences by chance of what guests, operators and power cuts do: writes, zeros, discards, sizes,
 * cycles by bitmap or scan, of one disk or both, cancelled, failed, cut off, with retention. At all
 * times every recovery point reads as the source did when it was made. */

#include "tests/crash/rig.h"
#include "tests/crash/seed.h"

#include <errno.h>
#include <string.h>

#define BLOCKS_MAX 24u
#define STEPS 6u
#define SEQUENCES 200u
#define SEQUENCES_LONG 20000u

struct model {
    struct rig *rig;
    guint cycles, failed, crashes, resizes; /* so far */
};

static guint below(guint n)
{
    return (guint)(seed_next() % n);
}

static const char *any_disk(void)
{
    return below(3) ? "vda" : "vdb";
}

static void expect_fine(char *problem)
{
    if (problem)
        g_error("LANDFALL_SEED=%" G_GUINT64_FORMAT ": %s", seed_get(), problem);
}

/* --- the guest -----------------------------------------------------------------------------------
 */

/* Whole sectors somewhere on the disk. */
static void any_range(const struct rig *rig, const char *disk, guint64 *ret_offset,
                      guint64 *ret_length)
{
    guint64 sectors = source_size(rig->source, disk) / 512;
    guint64 first = seed_next() % sectors;
    guint64 length = below(2) ? 1 + below(16) : 1 + below(5 * 128);
    if (below(2)) { /* whole blocks, as large writes of guests are */
        first = first / 128 * 128;
        length = (length + 127) / 128 * 128;
    }
    *ret_offset = first * 512;
    *ret_length = MIN(length, sectors - first) * 512;
}

static void guest_write(struct rig *rig, const char *disk)
{
    guint64 offset, length;
    any_range(rig, disk, &offset, &length);
    g_autofree guint8 *data = g_malloc(length);
    memset(data, (int)below(4), length); /* zeros, too, and what was there before */
    for (guint64 at = 0; at < length; at += 4096)
        data[at] = (guint8)below(256);
    source_write(rig->source, disk, offset, data, length);
}

static void guest_works(struct model *model)
{
    struct rig *rig = model->rig;
    for (guint i = below(5); i > 0; i--) {
        const char *disk = any_disk();
        guint64 offset, length;
        any_range(rig, disk, &offset, &length);
        if (below(3))
            guest_write(rig, disk);
        else
            source_zero(rig->source, disk, offset, length, below(2));
    }
    if (below(6) == 0) {
        source_resize(rig->source, any_disk(), (1 + seed_next() % (BLOCKS_MAX * 128)) * 512);
        model->resizes++;
    }
}

/* --- the appliance -------------------------------------------------------------------------------
 */

static struct rig_options any_options(void)
{
    struct rig_options options = {
        .with_vdb = below(4) > 0,
        .by_bitmap = below(4) > 0,
        .full_scan = below(8) == 0,
        .retain = below(2) ? 1 + below(4) : 0,
        .audit_blocks = below(4),
    };
    if (below(12) == 0)
        options.cancel = CANCEL_AT_PLAN + (enum rig_cancel)below(2);
    if (below(8) == 0) {
        options.fail_errnum = below(2) ? ENOSPC : EIO;
        options.fail_after = below(80);
    }
    return options;
}

static enum disk_fate any_fate(void)
{
    return (enum disk_fate)below(DISK_FATE_SHUFFLE + 1);
}

/* A cycle, and what comes after it: nothing, or a power cut at any instant of it. A cut that spares
 * the store, as one more look at what could have been left. */
static void step(struct model *model)
{
    struct rig *rig = model->rig;
    struct rig_options options = any_options();
    g_autoptr(GError) error = NULL;
    guest_works(model);
    gboolean ok = rig_cycle(rig, &options, &error);
    if (!ok && !options.cancel && !options.fail_errnum)
        expect_fine(g_strdup_printf("a cycle failed: %s", error->message));
    g_assert_true(ok == (rig->committed_at != G_MAXUINT));
    model->cycles++;
    model->failed += !ok;
    guint length = disk_log_length(rig->log);
    if (below(2))
        expect_fine(rig_crash(rig, below(length + 1), any_fate(), seed_next()));
    if (below(3)) {
        expect_fine(rig_settle(rig));
    } else {
        expect_fine(rig_crash_and_go_on(rig, below(length + 1), any_fate(), seed_next()));
        model->crashes++;
    }
}

static void sequence(struct model *model, guint64 seed, gboolean ask_qemu)
{
    struct rig *rig = model->rig;
    seed_restart(seed);
    rig_forget_store(rig);
    /* Each sequence stands for itself: the disks are those that the seed says. */
    source_resize(rig->source, "vda", 512);
    source_resize(rig->source, "vdb", 512);
    source_zero(rig->source, "vda", 0, 512, FALSE);
    source_zero(rig->source, "vdb", 0, 512, FALSE);
    source_resize(rig->source, "vda", (1 + seed_next() % (BLOCKS_MAX * 128)) * 512);
    source_resize(rig->source, "vdb", (1 + seed_next() % (BLOCKS_MAX * 64)) * 512);
    for (guint i = 0; i < STEPS; i++)
        step(model);
    if (ask_qemu)
        expect_fine(truth_check_qemu(rig->truth, rig->store, rig->folder));
}

static void test_sequences(void)
{
    struct model model = {.rig = rig_new(512, 512)};
    guint64 first = seed_get();
    guint count = g_getenv("LANDFALL_SEED")        ? 1
                  : seed_is_long()                 ? SEQUENCES_LONG
                  : g_getenv("LANDFALL_SANITIZED") ? SEQUENCES / 10
                                                   : SEQUENCES;
    for (guint i = 0; i < count; i++)
        sequence(&model, first + i, i % 50 == 0);
    g_test_message("%u sequences from LANDFALL_SEED=%" G_GUINT64_FORMAT
                   ": %u cycles, %u failed, %u "
                   "crashes gone on from, %u resizes",
                   count, first, model.cycles, model.failed, model.crashes, model.resizes);
    rig_free(model.rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    seed_init();
    g_test_add_func("/model/R1, R2, R3, R4, R5, R7, R9: every recovery point is the model's",
                    test_sequences);
    return g_test_run();
}
