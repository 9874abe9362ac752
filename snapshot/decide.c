/* SPDX-License-Identifier: Apache-2.0 */
/* What each chosen disk gets: the bitmap of its base checkpoint where that can be trusted, a whole
 * read with a named cause otherwise. Nothing here changes the host, and nothing about a bitmap is
 * ever an error: a disk is demoted, alone. */
#include "snapshot/snapshot-private.h"

#include <string.h>

static void disk_decision_free(struct disk_decision *decision)
{
    g_free(decision->incremental);
    g_free(decision->scratch_path);
    g_free(decision->cause);
    g_free(decision->detail);
    g_strfreev(decision->images);
    g_free(decision);
}

static void G_GNUC_PRINTF(3, 4)
    demote(struct disk_decision *decision, const char *cause, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    decision->cause = g_strdup(cause);
    decision->detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
}

/* What is known of one base checkpoint: looked up once, however many disks share it. */
struct base {
    GHashTable *usable; /* set of disk names, or NULL */
    gboolean missing;
    char *problem; /* why nothing is known, or NULL */
};

static void base_free(struct base *base)
{
    g_clear_pointer(&base->usable, g_hash_table_unref);
    g_free(base->problem);
    g_free(base);
}

static struct base *base_lookup(struct snapshot_machine *machine, GHashTable *bases,
                                const char *name)
{
    struct base *base = g_hash_table_lookup(bases, name);
    if (base)
        return base;
    base = g_new0(struct base, 1);
    g_autoptr(GError) problem = NULL;
    base->usable = snapshot_checkpoint_usable_disks(machine, name, &base->missing, &problem);
    if (problem)
        base->problem = g_strdup(problem->message);
    g_hash_table_insert(bases, g_strdup(name), base);
    return base;
}

/* Whether the disk's images are those that the bitmap counts for. Demotes when they are not. */
static gboolean check_images(const struct snapshot_plan_disk *wanted,
                             struct disk_decision *decision)
{
    if (!wanted->base_images)
        return TRUE;
    const char *image;
    const char *cause =
        snapshot_images_judge(wanted->base_images, (const char *const *)decision->images, &image);
    if (cause)
        demote(decision, cause,
               strcmp(cause, SNAPSHOT_CAUSE_IMAGE_REPLACED) == 0
                   ? "the disk's image was another at the last recovery point than %s"
                   : "an image below the disk's own has changed since the last recovery point: %s",
               image);
    return !cause;
}

char *snapshot_no_bitmap_detail(const struct machine_disk *disk)
{
    if (disk->read_only)
        return g_strdup("the disk is read-only: libvirt keeps no checkpoint of it");
    return g_strdup_printf("%s disks carry no bitmaps; only qcow2 images do", disk->public.format);
}

/* Fills incremental, or cause and detail. The order is that of how much a cause explains: a disk
 * whose format can carry no bitmap is not helped by hearing that a checkpoint is gone. */
static void judge(struct snapshot_machine *machine, const struct snapshot_plan_disk *wanted,
                  GHashTable *bases, struct disk_decision *decision)
{
    const struct snapshot_machine_disk *disk = &decision->disk->public;
    if (disk->no_bitmap_cause) {
        decision->cause = g_strdup(disk->no_bitmap_cause);
        decision->detail = snapshot_no_bitmap_detail(decision->disk);
        return;
    }
    if (wanted->replica_size_bytes && decision->size_bytes &&
        wanted->replica_size_bytes != decision->size_bytes) {
        demote(decision, SNAPSHOT_CAUSE_SIZE_CHANGED,
               "the disk had %" G_GUINT64_FORMAT " bytes at the last recovery point, and has "
               "%" G_GUINT64_FORMAT " now",
               wanted->replica_size_bytes, decision->size_bytes);
        return;
    }
    if (!wanted->base_checkpoint) {
        if (wanted->replica_size_bytes)
            demote(decision, SNAPSHOT_CAUSE_NO_CHECKPOINT,
                   "the last recovery point was made without a checkpoint");
        return;
    }
    struct base *base = base_lookup(machine, bases, wanted->base_checkpoint);
    if (base->missing)
        demote(decision, SNAPSHOT_CAUSE_CHECKPOINT_MISSING,
               "the host no longer knows checkpoint %s", wanted->base_checkpoint);
    else if (base->problem)
        demote(decision, SNAPSHOT_CAUSE_BITMAP_BROKEN, "checkpoint %s cannot be judged: %s",
               wanted->base_checkpoint, base->problem);
    else if (!g_hash_table_contains(base->usable, disk->name))
        demote(decision, SNAPSHOT_CAUSE_BITMAP_BROKEN,
               "the bitmap of checkpoint %s is missing or inconsistent in the image: QEMU did not "
               "close it cleanly, or the image was replaced",
               wanted->base_checkpoint);
    else if (check_images(wanted, decision))
        decision->incremental = g_strdup(wanted->base_checkpoint);
}

static struct disk_decision *decide_one(struct snapshot_machine *machine,
                                        const struct snapshot_plan *plan,
                                        const struct snapshot_plan_disk *wanted, const char *stem,
                                        GHashTable *bases)
{
    struct disk_decision *decision = g_new0(struct disk_decision, 1);
    decision->disk = snapshot_machine_find_disk(machine, wanted->name);
    decision->size_bytes = decision->disk->public.size_bytes;
    const char *folder = snapshot_scratch_dir(machine, decision->disk, plan->scratch_dir);
    decision->scratch_path =
        g_strdup_printf("%s/%s-%s.qcow2", folder, stem, decision->disk->public.name);
    decision->checkpoint = plan->checkpoint && !decision->disk->public.no_bitmap_cause;
    decision->images = snapshot_images(machine, decision->disk, wanted->base_images);
    judge(machine, wanted, bases, decision);
    return decision;
}

GPtrArray *snapshot_decide(struct snapshot_machine *machine, const struct snapshot_plan *plan,
                           const char *stem)
{
    g_autoptr(GHashTable) bases =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)base_free);
    g_autoptr(GPtrArray) decisions =
        g_ptr_array_new_with_free_func((GDestroyNotify)disk_decision_free);
    for (gsize i = 0; i < plan->disk_count; i++)
        g_ptr_array_add(decisions, decide_one(machine, plan, &plan->disks[i], stem, bases));
    return g_steal_pointer(&decisions);
}
