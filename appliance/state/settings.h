/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Settings of the appliance as a whole: one table of names, types, bounds and defaults. */

#include "appliance/state/state.h"

#include <json-glib/json-glib.h>

/* All of them, with the defaults of those nobody set. The caller owns the object. */
JsonObject *state_setting_list(struct state *state, GError **error);

/* Sets what changes names; null goes back to the default. All of it or nothing: error config names
 * the first that is unknown, of another type or out of bounds. */
gboolean state_setting_change(struct state *state, const char *who, JsonObject *changes,
                              GError **error);

/* One of them. The name is in the table with that type; anything else is a mistake of the caller.
 * The caller owns the text. */
gboolean state_setting_int(struct state *state, const char *name, gint64 *ret_value,
                           GError **error);
gboolean state_setting_text(struct state *state, const char *name, char **ret_value,
                            GError **error);
