/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which blocks of a disk a cycle looks at, and which of those the source says are zero. */

#include "replicator/nbd-source.h"

/* By dirty bitmap: the blocks it names, in whole blocks. handle was connected with the bitmap as
 * its context and is closed and NULL after a failure. Where the bitmap names long ranges and the
 * server takes a second connection, zeros among them are found by allocation. The list is sealed;
 * the caller owns it. */
struct extent_list *candidates_by_bitmap(const struct nbd_source *source,
                                         struct nbd_handle **handle, const char *bitmap,
                                         guint64 disk_bytes, const gint *cancelled, GError **error);

/* All blocks, by the allocation that handle was connected for; without that context, all data. */
struct extent_list *candidates_all(const struct nbd_source *source, struct nbd_handle **handle,
                                   guint64 disk_bytes, const gint *cancelled, GError **error);
