/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lanes of cycles that run at the same time on one machine take turns: as many as there are
 * processors read, the others wait for a moment. Many address spaces that alternate within
 * milliseconds make each byte dearer; and whoever comes first gets no more than its share.
 *
 * A turn is a courtesy and no lock: a lane that has waited too long, or that waits for its source
 * and not for a processor, goes on without. The processors' turns are counted in a System V
 * semaphore, which hands them on in the order of asking, and takes them back from a process that
 * dies. */

#include <glib.h>

struct turn;

/* For one lane's thread. */
struct turn *turn_new(void);

/* Gives the turn back, if it is held. NULL is fine. */
void turn_free(struct turn *turn);

/* Whether the lane may start reads. idle: nothing of it is under way, so that it may wait here, at
 * most a second. turn NULL: always. */
gboolean turn_may_read(struct turn *turn, gboolean idle);
