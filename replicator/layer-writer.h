/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes a delta layer: a qcow2 file whose data clusters lanes fill in any order and whose tables
 * are written at the end, in one pass over the sorted changes. */

#include "replicator/map-journal.h"

struct layer_writer;

/* Creates the file. backing_name is a file in the same folder, backing_format "raw" or "qcow2". */
struct layer_writer *layer_writer_create(const char *path, guint64 disk_bytes,
                                         const char *backing_name, const char *backing_format,
                                         GError **error);

/* The same into an open, empty file, which the writer takes over; path is for errors. */
struct layer_writer *layer_writer_new(int fd, const char *path, guint64 disk_bytes,
                                      const char *backing_name, const char *backing_format);
void layer_writer_free(struct layer_writer *writer);

/* Takes count consecutive clusters; the offset of the first. Thread-safe. */
guint64 layer_writer_allocate(struct layer_writer *writer, guint count);

/* Writes tables and header and makes the file durable. changes: struct block_change, ascending by
 * block, within the disk; every allocated cluster is in it once. */
gboolean layer_writer_finish(struct layer_writer *writer, const GArray *changes,
                             guint64 *ret_file_bytes, GError **error);
