/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of the store: whole reads and writes at an offset, atomic replacement, durable folders.
 * Every failure names the file. */

#include <glib.h>

/* Opens path with O_CLOEXEC and flags; mode bits 0640. -1 and error replica on failure. */
int store_file_open(const char *path, int flags, GError **error);

/* Reads or writes exactly length_bytes at offset_bytes. A short read is error corrupt ("ends
 * early"); name is used in errors only. */
gboolean store_file_read(int fd, const char *name, void *data, gsize length_bytes,
                         guint64 offset_bytes, GError **error);
gboolean store_file_write(int fd, const char *name, const void *data, gsize length_bytes,
                          guint64 offset_bytes, GError **error);

gboolean store_file_truncate(int fd, const char *name, guint64 length_bytes, GError **error);
gboolean store_file_size(int fd, const char *name, guint64 *ret_bytes, GError **error);

/* Gives the file room for a range behind its end, which reads as zeros until it is written: it
 * grows. FALSE where that cannot be had; it may have grown all the same. */
gboolean store_file_reserve(int fd, guint64 from_bytes, guint64 to_bytes);

/* Makes a range read as zeros and gives its space back where the file system can. */
gboolean store_file_punch(int fd, const char *name, guint64 offset_bytes, guint64 length_bytes,
                          GError **error);

/* Makes the content durable, and a size that has grown. */
gboolean store_file_sync(int fd, const char *name, GError **error);

/* The same for a file that was made smaller: nobody promises that fdatasync makes that last. */
gboolean store_file_sync_size(int fd, const char *name, GError **error);

/* Makes the names in the folder durable. */
gboolean store_folder_sync(const char *path, GError **error);

/* The names in the folder, in no order. An error of the disk is one here, never a shorter list. The
 * caller owns the array, which owns the names. */
GPtrArray *store_folder_list(const char *path, GError **error);

/* Creates the folder (and no parents) unless it is there. */
gboolean store_folder_create(const char *path, GError **error);

/* Replaces path by text: written beside it, synced, renamed, folder synced. A reader sees the old
 * content or the new, also after a power cut. */
gboolean store_file_replace(const char *path, const char *text, gsize length_bytes, GError **error);

/* The whole of a file of at most limit_bytes, 0-terminated. The caller owns the text. */
char *store_file_load(const char *path, gsize limit_bytes, gsize *ret_length_bytes, GError **error);

/* Whether something is at path; links are followed. Where that cannot be told it fails. */
gboolean store_file_exists(const char *path, gboolean *ret_exists, GError **error);

/* Removes the file; that it is not there is no error. */
gboolean store_file_remove(const char *path, GError **error);

/* Locks the open file, shared with others who do the same or for this process alone, waiting at
 * most wait_ms. FALSE with errno, EWOULDBLOCK when somebody else has it. The kernel lets go when
 * the last use of the open file ends. */
gboolean store_file_lock(int fd, gboolean shared, unsigned wait_ms);
