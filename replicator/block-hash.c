/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/block-hash.h"

#include <string.h>

/* Debian's plain XXH3 symbols are SSE2; the dispatching ones choose AVX2 or AVX-512 at run time.
 * Other processors have the plain ones only. */
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#define HASH_128 XXH3_128bits_withSeed_dispatch
#define HASH_128_ADD XXH3_128bits_update_dispatch
#else
#include <xxhash.h>
#define HASH_128 XXH3_128bits_withSeed
#define HASH_128_ADD XXH3_128bits_update
#endif

struct hash_stream {
    XXH3_state_t *state;
};

gboolean bytes_are_zero(const void *data, gsize length_bytes)
{
    const guint8 *bytes = data;
    if (length_bytes == 0)
        return TRUE;
    /* A buffer equals itself shifted by one byte if and only if all its bytes are the same. */
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, length_bytes - 1) == 0;
}

static struct block_hash canonical_hash(XXH128_hash_t value)
{
    XXH128_canonical_t canonical;
    struct block_hash hash;
    XXH128_canonicalFromHash(&canonical, value);
    memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
    return hash;
}

struct block_hash block_hash_bytes(const void *data, gsize length_bytes, guint64 seed)
{
    return canonical_hash(HASH_128(data, length_bytes, seed));
}

struct hash_stream *hash_stream_new(void)
{
    struct hash_stream *stream = g_new0(struct hash_stream, 1);
    stream->state = XXH3_createState();
    g_assert(stream->state); /* as g_new: out of memory ends the program */
    XXH3_128bits_reset(stream->state);
    return stream;
}

void hash_stream_add(struct hash_stream *stream, const void *data, gsize length_bytes)
{
    HASH_128_ADD(stream->state, data, length_bytes);
}

struct block_hash hash_stream_value(const struct hash_stream *stream)
{
    return canonical_hash(XXH3_128bits_digest(stream->state));
}

void hash_stream_free(struct hash_stream *stream)
{
    if (stream)
        XXH3_freeState(stream->state);
    g_free(stream);
}

struct block_hash block_hash_compute(const void *data, gsize length_bytes, guint64 seed)
{
    struct block_hash hash = {{0}};
    g_assert(length_bytes > 0 && length_bytes <= BLOCK_BYTES);
    if (bytes_are_zero(data, length_bytes))
        return hash;
    hash = block_hash_bytes(data, length_bytes, seed);
    /* The value reserved for zero blocks, drawn by data that are not zero. */
    if (block_hash_is_zero(&hash))
        hash.bytes[15] = 1;
    return hash;
}

gboolean block_hash_equal(const struct block_hash *a, const struct block_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

gboolean block_hash_is_zero(const struct block_hash *hash)
{
    static const struct block_hash zero;
    return block_hash_equal(hash, &zero);
}

char *block_hash_to_hex(const struct block_hash *hash)
{
    GString *text = g_string_sized_new(32);
    for (gsize i = 0; i < sizeof hash->bytes; i++)
        g_string_append_printf(text, "%02x", hash->bytes[i]);
    return g_string_free(text, FALSE);
}

gboolean block_hash_from_hex(const char *text, struct block_hash *ret_hash)
{
    struct block_hash hash;
    if (strlen(text) != 2 * sizeof hash.bytes)
        return FALSE;
    for (gsize i = 0; i < sizeof hash.bytes; i++) {
        if (g_ascii_isupper(text[2 * i]) || g_ascii_isupper(text[2 * i + 1]))
            return FALSE;
        int high = g_ascii_xdigit_value(text[2 * i]);
        int low = g_ascii_xdigit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return FALSE;
        hash.bytes[i] = (guint8)(high << 4 | low);
    }
    *ret_hash = hash;
    return TRUE;
}
