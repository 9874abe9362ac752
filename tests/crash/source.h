/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The machine whose disks are replicated: raw files behind one qemu-storage-daemon, which serves
 * them over NBD and keeps their dirty bitmaps as it does for a guest. A "guest" writes through that
 * server; what it has written is also kept in memory, as the truth. */

#include <glib.h>

struct source;

/* Starts the server; everything of it lives in the folder. Errors end the test. */
struct source *source_start(const char *folder);
void source_stop(struct source *source);

/* Adds a disk of zeros. */
void source_add(struct source *source, const char *disk, guint64 size_bytes);

/* Of a disk. The URI and content are borrowed. */
const char *source_uri(const struct source *source, const char *disk);
const guint8 *source_content(const struct source *source, const char *disk);
guint64 source_size(const struct source *source, const char *disk);

/* The meta context of its bitmap: what changed since source_forget_changes or a resize. */
#define SOURCE_BITMAP "qemu:dirty-bitmap:b0"

/* What a guest does. data is borrowed. */
void source_write(struct source *source, const char *disk, guint64 offset, const void *data,
                  gsize length);
void source_zero(struct source *source, const char *disk, guint64 offset, guint64 length,
                 gboolean discard);

/* The disk gets another size, as virsh blockresize does it. */
void source_resize(struct source *source, const char *disk, guint64 size_bytes);

/* The bitmap counts from now. */
void source_forget_changes(struct source *source, const char *disk);
