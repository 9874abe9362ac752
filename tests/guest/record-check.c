/* SPDX-License-Identifier: Apache-2.0 */

/* Proves that raw images of a writing guest's disks are one state that the guest really was in:
 *
 *   record-check [--at-least N] [--at-most M] IMAGE…       in the guest's order: vda, vdb, …
 *
 * Every record is whole, every slot holds the newest record that belongs there, every chunk of the
 * scratch area holds what its last operation left, and no disk is more than one record behind the
 * one before it. Prints "vda A vdb B" and exits 0; otherwise says what is wrong and exits 1.
 * --at-least is for the last disk (an acknowledged record is on all), --at-most for the first.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/guest/record.h"

#define IMAGES_MAX 8
#define COMPLAINTS_MAX 10

struct image {
    const char *path;
    int fd;
    uint64_t start; /* of the writer's disk in this one */
    struct record_layout layout;
    uint64_t highest;
};

static int complaint_count;

static void complain(const struct image *image, const char *what, uint64_t offset)
{
    if (complaint_count < COMPLAINTS_MAX)
        printf("%s: %s, at offset %" PRIu64 "\n", image->path, what, offset);
    complaint_count++;
}

static bool is_zero(const void *data, size_t length)
{
    const char *bytes = data;
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

static void read_at(const struct image *image, void *data, size_t length, uint64_t offset)
{
    ssize_t got = pread(image->fd, data, length, (off_t)(image->start + offset));
    if (got >= 0 && (size_t)got == length)
        return;
    printf("%s: %s, at offset %" PRIu64 "\n", image->path,
           got < 0 ? strerror(errno) : "the image ends too early", offset);
    exit(1);
}

static void find_highest(struct image *image)
{
    struct record record;

    for (uint32_t slot = 0; slot < image->layout.slot_count; slot++) {
        uint64_t offset = record_slot_offset(&image->layout, slot);
        read_at(image, &record, sizeof record, offset);
        if (is_zero(&record, sizeof record))
            continue;
        if (!record_is_valid(&record, &image->layout) || record.slot != slot)
            complain(image, "a record that is not whole", offset);
        else if (record.number > image->highest)
            image->highest = record.number;
    }
}

/* On the disk the guest booted from its records have a partition. */
static bool is_booting(const struct image *image)
{
    uint8_t sector[512];

    read_at(image, sector, sizeof sector, 0);
    return sector[510] == 0x55 && sector[511] == 0xaa;
}

static void open_image(struct image *image, uint32_t index)
{
    image->fd = open(image->path, O_RDONLY | O_CLOEXEC);
    if (image->fd < 0) {
        printf("%s: %s\n", image->path, strerror(errno));
        exit(1);
    }
    if (is_booting(image))
        image->start = RECORD_PARTITION_OFFSET;
    read_at(image, &image->layout, sizeof image->layout, 0);
    if (!record_layout_is_valid(&image->layout) || image->layout.disk_index != index) {
        printf("%s: %s\n", image->path,
               record_layout_is_valid(&image->layout) ? "this is another disk of the guest"
                                                      : "the writer's layout is not there");
        exit(1);
    }
    find_highest(image);
}

static void check_slots(const struct image *image)
{
    static uint64_t expected[RECORD_SLOTS_MAX];
    uint64_t first = 1;
    struct record record;
    char text[128];

    if (image->highest > image->layout.slot_count)
        first = image->highest - image->layout.slot_count + 1;
    memset(expected, 0, sizeof expected);
    for (uint64_t number = first; number <= image->highest; number++)
        expected[record_slot(&image->layout, number)] = number;
    for (uint32_t slot = 0; slot < image->layout.slot_count; slot++) {
        uint64_t offset = record_slot_offset(&image->layout, slot);
        read_at(image, &record, sizeof record, offset);
        /* One that is not whole was named already, and a slot of zeros has no number. */
        if (!is_zero(&record, sizeof record) && !record_is_valid(&record, &image->layout))
            continue;
        if (record.number == expected[slot])
            continue;
        snprintf(text, sizeof text, "record %" PRIu64 " where record %" PRIu64 " should be",
                 record.number, expected[slot]);
        complain(image, text, offset);
    }
}

/* The last operation on a chunk that has surely happened, given the highest record. */
static uint64_t last_operation(const struct image *image, uint32_t chunk)
{
    uint64_t last = image->highest / RECORDS_PER_OPERATION;
    uint64_t chunks = image->layout.chunk_count;
    uint64_t back = (last % chunks + chunks - chunk) % chunks;

    return last < back ? 0 : last - back;
}

static void check_chunk(const struct image *image, uint32_t chunk)
{
    static uint64_t found[RECORD_BLOCK_SIZE / 8], data[RECORD_BLOCK_SIZE / 8];
    uint64_t offset = record_chunk_offset(&image->layout, chunk);
    uint64_t operation = last_operation(image, chunk);
    enum record_operation_kind kind = record_operation_kind(&image->layout, operation);
    bool zero;

    read_at(image, found, sizeof found, offset);
    zero = is_zero(found, sizeof found);
    if (kind == RECORD_OPERATION_NONE || kind == RECORD_OPERATION_ZERO) {
        if (!zero)
            complain(image, "data where zeros should be", offset);
        return;
    }
    if (kind == RECORD_OPERATION_DISCARD) {
        if (zero)
            return;
        operation -= image->layout.chunk_count;
    }
    record_chunk_data(data, &image->layout, operation);
    if (memcmp(found, data, sizeof data) != 0)
        complain(image, zero ? "zeros where data should be" : "other data than was written",
                 offset);
}

static void check_chunks(const struct image *image)
{
    uint64_t in_flight = record_operation(&image->layout, image->highest + 1);

    for (uint32_t chunk = 0; chunk < image->layout.chunk_count; chunk++)
        if (in_flight == 0 || record_operation_chunk(&image->layout, in_flight) != chunk)
            check_chunk(image, chunk);
}

static void check_order(const struct image *images, int image_count, uint64_t at_least,
                        uint64_t at_most)
{
    char text[160];

    for (int i = 1; i < image_count; i++) {
        uint64_t before = images[i - 1].highest, after = images[i].highest;
        if (after <= before && images[0].highest - after <= 1)
            continue;
        snprintf(text, sizeof text,
                 "highest record %" PRIu64 ", but %" PRIu64 " on the disk before it", after,
                 before);
        complain(&images[i], text, 0);
    }
    if (images[image_count - 1].highest < at_least)
        complain(&images[image_count - 1], "too old: an acknowledged record is missing", 0);
    if (images[0].highest > at_most)
        complain(&images[0], "too new: a record from after the snapshot", 0);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"at-least", required_argument, NULL, 'l'},
        {"at-most", required_argument, NULL, 'm'},
        {NULL, 0, NULL, 0},
    };
    struct image images[IMAGES_MAX] = {0};
    uint64_t at_least = 0, at_most = UINT64_MAX;
    int image_count, option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t *limit = option == 'l' ? &at_least : &at_most;
        if (option == '?' || !g_ascii_string_to_unsigned(optarg, 10, 0, UINT64_MAX, limit, NULL))
            return 2;
    }
    image_count = argc - optind;
    if (image_count < 1 || image_count > IMAGES_MAX)
        return 2;
    for (int i = 0; i < image_count; i++) {
        images[i].path = argv[optind + i];
        open_image(&images[i], (uint32_t)i);
        check_slots(&images[i]);
        check_chunks(&images[i]);
    }
    check_order(images, image_count, at_least, at_most);
    for (int i = 0; i < image_count; i++)
        printf("vd%c %" PRIu64 "%s", 'a' + i, images[i].highest, i + 1 < image_count ? " " : "\n");
    if (complaint_count > COMPLAINTS_MAX)
        printf("%d complaints more\n", complaint_count - COMPLAINTS_MAX);
    return complaint_count == 0 ? 0 : 1;
}
