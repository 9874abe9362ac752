/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Retention: the oldest recovery points go, and the layers they leave unnamed are merged downwards
 * into the base. Readers pin a recovery point while they use it. */

#include "replicator/store.h"

/* Keeps the newest retain_count recovery points (at least 1), stopping at the oldest that is
 * pinned or held (store-hold.h), then merges; while any recovery point is, merging waits. Every
 * step may be killed and done again, and is given up when *cancelled becomes 1. Needs the lock.
 * notes may be NULL. */
gboolean store_retain(struct store_machine *machine, guint retain_count, const gint *cancelled,
                      GPtrArray *notes, GError **error);

/* Removes all recovery points, the oldest first. Needs the lock. Error conflict: one is in use, and
 * older ones have gone. */
gboolean store_retire_all(struct store_machine *machine, GError **error);

/* Removes the machine from the store, its recovery points first, the oldest first. May be killed
 * and done again; as long as it is not done, the machine counts as one without those recovery
 * points. Needs the lock, whose file goes too. Error conflict: a recovery point is in use; older
 * ones may have gone. */
gboolean store_machine_remove(struct store_machine *machine, GError **error);

/* A recovery point held by a reader: until freed, or until the process ends, retention passes it
 * over and merges nothing of the machine. Waits for a merge that is under way. NULL with an error
 * when the recovery point has gone, or cannot be held. */
struct store_pin;
struct store_pin *store_pin_take(const struct store_machine *machine, guint64 number,
                                 GError **error);
void store_pin_free(struct store_pin *pin);

/* The manifest as it is while held: a merge before may have renamed layers since it was listed.
 * Borrowed from the pin. */
const struct manifest *store_pin_manifest(const struct store_pin *pin);
