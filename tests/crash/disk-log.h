/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a disk may hold after a power cut. A log takes every operation on a tree of files in the
 * order in which it was done; disk_log_build makes the tree as it could be found if the power had
 * gone after the first so many of them. What was synced is there. Of the rest, by chance:
 *
 * - each sector of a file holds one of the contents it had since it was last synced; the sectors of
 *   a longer write go their own ways, and may hold garbage; a write within a sector is whole;
 * - a file has one of the sizes it had since; fdatasync makes a larger size last, not a smaller
 * one;
 * - names were made, changed and removed up to some point, for each folder its own: only an fsync
 * of the folder makes its names last. Where asked for, each name goes its own way.
 *
 * This is more than journaling file systems lose. It is what POSIX and a disk with whole sectors
 * allow, which is what the store may rely on. */

#include <glib.h>

struct disk_log;

/* What becomes of all that was not synced. */
enum disk_fate {
    DISK_FATE_LOST,
    DISK_FATE_KEPT,
    DISK_FATE_CHANCE,  /* by the seed: kept, lost, torn or garbage; folders in order */
    DISK_FATE_SHUFFLE, /* the same, and names of one folder in any order */
};

/* The tree at root as it is now counts as synced; a copy is kept in the new folder start. Both are
 * borrowed paths. */
struct disk_log *disk_log_new(const char *root, const char *start);
void disk_log_free(struct disk_log *log);

/* Forgets all but the first count operations; the tree at root is what those have left. */
void disk_log_cut(struct disk_log *log, guint count);

/* Operations so far; and whether the one before position may change what is durable. */
guint disk_log_length(const struct disk_log *log);
gboolean disk_log_is_sync(const struct disk_log *log, guint position);

/* A short description of the operation, for people. The caller owns it. */
char *disk_log_describe(const struct disk_log *log, guint position);

/* The node of a path below root now, or -1; -1 also for a path elsewhere. */
int disk_log_find(const struct disk_log *log, const char *path);

/* The operations. Paths are absolute and below root; a node is a file's or folder's. */
int disk_log_create(struct disk_log *log, const char *path, gboolean folder);
void disk_log_remove(struct disk_log *log, const char *path);
void disk_log_rename(struct disk_log *log, const char *from, const char *to);
void disk_log_write(struct disk_log *log, int node, guint64 offset, const void *data, gsize length);
void disk_log_zero(struct disk_log *log, int node, guint64 offset, guint64 length);
void disk_log_resize(struct disk_log *log, int node, guint64 size_bytes);
void disk_log_sync(struct disk_log *log, int node, gboolean data_only);

/* Makes at the new folder path what a disk may hold after the first count operations. */
void disk_log_build(const struct disk_log *log, guint count, enum disk_fate fate, guint64 seed,
                    const char *path);

/* Copies a tree; the new folder must not exist. Holes stay holes. */
void tree_copy(const char *from, const char *to);
