/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names that become files and folders of the store. */

#include <glib.h>

#define BASE_NAME "base.raw"
#define BLOCK_MAP_NAME "block-map"
#define LOCK_NAME "lock"             /* held by a writer */
#define CYCLE_LOCK_NAME "cycle.lock" /* held by a whole cycle */
#define CLONES_FOLDER "clones"
#define HOLDS_FOLDER "pins" /* recovery points that are held: see store-hold.h */

/* Letters, digits, '.', '_' and '-', at most 128, not starting with a dot: nothing that leaves its
 * folder, hides or needs quoting. */
gboolean store_name_is_safe(const char *name);

/* "base.raw" or "000007.qcow2". */
gboolean store_name_is_layer(const char *name);

/* "000007" + suffix; the caller owns it. */
char *store_name_number(guint64 number, const char *suffix);

/* TRUE when name is a number of six digits or more followed by suffix. */
gboolean store_name_parse_number(const char *name, const char *suffix, guint64 *ret_number);
