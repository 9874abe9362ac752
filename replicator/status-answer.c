/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/status-answer.h"

void status_answer_init(struct status_answer *answer, guint64 start_bytes, guint64 end_bytes)
{
    g_assert(start_bytes <= end_bytes);
    answer->position_bytes = start_bytes;
    answer->end_bytes = end_bytes;
    answer->extents = g_array_new(FALSE, FALSE, sizeof(struct status_extent));
}

void status_answer_clear(struct status_answer *answer)
{
    g_array_unref(answer->extents);
}

/* A server may cut a range into pieces of one sector that all say the same. */
static void append(GArray *extents, guint64 offset_bytes, guint64 length_bytes, guint32 flags)
{
    struct status_extent *last =
        extents->len ? &g_array_index(extents, struct status_extent, extents->len - 1) : NULL;
    struct status_extent extent = {offset_bytes, length_bytes, flags};
    if (last && last->flags == flags)
        last->length_bytes += length_bytes;
    else
        g_array_append_val(extents, extent);
}

void status_answer_take(struct status_answer *answer, guint64 offset_bytes, const guint32 *entries,
                        gsize entry_count)
{
    if (offset_bytes != answer->position_bytes)
        return;
    for (gsize i = 0; i + 1 < entry_count; i += 2) {
        guint64 length = MIN(entries[i], answer->end_bytes - answer->position_bytes);
        if (length == 0)
            continue;
        append(answer->extents, answer->position_bytes, length, entries[i + 1]);
        answer->position_bytes += length;
    }
}
