/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Following a job to its end: progress while it runs, its result, and its error as the command's.
 */

#include "appliance/cli/daemon-command.h"

/* TRUE when the job is done; its own error when it failed; error cancelled when the operator does
 * not want to look any longer, which leaves the job running. */
gboolean follow_job(struct daemon *daemon, const char *job, GError **error);

/* The result of a job, which is waited for without a word; owned by the caller. Errors as above. */
JsonObject *follow_result(struct daemon *daemon, const char *job, GError **error);

/* What a job warned of, on standard error. */
gboolean follow_warnings(struct daemon *daemon, const char *job, GError **error);

/* After a job was started: follows it when asked to, else says what it is and how to. */
gboolean follow_started(struct daemon *daemon, JsonObject *answer, gboolean follow,
                        const char *what, GError **error);

/* The option that asks for it. */
#define FOLLOW_ENTRY(follow)                                                                       \
    {                                                                                              \
        "follow", 0, 0, G_OPTION_ARG_NONE, follow, "Show its progress until it ends", NULL         \
    }
