/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What recovery points have to hold, kept in memory, and the comparison of a store with it. The
 * machine is MACHINE_KEY. */

#include <glib.h>

#define MACHINE_KEY "m1"

struct truth_point {
    guint64 number;
    gboolean required; /* FALSE: it may be there or not, but if it is, it is whole */
    GHashTable *disks; /* name → GBytes, its content */
};

struct truth {
    GPtrArray *points; /* struct truth_point, ascending */
};

struct truth *truth_new(void);
void truth_free(struct truth *truth);
struct truth *truth_copy(const struct truth *truth);

struct truth_point *truth_add(struct truth *truth, guint64 number);
void truth_add_disk(struct truth_point *point, const char *disk, const guint8 *content,
                    guint64 size_bytes);

/* Drops the points that the store does not have, and makes the others required. */
void truth_follow(struct truth *truth, const char *store);

/* Drops the last point if the store does not have it. */
void truth_drop_unmade(struct truth *truth, const char *store);

/* Reads the recovery points as somebody does who opens nothing for writing: what is there is what
 * it should be (R7). NULL, or what is wrong; the caller owns it. */
char *truth_check_reading(const struct truth *truth, const char *store);

/* Opens the store for writing, which recovers it, and compares all that it holds: the recovery
 * points, none lost, none half made (R1, R2); the block maps (R5); the files, none too many; the
 * proof that `store verify` makes. NULL, or what is wrong. */
char *truth_check_writing(const struct truth *truth, const char *store);

/* The same content as qemu-img sees it (R7). folder is for files of this check's own. */
char *truth_check_qemu(const struct truth *truth, const char *store, const char *folder);
