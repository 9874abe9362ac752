/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How much room stores have. A store may be on a file system that hangs, so a thread asks. */

#include "appliance/state/state.h"

#include <gio/gio.h>

typedef void (*store_space_callback)(void *data, const char *store, guint64 free_bytes,
                                     guint64 size_bytes);

/* Calls back from the main loop for each store that answers; not at all once closing is cancelled,
 * and not while an earlier look still waits for an answer. */
void store_space_look(struct state *state, GCancellable *closing, store_space_callback callback,
                      void *data);
