/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A job's work as a child process: a command of `landfall` with --json, whose lines are read as
 * they come, bounded, without a thread. The child is in a process group of its own and gets SIGTERM
 * when this process dies, however that happens. Main thread only: the signal follows the thread
 * that starts the child. */

#include <json-glib/json-glib.h>

struct job_child;

/* Who hears of the child, from the main loop. */
struct job_child_listener {
    void *data;

    /* One line with a member "event"; not the result, and not the error. */
    void (*event)(void *data, const char *event, JsonObject *line);

    /* It has ended, and says no more: with its result, or with an error (its own, or what its end
     * means). Both are borrowed. The listener frees the child. */
    void (*ended)(void *data, JsonObject *result, const GError *error);
};

/* Starts `landfall` with the arguments (NULL-terminated, without the program's name). The listener
 * is copied. Errors: config (no such program), source (it cannot be started). */
struct job_child *job_child_start(const char *const *arguments,
                                  const struct job_child_listener *listener, GError **error);

/* Forgets the child, which goes on if it has not ended; the listener hears nothing any more. */
void job_child_free(struct job_child *child);

/* Its process; see process_start_time for the second. */
int job_child_pid(const struct job_child *child);
guint64 job_child_start_time(const struct job_child *child);

/* Asks it to end (SIGTERM) and ends it (SIGKILL) if it has not after deadline_s. */
void job_child_cancel(struct job_child *child, guint deadline_s);

/* A line for its standard input; one that has ended is no error. */
void job_child_tell(struct job_child *child, const char *line);
