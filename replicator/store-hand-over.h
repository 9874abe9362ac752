/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The end of a replica that has become a machine's own disks: a file handed-over.json in the
 * machine's folder says so, and from then on nothing is written, merged or removed here any more.
 *
 *   STORE/MACHINE/handed-over.json   { "state": "merging" | "merged" | "kept", "machine_name":
 * TEXT, "target": HOST, "operation": TEXT, "at": ISO 8601 }
 *
 * "kept": layers and recovery points stay as they were, and the machine runs on an overlay.
 * "merging", "merged": there are no recovery points any more, and the machine runs on base.raw. */

#include "replicator/store.h"

/* Who has it, all borrowed. */
struct store_hand_over {
    const char *machine_name;
    const char *target;
    const char *operation;
};

/* Error conflict where the machine's folder was handed over. */
gboolean store_hand_over_check(const char *machine_path, GError **error);

/* Marks the machine, open with STORE_HAND_OVER: "kept", or "merging" and then "merged". Durable. */
gboolean store_hand_over_mark(const struct store_machine *machine, const char *state,
                              const struct store_hand_over *who, GError **error);

/* Removes what no longer means anything of a machine without recovery points: layers, journals and
 * block maps of its disks. The base stays. *ret_count: files that went. */
gboolean store_hand_over_remove_layers(const struct store_machine *machine, guint *ret_count,
                                       GError **error);
