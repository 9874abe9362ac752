/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The candidates of a cycle as runs of blocks, in ascending order without overlap, and the same as
 * numbered requests that lanes can take by one atomic index. Filled by one thread, then sealed;
 * after that it is read-only and may be shared between threads. */

#include <glib.h>

#define REQUEST_BYTES (256u * 1024) /* one read of the source; aligned to itself */
#define ZERO_REQUEST_BYTES                                                                         \
    (256ull * 1024 * 1024) /* one look at the block map for a run of zeros                         \
                            */

enum extent_kind {
    EXTENT_DATA, /* to be read */
    EXTENT_ZERO, /* the source says it reads as zeros */
};

struct extent {
    guint64 offset_bytes;
    guint64 length_bytes;
    enum extent_kind kind;
};

struct extent_list;

struct extent_list *extent_list_new(guint64 disk_bytes);
void extent_list_free(struct extent_list *list);

/* Adds a range in bytes. Ranges come in ascending order and do not overlap; a range that reaches
 * past the end of the disk is cut there. */
void extent_list_add(struct extent_list *list, guint64 offset_bytes, guint64 length_bytes,
                     enum extent_kind kind);

/* Rounds to whole blocks: a block that is a candidate only in part, or zero only in part, is data.
 * After this extent_list_add must not be called. */
void extent_list_seal(struct extent_list *list);

/* Of a sealed list: runs of whole blocks (the last may end with the disk). Borrowed. */
const GArray *extent_list_extents(const struct extent_list *list);
guint64 extent_list_bytes(const struct extent_list *list, enum extent_kind kind);
gboolean extent_list_contains(const struct extent_list *list, guint64 offset_bytes);

/* Of a sealed list: requests 0 … count-1, each within one extent; data requests are at most
 * REQUEST_BYTES and do not cross a multiple of it, zero requests at most ZERO_REQUEST_BYTES. */
guint64 extent_list_request_count(const struct extent_list *list);
struct extent extent_list_request(const struct extent_list *list, guint64 index);
