/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Progress on standard error: a bar with rate and remaining time on a terminal, a plain line now
 * and then elsewhere. */

#include <glib.h>

struct progress;

/* quiet: show nothing (the caller prints JSON). */
struct progress *progress_new(gboolean quiet);
void progress_free(struct progress *progress);

/* label names what is worked on; a new label starts a new bar. */
void progress_update(struct progress *progress, const char *label, guint64 done_bytes,
                     guint64 total_bytes);

/* Ends the bar's line, so that other output can follow. Without an update since, nothing. */
void progress_finish(struct progress *progress);
