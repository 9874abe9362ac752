/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What moving a machine would do, as people read it. */

#include <json-glib/json-glib.h>

/* The checks, what changes in the machine's definition, the difference as a unified diff, the
 * downtime to expect, and what keeps the source from running. */
void plan_print(JsonObject *plan);

/* Whether nothing stands in the way of it. */
gboolean plan_is_clear(JsonObject *plan);
