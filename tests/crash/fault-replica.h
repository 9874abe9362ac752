/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A back end that keeps all it is given in memory until finish, and then hands it to the local one:
 * what was not finished is lost. Writes end late and in any order; any call may be made to fail. It
 * ends the test when somebody does not keep to the contract of replica.h. Programs that are linked
 * with --wrap=replica_local_ops use it in their cycles. */

#include <glib.h>

enum fault_call {
    FAULT_NONE,
    FAULT_BEGIN,
    FAULT_LANE_OPEN,
    FAULT_WRITE,      /* when it is queued */
    FAULT_SUBMIT,     /* what was queued is submitted by the next call */
    FAULT_REAP,       /* nothing ends; the next call goes on */
    FAULT_COMPLETION, /* a write that was submitted */
    FAULT_ZERO,
    FAULT_FINISH,
    FAULT_COUNT,
    FAULT_SPOIL, /* no failure that shows: a byte of a write is another on the disk */
};

/* The call of that kind after so many more fails with errnum; FAULT_NONE: no call does. */
void fault_replica_plan(enum fault_call call, guint after, int errnum);

/* Whether the planned failure has happened. */
gboolean fault_replica_hit(void);

/* Writes completed so far. */
guint fault_replica_writes(void);
