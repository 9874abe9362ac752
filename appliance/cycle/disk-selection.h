/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which disks of a machine a cycle replicates, and what the snapshot must know of their replicas.
 */

#include "replicator/store.h"
#include "snapshot/snapshot.h"

/* Whether the machine has all the disks that are to be left out; excluded may be NULL. Error config
 * names the one that is not there, the hint those that are. */
gboolean disk_selection_check(const struct snapshot_machine *machine, const char *const *excluded,
                              GError **error);

/* An array of struct snapshot_plan_disk, owned by the caller, with names of its own: taking a
 * snapshot looks at the machine's definition again. What else it points to is borrowed from the
 * replicas. Errors: unsupported (a disk that cannot be replicated and is not left out), config
 * (nothing is left). */
GArray *disk_selection_plan(const struct snapshot_machine *machine, const char *const *excluded,
                            const struct store_machine *replicas, GError **error);
