/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a server answers to a question for block status, made fit for use: a server may tell more
 * than was asked, less, or nothing, and is not trusted in any of it. */

#include <glib.h>

/* What a server said of a range: flags of the context. */
struct status_extent {
    guint64 offset_bytes;
    guint64 length_bytes;
    guint32 flags;
};

struct status_answer {
    guint64 position_bytes; /* answered up to here */
    guint64 end_bytes;
    GArray *extents; /* struct status_extent: ascending, none empty, no gap up to the position */
};

void status_answer_init(struct status_answer *answer, guint64 start_bytes, guint64 end_bytes);
void status_answer_clear(struct status_answer *answer);

/* Takes pairs of length and flags, entry_count numbers in all, for what begins at offset_bytes.
 * What is not asked for, or asked for no longer, is passed over. */
void status_answer_take(struct status_answer *answer, guint64 offset_bytes, const guint32 *entries,
                        gsize entry_count);
