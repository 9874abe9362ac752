/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* landfall-replicate as a child: its work goes in as JSON, its events come out one by one. A crash,
 * a leak or a cancel of the data path stays in the child. */

#include <json-glib/json-glib.h>

/* Called for each event line, in the caller's thread. FALSE with *error makes the run fail: the
 * child is ended and what it did before its commit is taken back. */
typedef gboolean (*replicate_event)(void *data, const char *event, JsonObject *line,
                                    GError **error);

/* Tells when a child runs (its process id) and when it has ended (0), for signals. */
typedef void (*replicate_running)(int pid);

/* Runs the child to its end. Returns its result, the recovery point; the caller owns it. Errors:
 * the child's own; source when it could not be started or died without a word. */
JsonObject *replicate_child_run(JsonObject *work, replicate_event on_event, void *data,
                                replicate_running running, GError **error);
