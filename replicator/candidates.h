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

/* The steps of the above that need no server; status: struct status_extent, without a gap. Lists
 * are sealed; the caller owns what it gets. */

/* All blocks, zero or data as base:allocation has it. */
struct extent_list *candidates_of_allocation(const GArray *status, guint64 disk_bytes);

/* The blocks that a dirty bitmap names, all of them as data. */
struct extent_list *candidates_of_bitmap(const GArray *status, guint64 disk_bytes);

/* The ranges (struct status_range) among candidates that are long enough to ask for allocation. */
GArray *candidates_to_ask(const struct extent_list *dirty);

/* The same candidates with the allocation of those ranges laid over. */
struct extent_list *candidates_with_allocation(const struct extent_list *dirty,
                                               const GArray *status, guint64 disk_bytes);
