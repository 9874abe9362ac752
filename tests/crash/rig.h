/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A machine, its store and the truth about it: cycles are run for real and recorded, the power goes
 * at any point of the record, and the store is compared with the truth. */

#include "replicator/manifest.h"
#include "tests/crash/disk-log.h"
#include "tests/crash/source.h"
#include "tests/crash/truth.h"

struct store_pin;

struct rig {
    char *folder;                 /* for everything of this rig */
    struct _GSubprocess *cleaner; /* removes it in the end */
    char *live;                   /* the folder that the store is in, as it is now */
    char *store;                  /* live/store */
    struct source *source;
    struct truth *truth; /* up to the last cycle that was settled */

    /* Of the last cycle, or NULL: what rig_cycle left. */
    struct disk_log *log;
    struct truth *candidate; /* truth with the recovery point that the cycle made, or would have */
    guint committed_at;      /* operations up to the commit; G_MAXUINT: there was none */
    guint retain;
    gboolean killed; /* the next cycle goes on with the record: nothing was synced in between */
    guint scratch_count;
};

/* When a cycle is cancelled. */
enum rig_cancel { CANCEL_NEVER, CANCEL_AT_PLAN, CANCEL_IN_LANES, CANCEL_AT_SOURCE_DONE };

struct rig_options {
    gboolean with_vdb; /* vda always */
    gboolean by_bitmap;
    gboolean full_scan;
    guint retain;
    guint audit_blocks;
    enum rig_cancel cancel;
    enum verify_mode verify;
    gboolean write_at_verify; /* block 0 of a disk, when it is about to be proven */
    int fail_errnum;          /* 0, or: operations of the store fail so … */
    guint fail_after;         /* … after so many */
};

/* A rig with disks vda and vdb of the sizes; on a file system in memory where there is one. */
struct rig *rig_new(guint64 vda_bytes, guint64 vdb_bytes);
void rig_free(struct rig *rig);

/* An empty store again. The disks stay as they are. */
void rig_forget_store(struct rig *rig);

/* Runs a cycle and keeps its record. Whether it succeeded; error may be NULL. */
gboolean rig_cycle(struct rig *rig, const struct rig_options *options, GError **error);

/* The cycle is over and nothing crashed: compares the store, follows it, and lets the bitmaps count
 * from here if there was a commit. NULL or a problem. */
char *rig_settle(struct rig *rig);

/* The power goes after count operations of the recorded cycle. Compares what recovery makes of a
 * disk in that state; in one of several also crashes the recovery. The live store stays as it is.
 */
char *rig_crash(struct rig *rig, guint count, enum disk_fate fate, guint64 seed);

/* The same, and the live store becomes what was left: the next cycle goes on from it. */
char *rig_crash_and_go_on(struct rig *rig, guint count, enum disk_fate fate, guint64 seed);

/* The process of the recorded cycle is killed after count operations. The kernel lives: the live
 * store is what the process left, and what it had not synced may still be lost. */
void rig_kill(struct rig *rig, guint count);

/* Whether the record, replayed with nothing lost, is the live store: every change was recorded. */
char *rig_check_record(struct rig *rig);
