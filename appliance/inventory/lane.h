/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A thread that works through a queue of calls that may hang, and that can be left behind: whoever
 * made it learns how long the present call takes, abandons the lane, and makes another one. What an
 * abandoned lane finds out goes nowhere; its thread ends when its call returns, if ever.
 *
 * The maker's thread makes, looks at and abandons a lane, and gets what lane_post hands over, in
 * its GMainContext. lane_push is for any thread; lane_step and lane_post are for jobs. */

#include <glib.h>

struct lane;

/* Counts abandoned threads that are not back yet; shared by the lanes of one host. */
struct lane_hung;

struct lane_hung *lane_hung_new(void);
struct lane_hung *lane_hung_ref(struct lane_hung *hung);
void lane_hung_unref(struct lane_hung *hung);
guint lane_hung_count(const struct lane_hung *hung);

/* context is what jobs work with; the lane's thread frees it at its end. receiver is whom lane_post
 * calls. */
struct lane *lane_new(const char *name, gpointer context, GDestroyNotify context_free,
                      struct lane_hung *hung, gpointer receiver);

/* For those who push from elsewhere, such as callbacks of libvirt. */
struct lane *lane_ref(struct lane *lane);
void lane_unref(gpointer lane);

/* A job: argument is what it was pushed with. */
typedef void (*lane_job)(struct lane *lane, gpointer context, const char *argument);

/* Queues a job, before all others when urgent. The same job with the same argument (may be NULL)
 * that is waiting already is not queued twice, but may become urgent. */
void lane_push(struct lane *lane, lane_job job, const char *argument, gboolean urgent);

/* In a job: what is done next, for people ("list machines"), and how long that may take; it lasts
 * until the next step or the end of the job. FALSE: nobody waits for this any more. */
gboolean lane_step(struct lane *lane, const char *what, guint deadline_ms);

/* In a job: the maker's thread calls receive(receiver, result) unless the lane is abandoned by
 * then; result_free frees the result afterwards in any case. */
typedef void (*lane_receive)(gpointer receiver, gpointer result);
void lane_post(struct lane *lane, lane_receive receive, gpointer result,
               GDestroyNotify result_free);

/* Whether the present step has passed its deadline; *ret_what is what it does and *ret_argument
 * what its job was pushed with, both owned by the caller. */
gboolean lane_overdue(struct lane *lane, char **ret_what, char **ret_argument);

/* The maker lets go of the lane: its thread ends with its present call. NULL is fine. */
void lane_abandon(struct lane *lane);

/* As abandon; waits until the thread has ended, or that time of the monotonic clock. */
void lane_finish(struct lane *lane, gint64 until_us);
