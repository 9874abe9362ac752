/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A recovery point that somebody needs for longer than a process lasts: a machine runs on it, say.
 * The hold has an owner, so that many can hold one recovery point, and lasts until the owner drops
 * it: retention passes the recovery point over and merges nothing of the machine, and the replica
 * is not removed. What the owner makes of it (images that stand on it) lies in a folder of its own,
 * which nothing here looks into. */

#include "replicator/store.h"

struct store_hold {
    char *owner;
    guint64 number; /* of the recovery point */
};

/* Holds the recovery point; again for the same owner is fine. Waits for a merge that is under way.
 * Errors: conflict (the recovery point is being removed, the owner holds another one), missing (it
 * is not there), config (the owner cannot be a name), corrupt, replica. */
gboolean store_hold_set(const struct store_machine *machine, guint64 number, const char *owner,
                        GError **error);

/* Drops what the owner holds; that it holds nothing is fine. */
gboolean store_hold_drop(const struct store_machine *machine, const char *owner, GError **error);

/* What is held: array of struct store_hold, owned by the caller. Errors: corrupt, replica. */
GPtrArray *store_holds_list(const struct store_machine *machine, GError **error);

/* Error conflict when somebody holds the recovery point (0: any), or has a folder of images. */
gboolean store_hold_check_none(const struct store_machine *machine, guint64 number, GError **error);

/* The owner's folder for images: ../../disks/… leads from there to the layers. The caller owns the
 * path. */
char *store_hold_folder(const struct store_machine *machine, const char *owner);
