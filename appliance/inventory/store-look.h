/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Looks at stores from time to time, each in a lane of its own: a folder on a network may hang. */

#include "appliance/inventory/readiness.h"
#include "appliance/state/state.h"

struct store_looks;

/* state is borrowed. */
struct store_looks *store_looks_new(struct state *state);
void store_looks_free(struct store_looks *looks, gint64 until_us);

/* Looks at all stores that the state has now. */
void store_looks_begin(struct store_looks *looks);

/* What was seen last of a store; with name NULL, of the one with most room. FALSE: there is none.
 * Strings are borrowed until the next turn of the main loop; has_copy is left alone. */
gboolean store_looks_get(struct store_looks *looks, const char *name,
                         struct readiness_store *ret_store);

/* FALSE for a moment after the start, or after the store was added. */
gboolean store_looks_have_seen(const struct store_looks *looks, const char *name);
