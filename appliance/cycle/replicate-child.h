/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* landfall-replicate as a child: its work goes in as JSON, its events come out one by one. A crash,
 * a leak or a cancel of the data path stays in the child. */

#include <json-glib/json-glib.h>

/* Who hears of the child, all in the caller's thread. */
struct replicate_listener {
    void *data;

    /* One event line. */
    void (*event)(void *data, const char *event, JsonObject *line);

    /* All has been read, and the child waits: FALSE with *error makes the run fail before anything
     * is committed. Comes before event source-done. */
    gboolean (*confirm)(void *data, GError **error);
};

/* Tells when a child runs (its process id) and when it has ended (0), for signals. */
typedef void (*replicate_running)(int pid);

/* How fast a child may read; may be changed from another thread while it runs. Lasts as long as the
 * process. */
struct replicate_rate;

struct replicate_rate *replicate_rate_new(void);
void replicate_rate_set(struct replicate_rate *rate, guint64 bytes_per_second);

/* Runs the child to its end; the work must ask for confirmation. Returns its result, the recovery
 * point; the caller owns it. Errors: the child's own; source when it could not be started or died
 * without a word. rate may be NULL: what the work says. */
JsonObject *replicate_child_run(JsonObject *work, const struct replicate_listener *listener,
                                replicate_running running, struct replicate_rate *rate,
                                GError **error);
