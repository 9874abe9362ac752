/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Brings a machine's folder to its last commit. */

#include "replicator/block-map.h"
#include "replicator/store.h"

/* What recovery did, said once per thing. */
void store_note(GPtrArray *notes, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Checks that every layer that manifests name, and all below, is there in its full size; then
 * removes what no manifest names: layers, journals and half-written files of cycles that did not
 * commit. A base that never was committed stays: the next first cycle goes on from it. Needs the
 * lock. Errors: corrupt (nothing is removed then), replica. */
gboolean store_recover(struct store_machine *machine, GPtrArray *notes, GError **error);

/* Removes uncommitted bases of disks other than those in names (NULL-terminated): the machine has
 * a recovery point without them. */
gboolean store_forget_partial_disks(struct store_machine *machine, const char *const *names,
                                    GPtrArray *notes, GError **error);

/* Opens the block map of a disk at the generation its latest manifest names, after applying the
 * journals that a killed process left unapplied. Errors: corrupt, replica. */
struct block_map *store_map_open(const struct store_machine *machine,
                                 const struct manifest_disk *disk, GError **error);

/* For a manifest about to be committed: what it names, and all below, is there. An open file that
 * somebody unlinked takes writes as before. Error replica, which says so. */
gboolean store_check_named(const struct store_machine *machine, const struct manifest *manifest,
                           GError **error);

/* Names (owned strings, a set) of all files of the disk that manifests need. */
GHashTable *store_needed_layers(const struct store_machine *machine, const char *disk,
                                GError **error);

/* Makes durable what a layer says, its header above all. */
gboolean store_layer_sync(const char *folder, const char *name, GError **error);

/* Removes the layers and journals of the disk that no manifest needs (any more). */
gboolean store_remove_unneeded(const struct store_machine *machine, const char *disk,
                               GPtrArray *notes, GError **error);

/* Names of the disks that have a folder; other things beside them are an operator's and passed
 * over. The caller owns the array of strings. */
GPtrArray *store_disk_folders(const struct store_machine *machine, GError **error);
