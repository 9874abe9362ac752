/* SPDX-License-Identifier: Apache-2.0 */

/* The program that a test's guest runs: writes numbered records to all its disks and acknowledges
 * each on standard output once it is on all of them. record.h says what lies where. It goes on from
 * the highest record it finds, so it can be stopped at any instant, and be started on a replica.
 *
 *   record-writer [--rate RECORDS-A-SECOND] [--limit RECORDS] DISK…
 *
 * Statically linked: the guest has no libraries. An error is a line "error …" and exit status 1.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/record.h"

#define DISKS_MAX 8

struct disk {
    const char *path;
    int fd;
    struct record_layout layout;
    uint64_t highest;
};

static volatile sig_atomic_t is_stopping;

/* O_DIRECT wants aligned memory; one thread, so one buffer does. */
static _Alignas(RECORD_BLOCK_SIZE) uint64_t buffer[RECORD_BLOCK_SIZE / 8];

static void stop(int signal_number)
{
    (void)signal_number;
    is_stopping = 1;
}

static void fail(const struct disk *disk, const char *what)
{
    printf("error %s %s: %s\n", disk->path, what, strerror(errno));
    exit(1);
}

static void write_flushed(struct disk *disk, const void *data, size_t length, uint64_t offset)
{
    ssize_t written = pwrite(disk->fd, data, length, (off_t)offset);
    if (written >= 0 && (size_t)written != length)
        errno = EIO;
    if (written < 0 || (size_t)written != length)
        fail(disk, "write");
    if (fdatasync(disk->fd) != 0)
        fail(disk, "flush");
}

static void read_sector(struct disk *disk, uint64_t offset)
{
    if (pread(disk->fd, buffer, RECORD_SIZE, (off_t)offset) != RECORD_SIZE)
        fail(disk, "read");
}

static void find_highest(struct disk *disk)
{
    const struct record *record = (const struct record *)buffer;

    for (uint32_t slot = 0; slot < disk->layout.slot_count; slot++) {
        read_sector(disk, record_slot_offset(&disk->layout, slot));
        if (record_is_valid(record, &disk->layout) && record->number > disk->highest)
            disk->highest = record->number;
    }
}

static void open_disk(struct disk *disk, uint32_t index)
{
    uint64_t size_bytes;

    disk->fd = open(disk->path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (disk->fd < 0 || ioctl(disk->fd, BLKGETSIZE64, &size_bytes) != 0)
        fail(disk, "open");
    read_sector(disk, 0);
    memcpy(&disk->layout, buffer, sizeof disk->layout);
    if (record_layout_is_valid(&disk->layout)) {
        find_highest(disk);
        return;
    }
    if (!record_layout_init(&disk->layout, size_bytes, index)) {
        errno = ENOSPC;
        fail(disk, "layout");
    }
    memcpy(buffer, &disk->layout, sizeof disk->layout);
    write_flushed(disk, buffer, RECORD_SIZE, 0);
}

static void run_operation(struct disk *disk, uint64_t operation)
{
    uint32_t chunk = record_operation_chunk(&disk->layout, operation);
    uint64_t range[2] = {record_chunk_offset(&disk->layout, chunk), RECORD_BLOCK_SIZE};

    switch (record_operation_kind(&disk->layout, operation)) {
    case RECORD_OPERATION_DATA:
        record_chunk_data(buffer, &disk->layout, operation);
        write_flushed(disk, buffer, RECORD_BLOCK_SIZE, range[0]);
        break;
    case RECORD_OPERATION_ZERO:
        if (ioctl(disk->fd, BLKZEROOUT, range) != 0 || fdatasync(disk->fd) != 0)
            fail(disk, "write of zeros");
        break;
    case RECORD_OPERATION_DISCARD:
        /* A disk that cannot discard keeps its data: the checker accepts both. */
        if (ioctl(disk->fd, BLKDISCARD, range) != 0 && errno != EOPNOTSUPP)
            fail(disk, "discard");
        break;
    case RECORD_OPERATION_NONE:
        break;
    }
}

static void write_record(struct disk *disk, uint64_t number)
{
    struct record *record = (struct record *)buffer;
    uint64_t operation = record_operation(&disk->layout, number);

    if (operation != 0)
        run_operation(disk, operation);
    record_init(record, &disk->layout, number);
    write_flushed(disk, record, RECORD_SIZE, record_slot_offset(&disk->layout, record->slot));
    disk->highest = number;
}

/* Sleeps to an absolute time, so that the rate holds whatever a write took; never catches up. */
static void wait_for_turn(struct timespec *turn, uint64_t rate)
{
    struct timespec now;

    if (rate == 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    turn->tv_nsec += (long)(1000000000 / rate);
    if (turn->tv_nsec >= 1000000000) {
        turn->tv_nsec -= 1000000000;
        turn->tv_sec++;
    }
    if (turn->tv_sec < now.tv_sec || (turn->tv_sec == now.tv_sec && turn->tv_nsec < now.tv_nsec))
        *turn = now;
    else
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, turn, NULL);
}

static void run(struct disk *disks, int disk_count, uint64_t rate, uint64_t limit)
{
    struct timespec turn;
    uint64_t number = disks[0].highest;

    /* A power cut may have come between the disks: the record is brought to the others first. */
    for (int i = 1; i < disk_count; i++)
        if (disks[i].highest < number)
            write_record(&disks[i], number);
    printf("writer goes on after %" PRIu64 "\n", number);
    clock_gettime(CLOCK_MONOTONIC, &turn);
    while (!is_stopping && (limit == 0 || number < limit)) {
        number++;
        for (int i = 0; i < disk_count; i++)
            write_record(&disks[i], number);
        printf("ack %" PRIu64 "\n", number);
        wait_for_turn(&turn, rate);
    }
    printf("writer ends after %" PRIu64 "\n", number);
}

/* Statically linked, so without GLib. */
static uint64_t number_of(const char *text)
{
    char *end;
    uintmax_t number;

    errno = 0;
    number = strtoumax(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        printf("error: not a number: %s\n", text);
        exit(2);
    }
    return number;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"rate", required_argument, NULL, 'r'},
        {"limit", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    struct disk disks[DISKS_MAX] = {0};
    struct sigaction action = {.sa_handler = stop};
    uint64_t rate = 50;
    uint64_t limit = 0;
    int disk_count, option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'r')
            rate = number_of(optarg);
        else if (option == 'l')
            limit = number_of(optarg);
        else
            return 2;
    }
    disk_count = argc - optind;
    if (disk_count < 1 || disk_count > DISKS_MAX)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGTERM, &action, NULL);
    for (int i = 0; i < disk_count; i++) {
        disks[i].path = argv[optind + i];
        open_disk(&disks[i], (uint32_t)i);
    }
    run(disks, disk_count, rate, limit);
    return 0;
}
