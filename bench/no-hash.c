/* SPDX-License-Identifier: Apache-2.0 */

/* no-hash: a library for LD_PRELOAD that takes the hashing of blocks out of landfall-replicate and
 * leaves all else as it is: every whole block gets the same hash for nothing. With it a scan of a
 * disk that did not change only reads; what it takes less than the same scan without is what
 * hashing costs. For the benchmark alone: a store made with it proves nothing. */

#include <stddef.h>
#include <xxhash.h>

#define BLOCK_BYTES 65536

/* Declared here, because the library's header of the dispatching functions redefines names. */
XXH128_hash_t XXH3_128bits_withSeed_dispatch(const void *input, size_t length, XXH64_hash_t seed);

XXH128_hash_t XXH3_128bits_withSeed_dispatch(const void *input, size_t length, XXH64_hash_t seed)
{
    if (length == BLOCK_BYTES)
        return (XXH128_hash_t){.low64 = 1, .high64 = 1};
    return XXH3_128bits_withSeed(input, length, seed);
}
