/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the guest's writer puts on its disks and the checker expects to find there.
 *
 * A disk is cut in blocks of 64 KiB:
 *
 *   block 0                       struct record_layout in its first 4096 bytes
 *   blocks 1 … record_blocks      the record area: slot_count slots, each alone in its block
 *   the blocks after that         the scratch area: chunk_count chunks of one block each
 *
 * Record n lies in slot record_slot(n): consecutive numbers are far apart, so that a few records
 * touch many blocks. A slot holds the newest record that maps to it.
 *
 * The scratch area is for writes of zeros and discards. Operation m belongs to record
 * m * RECORDS_PER_OPERATION and happens just before it, on each disk. It acts on one chunk; the
 * kind depends on how often that chunk was used before. What a chunk has to hold thus follows from
 * the highest record of the disk, save for the operation in flight.
 *
 * Order for record n: on each disk in turn the operation, if any, then the record, each flushed
 * before the next; "ack n" on the console comes last. So a disk is at most one record behind the
 * one before it, in any state that a power cut could have left.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Where the records begin on a disk that boots by itself (build-boot-disk.sh). */
#define RECORD_PARTITION_OFFSET (64ull << 20)

#define RECORD_SIZE 4096
#define RECORD_BLOCK_SIZE 65536
#define RECORD_SLOTS_MAX 4096
#define RECORD_CHUNKS_MAX 64
#define RECORDS_PER_OPERATION 4

/* The largest odd-multiplier permutation step used here; odd, so one-to-one for powers of two. */
#define RECORD_STEP 2654435761u

#define RECORD_LAYOUT_MAGIC 0x314c44524f434552u
#define RECORD_MAGIC 0x3144524f4345524cu

/* Written once, when the disk has none: a disk that grows later keeps its layout. */
struct record_layout {
    uint64_t magic;
    uint32_t slot_count;    /* a power of two */
    uint32_t blocks_a_slot; /* distance of two slots */
    uint64_t record_blocks;
    uint32_t chunk_count; /* 0 on a disk too small for a scratch area */
    uint32_t disk_index;  /* 0 for the first disk */
    uint8_t unused[RECORD_SIZE - 40];
    uint64_t checksum; /* XXH3 of all before it */
};

struct record {
    uint64_t magic;
    uint64_t number; /* from 1 */
    uint32_t slot;
    uint32_t disk_index;
    uint64_t payload[(RECORD_SIZE - 32) / 8];
    uint64_t checksum; /* XXH3 of all before it */
};

_Static_assert(sizeof(struct record_layout) == RECORD_SIZE, "a layout is one sector");
_Static_assert(sizeof(struct record) == RECORD_SIZE, "a record is one sector");

enum record_operation_kind {
    RECORD_OPERATION_NONE, /* the chunk was never used */
    RECORD_OPERATION_DATA,
    RECORD_OPERATION_ZERO,
    RECORD_OPERATION_DISCARD,
};

static inline uint64_t record_checksum(const void *sector)
{
    return XXH3_64bits(sector, RECORD_SIZE - sizeof(uint64_t));
}

/* Words that differ everywhere, so that a shifted or mixed up block never looks right. */
static inline void record_fill_words(uint64_t *words, size_t word_count, uint64_t seed)
{
    for (size_t i = 0; i < word_count; i++)
        words[i] = XXH3_64bits_withSeed(&i, sizeof i, seed);
}

static inline bool record_layout_init(struct record_layout *layout, uint64_t disk_size_bytes,
                                      uint32_t disk_index)
{
    uint64_t blocks = disk_size_bytes / RECORD_BLOCK_SIZE;
    uint64_t usable, slots = 1;

    if (blocks < 16)
        return false;
    memset(layout, 0, sizeof *layout);
    layout->magic = RECORD_LAYOUT_MAGIC;
    layout->disk_index = disk_index;
    layout->record_blocks = blocks / 4 * 3 - 1;
    usable = layout->record_blocks;
    while (slots * 2 <= usable && slots * 2 <= RECORD_SLOTS_MAX)
        slots *= 2;
    layout->slot_count = (uint32_t)slots;
    layout->blocks_a_slot = (uint32_t)(usable / slots);
    layout->chunk_count = (uint32_t)(blocks - 1 - usable);
    if (layout->chunk_count > RECORD_CHUNKS_MAX)
        layout->chunk_count = RECORD_CHUNKS_MAX;
    layout->checksum = record_checksum(layout);
    return true;
}

static inline bool record_layout_is_valid(const struct record_layout *layout)
{
    return layout->magic == RECORD_LAYOUT_MAGIC && layout->checksum == record_checksum(layout) &&
           layout->slot_count > 0 && layout->slot_count <= RECORD_SLOTS_MAX &&
           layout->chunk_count <= RECORD_CHUNKS_MAX;
}

static inline uint32_t record_slot(const struct record_layout *layout, uint64_t number)
{
    return (uint32_t)((number * RECORD_STEP) % layout->slot_count);
}

/* The place in the block differs from slot to slot. */
static inline uint64_t record_slot_offset(const struct record_layout *layout, uint32_t slot)
{
    uint64_t block = 1 + (uint64_t)slot * layout->blocks_a_slot;
    return block * RECORD_BLOCK_SIZE + (slot * 5u % 16u) * RECORD_SIZE;
}

static inline void record_init(struct record *record, const struct record_layout *layout,
                               uint64_t number)
{
    record->magic = RECORD_MAGIC;
    record->number = number;
    record->slot = record_slot(layout, number);
    record->disk_index = layout->disk_index;
    record_fill_words(record->payload, sizeof record->payload / 8, number * 2 + layout->disk_index);
    record->checksum = record_checksum(record);
}

static inline bool record_is_valid(const struct record *record, const struct record_layout *layout)
{
    return record->magic == RECORD_MAGIC && record->checksum == record_checksum(record) &&
           record->disk_index == layout->disk_index &&
           record->slot == record_slot(layout, record->number);
}

/* The operation that comes with a record, or 0. */
static inline uint64_t record_operation(const struct record_layout *layout, uint64_t number)
{
    if (layout->chunk_count == 0 || number % RECORDS_PER_OPERATION != 0)
        return 0;
    return number / RECORDS_PER_OPERATION;
}

static inline uint32_t record_operation_chunk(const struct record_layout *layout,
                                              uint64_t operation)
{
    return (uint32_t)(operation % layout->chunk_count);
}

static inline uint64_t record_chunk_offset(const struct record_layout *layout, uint32_t chunk)
{
    return (1 + layout->record_blocks + chunk) * RECORD_BLOCK_SIZE;
}

/* Each chunk goes round: data, zeros, data, discarded. */
static inline enum record_operation_kind record_operation_kind(const struct record_layout *layout,
                                                               uint64_t operation)
{
    static const enum record_operation_kind kinds[] = {
        RECORD_OPERATION_DATA,
        RECORD_OPERATION_ZERO,
        RECORD_OPERATION_DATA,
        RECORD_OPERATION_DISCARD,
    };
    return operation == 0 ? RECORD_OPERATION_NONE : kinds[operation / layout->chunk_count % 4];
}

static inline void record_chunk_data(uint64_t *words, const struct record_layout *layout,
                                     uint64_t operation)
{
    record_fill_words(words, RECORD_BLOCK_SIZE / 8, ~(operation * 2 + layout->disk_index));
}
