/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What answers have in common: lists, and what the state's structs look like as JSON. */

#include "appliance/state/machines.h"
#include "appliance/state/replications.h"

#include <json-glib/json-glib.h>

/* {"items":[…]}, with "next" (what to ask as "before" for those that follow) unless it is 0. Takes
 * items. */
JsonObject *answer_list(JsonArray *items, gint64 next);

/* A list of all rows, each as to_json makes it; NULL for rows NULL. */
JsonObject *answer_rows(const GPtrArray *rows, JsonObject *(*to_json)(gconstpointer row));

/* A machine, with its replication or NULL. */
JsonObject *answer_machine(const struct state_machine *machine,
                           const struct state_replication *replication);

/* What the operator reads in one word; NULL is a machine that is not replicated. */
const char *answer_state_word(const struct state_replication *replication);
