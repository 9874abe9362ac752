/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/local-resume.h"
#include "base/error.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define READ_BLOCKS 16u

static gboolean hash_range(int fd, const char *base, struct block_map *map, guint64 first,
                           guint count, guint8 *buffer, GError **error)
{
    struct block_hash hashes[READ_BLOCKS];
    guint64 disk_bytes = block_map_disk_bytes(map);
    for (guint i = 0; i < count; i++) {
        gsize length = block_length(disk_bytes, first + i);
        if (!store_file_read(fd, base, buffer, length, (first + i) * BLOCK_BYTES, error))
            return FALSE;
        hashes[i] = block_hash_compute(buffer, length, block_map_seed(map));
    }
    return block_map_write(map, first, count, hashes, error);
}

/* Hashes what is not a hole. */
static gboolean hash_base(int fd, const char *base, struct block_map *map, const gint *cancelled,
                          GError **error)
{
    g_autofree guint8 *buffer = g_malloc(BLOCK_BYTES);
    guint64 end = block_count(block_map_disk_bytes(map));
    for (guint64 block = 0; block < end;) {
        off_t data = lseek(fd, (off_t)(block * BLOCK_BYTES), SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        if (g_atomic_int_get(cancelled)) {
            landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
            return FALSE;
        }
        if (data >= 0)
            block = MAX(block, (guint64)data / BLOCK_BYTES);
        guint count = (guint)MIN(READ_BLOCKS, end - block);
        if (!hash_range(fd, base, map, block, count, buffer, error))
            return FALSE;
        block += count;
    }
    return TRUE;
}

static guint64 random_seed(void)
{
    return (guint64)g_random_int() << 32 | g_random_int();
}

struct block_map *local_resume(const char *folder, guint64 disk_bytes, const gint *cancelled,
                               GError **error)
{
    g_autofree char *base = g_build_filename(folder, BASE_NAME, NULL);
    g_autofree char *path = g_build_filename(folder, BLOCK_MAP_NAME, NULL);
    struct block_map *map = block_map_create(path, disk_bytes, random_seed(), error);
    int fd = map ? store_file_open(base, O_RDWR | O_CREAT, error) : -1;
    gboolean ok = fd >= 0 && store_file_truncate(fd, base, disk_bytes, error) &&
                  hash_base(fd, base, map, cancelled, error);
    if (fd >= 0)
        close(fd);
    if (ok)
        return map;
    block_map_free(map);
    return NULL;
}
