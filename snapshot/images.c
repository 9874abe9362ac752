/* SPDX-License-Identifier: Apache-2.0 */
/* Which images a disk is made of. A checkpoint's bitmaps have one name in all disks of a machine,
 * so an image that has changed places with that of another disk carries a sound bitmap of that
 * name: one that counts from another replica. And no bitmap of an image tells what became of those
 * below it. */
#include "snapshot/snapshot-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define WRITTEN "written "

/* A file is told by its inode and its birth, which live as long as it does: device numbers change
 * when a host starts anew. What cannot be looked at from here is told by its place alone. */
static char *identify(const struct snapshot_machine *machine, const char *place, char **ret_state)
{
    struct statx file;
    *ret_state = NULL;
    if (!machine->host->local || !g_path_is_absolute(place) ||
        statx(AT_FDCWD, place, 0, STATX_BASIC_STATS | STATX_BTIME, &file) != 0 ||
        !S_ISREG(file.stx_mode))
        return g_strdup(place);
    *ret_state = g_strdup_printf(WRITTEN "%" G_GINT64_FORMAT ".%09u size %" G_GUINT64_FORMAT ": ",
                                 (gint64)file.stx_mtime.tv_sec, (unsigned)file.stx_mtime.tv_nsec,
                                 (guint64)file.stx_size);
    if (!(file.stx_mask & STATX_BTIME))
        return g_strdup_printf("%s inode %" G_GUINT64_FORMAT, place, (guint64)file.stx_ino);
    return g_strdup_printf("%s inode %" G_GUINT64_FORMAT " born %" G_GINT64_FORMAT ".%09u", place,
                           (guint64)file.stx_ino, (gint64)file.stx_btime.tv_sec,
                           (unsigned)file.stx_btime.tv_nsec);
}

/* An image without what was written when: that stands in front of the place of a file. */
static const char *identity(const char *image)
{
    const char *end = g_str_has_prefix(image, WRITTEN) ? strstr(image, ": /") : NULL;
    return end ? end + 2 : image;
}

/* Where image stands in the list, or the end of it. */
static const char *const *find(const char *const *images, const char *image)
{
    while (*images && strcmp(identity(*images), identity(image)) != 0)
        images++;
    return images;
}

/* An image that lies below others is not written any more, but for one time: when the checkpoint
 * from before it came to lie there is deleted. */
GStrv snapshot_images(const struct snapshot_machine *machine, const struct machine_disk *disk,
                      const char *const *before)
{
    g_autoptr(GStrvBuilder) images = g_strv_builder_new();
    for (guint i = 0; i < disk->places->len; i++) {
        g_autofree char *state = NULL;
        g_autofree char *image = identify(machine, disk->places->pdata[i], &state);
        gboolean settled = i > 0 && (!before || (before[0] && *find(before + 1, image)));
        g_autofree char *whole =
            settled && state ? g_strconcat(state, image, NULL) : g_strdup(image);
        g_strv_builder_add(images, whole);
    }
    return g_strv_builder_end(images);
}

/* Inode, birth, size and time of the last change, of each disk's own image. */
char *snapshot_machine_state(const struct snapshot_machine *machine)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    for (guint i = 0; i < machine->disks->len; i++) {
        const struct machine_disk *disk = machine->disks->pdata[i];
        g_autofree char *state = NULL, *image = NULL;
        if (disk->public.unsupported_reason)
            continue;
        image = identify(machine, disk->public.source, &state);
        if (!state)
            return NULL;
        g_checksum_update(sum, (const guchar *)state, (gssize)strlen(state) + 1);
        g_checksum_update(sum, (const guchar *)image, (gssize)strlen(image) + 1);
    }
    return g_strdup(g_checksum_get_string(sum));
}

/* The top of one chain stands in the other: images were put on top since, or merged into lower
 * ones. A template below the images of several disks proves nothing. From there on downwards,
 * nothing is new and nothing was written. */
const char *snapshot_images_judge(const char *const *before, const char *const *now,
                                  const char **ret_image)
{
    *ret_image = now[0] ? now[0] : "not known";
    const char *const *met_before = before, *const *met_now =
                                                before[0] ? find(now, before[0]) : now;
    if (!*met_now) {
        met_now = now;
        met_before = now[0] ? find(before, now[0]) : NULL;
    }
    if (!met_before || !*met_before || !*met_now)
        return SNAPSHOT_CAUSE_IMAGE_REPLACED;
    for (const char *const *image = met_now + 1; *image; image++) {
        const char *known = *find(met_before + 1, *image);
        if (known && (known == identity(known) || strcmp(known, *image) == 0))
            continue;
        *ret_image = *image;
        return SNAPSHOT_CAUSE_BACKING_ALTERED;
    }
    return NULL;
}
