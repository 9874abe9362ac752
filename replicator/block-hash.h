/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The block: 64 KiB of a disk, the unit of hashing and of change; and its hash, XXH3-128 seeded per
 * disk. The hash of sixteen zero bytes is reserved for a block whose bytes are all zero. */

#include <glib.h>

#define BLOCK_BYTES 65536u

struct block_hash {
    guint8 bytes[16]; /* canonical (big-endian) XXH128; all zero: the block is all zero */
};

G_STATIC_ASSERT(sizeof(struct block_hash) == 16);

/* Hash of length_bytes (1 … BLOCK_BYTES) at data, zero test included. */
struct block_hash block_hash_compute(const void *data, gsize length_bytes, guint64 seed);

/* Plain XXH3-128 of any bytes, without the zero rule: for checksums of files. */
struct block_hash block_hash_bytes(const void *data, gsize length_bytes, guint64 seed);

/* The same over pieces, for files that are not held in memory at once. */
struct hash_stream;
struct hash_stream *hash_stream_new(void);
void hash_stream_add(struct hash_stream *stream, const void *data, gsize length_bytes);

/* The hash of all pieces so far. */
struct block_hash hash_stream_value(const struct hash_stream *stream);
void hash_stream_free(struct hash_stream *stream);

gboolean block_hash_equal(const struct block_hash *a, const struct block_hash *b);
gboolean block_hash_is_zero(const struct block_hash *hash);

/* Whether all length_bytes at data are zero. */
gboolean bytes_are_zero(const void *data, gsize length_bytes);

/* 32 hexadecimal digits. The caller owns the text. */
char *block_hash_to_hex(const struct block_hash *hash);

/* FALSE when text is not 32 lower-case hexadecimal digits. */
gboolean block_hash_from_hex(const char *text, struct block_hash *ret_hash);
