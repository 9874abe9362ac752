/* SPDX-License-Identifier: Apache-2.0 */

/* gendisk: the disks that the benchmarks copy. The same seed gives the same disk on every machine.
 *
 *   gendisk used FILE SIZE_MIB SEED      a sparse raw disk, half of it holes
 *   gendisk random FILE SIZE_MIB SEED    incompressible throughout
 *   gendisk zero FILE SIZE_MIB SEED      written zeros, no holes
 *   gendisk sparse FILE SIZE_MIB SEED    as used, with 1 run in 512 that is no hole
 *   gendisk mutate FILE PERMILLE SEED    rewrites that share of all 64 KiB blocks in place
 *   gendisk scatter SIZE_MIB COUNT SEED  prints COUNT different block offsets, ascending, in bytes
 *   gendisk warm FILE                    reads what is no hole into the page cache
 *
 * A disk in use is neither all random nor all alike, and its free space is not one hole: runs of 1
 * to 16 MiB are chosen as 47% incompressible, 47% text-like and 6% written zeros of what is
 * allocated, with as many runs left as holes. Of the mutated blocks one half changes in 4 KiB only,
 * as a file system's metadata does, the other half whole. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 64 * 1024,
    PAGE_BYTES = 4096,
    MIB = 1024 * 1024,
    RUN_MIB_MAX = 16,
};

/* xorshift128+: fast enough to fill gigabytes, and the same everywhere. */
struct generator {
    guint64 state[2];
};

static guint64 generator_next(struct generator *generator)
{
    guint64 a = generator->state[0], b = generator->state[1];
    generator->state[0] = b;
    a ^= a << 23;
    generator->state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return generator->state[1] + b;
}

static void generator_seed(struct generator *generator, guint64 seed)
{
    generator->state[0] = seed * G_GUINT64_CONSTANT(0x9E3779B97F4A7C15) + 1;
    generator->state[1] = 42;
    for (int i = 0; i < 20; i++) /* small seeds start out alike */
        generator_next(generator);
}

static void fill_random(struct generator *generator, guint8 *buffer, gsize length_bytes)
{
    for (gsize i = 0; i < length_bytes; i += sizeof(guint64)) {
        guint64 value = generator_next(generator);
        memcpy(buffer + i, &value, sizeof value);
    }
}

static void fill_text(struct generator *generator, guint8 *buffer, gsize length_bytes)
{
    static const char *const words[] = {
        "the ",    "of ",         "block ", "server ",   "INFO ",    "2024-05-01T", "error ",
        "disk ",   "replica ",    "vm-",    "true,",     "\"id\": ", "null\n",      "config=",
        "return ", "0x00000000 ", "    ",   "/usr/lib/", "int ",     "}\n",
    };
    gsize i = 0;
    while (i < length_bytes) {
        guint64 value = generator_next(generator);
        for (int k = 0; k < 8 && i < length_bytes; k++, value >>= 8) {
            unsigned choice = value & 0xff;
            if (choice >= 200) {
                buffer[i++] = (guint8)('a' + choice % 26);
                continue;
            }
            const char *word = words[choice % G_N_ELEMENTS(words)];
            gsize length = MIN(strlen(word), length_bytes - i);
            memcpy(buffer + i, word, length);
            i += length;
        }
    }
}

static gboolean write_at(int fd, const guint8 *buffer, gsize length_bytes, guint64 offset)
{
    while (length_bytes > 0) {
        ssize_t written = pwrite(fd, buffer, length_bytes, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return FALSE;
        buffer += written;
        offset += (guint64)written;
        length_bytes -= (gsize)written;
    }
    return TRUE;
}

enum run_kind { RUN_HOLE, RUN_RANDOM, RUN_TEXT, RUN_ZERO };

static enum run_kind choose_used(struct generator *generator)
{
    unsigned chance = (unsigned)(generator_next(generator) % 200);
    return chance < 47 ? RUN_RANDOM : chance < 94 ? RUN_TEXT : chance < 100 ? RUN_ZERO : RUN_HOLE;
}

static enum run_kind choose_sparse(struct generator *generator)
{
    return generator_next(generator) % 512 == 0 ? RUN_RANDOM : RUN_HOLE;
}

static enum run_kind choose_random(struct generator *generator)
{
    (void)generator;
    return RUN_RANDOM;
}

static enum run_kind choose_zero(struct generator *generator)
{
    (void)generator;
    return RUN_ZERO;
}

typedef enum run_kind (*run_chooser)(struct generator *generator);

static run_chooser find_chooser(const char *name)
{
    static const struct {
        const char *name;
        run_chooser choose;
    } choosers[] = {{"used", choose_used},
                    {"random", choose_random},
                    {"zero", choose_zero},
                    {"sparse", choose_sparse}};
    for (gsize i = 0; i < G_N_ELEMENTS(choosers); i++)
        if (g_str_equal(choosers[i].name, name))
            return choosers[i].choose;
    return NULL;
}

static gboolean create(int fd, run_chooser choose, guint64 size_bytes, guint64 seed)
{
    struct generator generator;
    generator_seed(&generator, seed);
    g_autofree guint8 *buffer = g_malloc(RUN_MIB_MAX * MIB);
    if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)size_bytes) < 0)
        return FALSE;
    for (guint64 offset = 0; offset < size_bytes;) {
        guint64 length = (1 + generator_next(&generator) % RUN_MIB_MAX) * MIB;
        length = MIN(length, size_bytes - offset);
        enum run_kind kind = choose(&generator);
        if (kind == RUN_RANDOM)
            fill_random(&generator, buffer, length);
        else if (kind == RUN_TEXT)
            fill_text(&generator, buffer, length);
        else if (kind == RUN_ZERO)
            memset(buffer, 0, length);
        if (kind != RUN_HOLE && !write_at(fd, buffer, length, offset))
            return FALSE;
        offset += length;
    }
    return TRUE;
}

static gboolean warm(int fd)
{
    g_autofree guint8 *buffer = g_malloc(MIB);
    off_t end = 0;
    for (;;) {
        off_t offset = lseek(fd, end, SEEK_DATA);
        if (offset < 0)
            return errno == ENXIO; /* only holes from here on */
        end = lseek(fd, offset, SEEK_HOLE);
        while (offset < end) {
            ssize_t got = pread(fd, buffer, MIN(MIB, (gsize)(end - offset)), offset);
            if (got <= 0)
                return FALSE;
            offset += got;
        }
    }
}

/* Chooses count different blocks; the answer has one byte per block, 1 for chosen. */
static guint8 *choose_blocks(struct generator *generator, guint64 block_count, guint64 count)
{
    guint8 *chosen = g_malloc0(block_count);
    while (count > 0) {
        guint64 block = generator_next(generator) % block_count;
        if (chosen[block])
            continue;
        chosen[block] = 1;
        count--;
    }
    return chosen;
}

static gboolean mutate(int fd, guint64 permille, guint64 seed)
{
    struct generator generator;
    generator_seed(&generator, seed);
    off_t size_bytes = lseek(fd, 0, SEEK_END);
    if (size_bytes < BLOCK_BYTES)
        return FALSE;
    guint64 block_count = (guint64)size_bytes / BLOCK_BYTES;
    g_autofree guint8 *chosen =
        choose_blocks(&generator, block_count, block_count * permille / 1000);
    guint8 buffer[BLOCK_BYTES];
    gboolean whole = FALSE;
    for (guint64 block = 0; block < block_count; block++) {
        if (!chosen[block])
            continue;
        whole = !whole;
        gsize length = whole ? BLOCK_BYTES : PAGE_BYTES;
        guint64 inside =
            whole ? 0 : generator_next(&generator) % (BLOCK_BYTES / PAGE_BYTES) * PAGE_BYTES;
        fill_random(&generator, buffer, length);
        if (!write_at(fd, buffer, length, block * BLOCK_BYTES + inside))
            return FALSE;
    }
    return TRUE;
}

static void scatter(guint64 size_bytes, guint64 count, guint64 seed)
{
    struct generator generator;
    generator_seed(&generator, seed);
    guint64 block_count = size_bytes / BLOCK_BYTES;
    g_autofree guint8 *chosen = choose_blocks(&generator, block_count, MIN(count, block_count));
    for (guint64 block = 0; block < block_count; block++)
        if (chosen[block])
            printf("%" G_GUINT64_FORMAT "\n", block * BLOCK_BYTES);
}

static gboolean number(const char *text, guint64 maximum, guint64 *ret_value)
{
    g_autoptr(GError) error = NULL;
    if (g_ascii_string_to_unsigned(text, 10, 0, maximum, ret_value, &error))
        return TRUE;
    fprintf(stderr, "gendisk: %s\n", error->message);
    return FALSE;
}

static int usage(void)
{
    fputs("usage: gendisk used|random|zero|sparse FILE SIZE_MIB SEED | mutate FILE PERMILLE SEED |"
          " scatter SIZE_MIB COUNT SEED | warm FILE\n",
          stderr);
    return 2;
}

static int main_scatter(char **argv, guint64 seed)
{
    guint64 size_mib, count;
    if (!number(argv[2], 1 << 24, &size_mib) || !number(argv[3], 1 << 24, &count))
        return 2;
    scatter(size_mib * MIB, count, seed);
    return 0;
}

int main(int argc, char **argv)
{
    gboolean warms = argc == 3 && g_str_equal(argv[1], "warm");
    guint64 amount = 0, seed = 0;
    if (!warms && (argc != 5 || !number(argv[4], G_MAXUINT64, &seed)))
        return usage();
    if (g_str_equal(argv[1], "scatter"))
        return main_scatter(argv, seed);
    run_chooser choose = find_chooser(argv[1]);
    if (!warms && !choose && !g_str_equal(argv[1], "mutate"))
        return usage();
    if (!warms && !number(argv[3], choose ? 1 << 24 : 1000, &amount))
        return 2;
    int flags = warms ? O_RDONLY : choose ? O_RDWR | O_CREAT : O_RDWR;
    int fd = open(argv[2], flags | O_CLOEXEC, 0644);
    gboolean ok = fd >= 0 && (warms    ? warm(fd)
                              : choose ? create(fd, choose, amount * MIB, seed)
                                       : mutate(fd, amount, seed));
    if (!ok || (!warms && fsync(fd) < 0)) {
        fprintf(stderr, "gendisk: %s: %s\n", argv[2], g_strerror(errno));
        return 1;
    }
    close(fd);
    return 0;
}
