/* SPDX-License-Identifier: Apache-2.0 */

/* write-back: the disks of a machine that was moved away, which are as they were then, are brought
 * to a later recovery point, so that it can come back. The machine is off and fenced. What its
 * disks hold stands in the fence's note (step fence); somebody who has written to them since would
 * lose that, so it is a conflict.
 *
 *   recovery_point   the one that is wanted; 0: the latest
 *   options          overwrite: all the same; every block is compared
 *   result           from_point (0: all was compared), to_point, blocks, zero_blocks, bytes, ms,
 *                    already (nothing was to do), state (of the disks, as the note has it), disks:
 *                    [{ name, the same }]; each block that was written has been read back
 *
 * Step "catch-up" is the same to the latest recovery point, while the machine runs elsewhere. */

#include "replicator/write-back.h"
#include "appliance/steps/moved-disks.h"
#include "appliance/steps/source-machine.h"
#include "appliance/steps/steps.h"
#include "base/json.h"
#include "replicator/store-name.h"
#include "replicator/store-retention.h"
#include "snapshot/fence.h"
#include "snapshot/snapshot.h"

#include <string.h>

#define LOCK_WAIT_MS 10000u

/* All that the step works with. */
struct coming_back {
    const struct step_run *run;
    struct source_machine source;
    struct snapshot_host *host;
    struct snapshot_machine *machine;
    struct store *store;
    struct store_lock *lock; /* of the machine's cycles: what is ours on the host is stale */
    struct store_machine *replicas;
    struct store_pin *pin;
    const struct manifest *to;   /* the pin's */
    const struct manifest *from; /* borrowed from the replicas; NULL: compare all */
    struct snapshot_fence *fence;
};

static gboolean open_store(struct coming_back *back, GError **error)
{
    const struct step_work *work = back->run->work;
    g_autofree char *lock =
        g_build_filename(work->store_path, work->machine_uuid, CYCLE_LOCK_NAME, NULL);
    back->store = store_open(work->store_path, FALSE, error);
    back->lock = back->store ? store_lock_take(lock, LOCK_WAIT_MS, error) : NULL;
    if (back->lock)
        back->replicas =
            store_machine_open(back->store, work->machine_uuid, STORE_READ, NULL, error);
    if (!back->replicas)
        return FALSE;
    const struct manifest *manifest = work->recovery_point
                                          ? store_machine_find(back->replicas, work->recovery_point)
                                          : store_machine_latest(back->replicas);
    if (!manifest) {
        landfall_error_set(error, LANDFALL_ERROR_MISSING, "landfall recovery-point list shows them",
                           "machine %s has no such recovery point", work->machine_name);
        return FALSE;
    }
    back->pin = store_pin_take(back->replicas, manifest->number, error);
    back->to = back->pin ? store_pin_manifest(back->pin) : NULL;
    return back->to != NULL;
}

static gboolean open_all(struct coming_back *back, GError **error)
{
    const struct step_work *work = back->run->work;
    if (!open_store(back, error) || !source_machine_open(work, &back->source, error))
        return FALSE;
    back->host = snapshot_host_open(work->source_uri, error);
    back->machine =
        back->host ? snapshot_machine_lookup(back->host, work->machine_uuid, error) : NULL;
    return back->machine && snapshot_fence_read(back->source.domain, &back->fence, error);
}

static void close_all(struct coming_back *back)
{
    store_pin_free(back->pin);
    store_machine_free(back->replicas);
    store_lock_free(back->lock);
    store_free(back->store);
    snapshot_machine_free(back->machine);
    snapshot_host_free(back->host);
    source_machine_close(&back->source);
    snapshot_fence_free(back->fence);
}

/* Whether the disks may be written, and what they hold now. */
static gboolean judge(struct coming_back *back, const char *state, gboolean *ret_already,
                      GError **error)
{
    const struct step_work *work = back->run->work;
    const struct snapshot_fence *fence = back->fence;
    gboolean overwrite = json_find_boolean(work->options, "overwrite");
    *ret_already = FALSE;
    if (!fence || !fence->gone) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "only a machine that Landfall has moved away is brought up to date",
                           "machine %s on host %s is not marked as moved away: it may have run "
                           "since",
                           work->machine_name, work->source_host);
        return FALSE;
    }
    gboolean ours = g_strcmp0(fence->disks, MOVED_DISKS_WRITING) == 0;
    gboolean same = fence->disks && g_strcmp0(fence->disks, state) == 0;
    *ret_already = same && fence->point == back->to->number;
    if (same && fence->point && fence->point <= back->to->number)
        back->from = store_machine_find(back->replicas, fence->point);
    /* Nobody knows who else has written to disks that were left half written: all is compared. */
    if (same || ours || overwrite)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "what was written to them would be lost: look at them, then choose to "
                       "overwrite them",
                       "the disks of machine %s on host %s are not as they were when it was moved "
                       "away",
                       work->machine_name, work->source_host);
    return FALSE;
}

/* --- the disks -----------------------------------------------------------------------------------
 */

static void on_progress(void *data, const char *disk, guint64 done_blocks, guint64 total_blocks)
{
    (void)disk;
    step_progress(data, done_blocks * BLOCK_BYTES, total_blocks * BLOCK_BYTES);
}

static void set_figures(JsonObject *object, const struct write_back_figures *figures)
{
    json_object_set_int_member(object, "blocks", (gint64)figures->written_blocks);
    json_object_set_int_member(object, "zero_blocks", (gint64)figures->zero_blocks);
    json_object_set_int_member(object, "bytes", (gint64)figures->written_bytes);
}

static gboolean write_disk(const struct coming_back *back, const struct snapshot_disk *served,
                           JsonArray *disks, struct write_back_figures *sum, GError **error)
{
    const struct nbd_source target = {served->name, served->nbd_uri, served->nbd_command};
    const struct write_back_observer observer = {(void *)back->run, on_progress};
    struct write_back_figures figures;
    if (!write_back_disk(back->replicas, back->from, back->to, &target, &observer,
                         back->run->cancelled, &figures, error))
        return FALSE;
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", served->name);
    set_figures(object, &figures);
    json_array_add_object_element(disks, object);
    sum->written_blocks += figures.written_blocks;
    sum->zero_blocks += figures.zero_blocks;
    sum->written_bytes += figures.written_bytes;
    return TRUE;
}

/* The note comes first, for opening an image changes it: what is half written is ours from here on.
 * An image that somebody else has open was not touched. */
static struct snapshot *begin_writing(const struct coming_back *back,
                                      const struct snapshot_plan *plan, GError **error)
{
    const struct snapshot_fence *fence = back->fence;
    if (!snapshot_fence_note_disks(back->source.domain, 0, MOVED_DISKS_WRITING, error))
        return NULL;
    struct snapshot *snapshot = snapshot_begin_write(back->machine, plan, error);
    if (!snapshot)
        snapshot_fence_note_disks(back->source.domain, fence->point, fence->disks, NULL);
    return snapshot;
}

static gboolean write_disks(const struct coming_back *back, JsonObject *result, GError **error)
{
    struct write_back_figures sum = {0};
    g_autofree struct snapshot_plan_disk *wanted =
        g_new0(struct snapshot_plan_disk, back->to->disks->len);
    for (guint i = 0; i < back->to->disks->len; i++)
        wanted[i].name = ((const struct manifest_disk *)back->to->disks->pdata[i])->name;
    const struct snapshot_plan plan = {
        .disks = wanted, .disk_count = back->to->disks->len, .store_id = back->store->id};
    struct snapshot *snapshot = begin_writing(back, &plan, error);
    if (!snapshot)
        return FALSE;
    const GPtrArray *served = snapshot_disks(snapshot);
    JsonArray *disks = json_array_new();
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < served->len; i++)
        ok = write_disk(back, served->pdata[i], disks, &sum, error);
    json_object_set_array_member(result, "disks", disks);
    set_figures(result, &sum);
    ok = snapshot_end(snapshot, ok ? error : NULL) && ok;
    snapshot_free(snapshot);
    return ok;
}

static gboolean write_back(struct coming_back *back, JsonObject *result, GError **error)
{
    g_autofree char *state = snapshot_machine_state(back->machine);
    gint64 begun_us = g_get_monotonic_time();
    gboolean already;
    if (!judge(back, state, &already, error))
        return FALSE;
    json_object_set_int_member(result, "from_point", back->from ? (gint64)back->from->number : 0);
    json_object_set_int_member(result, "to_point", (gint64)back->to->number);
    json_object_set_boolean_member(result, "already", already);
    if (already) {
        json_set_optional_string(result, "state", state);
        return TRUE;
    }
    if (!write_disks(back, result, error))
        return FALSE;
    g_autofree char *written = snapshot_machine_state(back->machine);
    json_object_set_int_member(result, "ms", (g_get_monotonic_time() - begun_us) / 1000);
    json_set_optional_string(result, "state", written);
    return snapshot_fence_note_disks(back->source.domain, back->to->number, written, error);
}

JsonObject *step_write_back(const struct step_run *run, GError **error)
{
    struct coming_back back = {.run = run};
    JsonObject *result = json_object_new();
    gboolean ok = open_all(&back, error) && write_back(&back, result, error);
    close_all(&back);
    if (ok)
        return result;
    json_object_unref(result);
    return NULL;
}

JsonObject *step_catch_up(const struct step_run *run, GError **error)
{
    struct step_work work = *run->work;
    work.recovery_point = 0;
    const struct step_run latest = {&work, run->cancelled, run->event};
    return step_write_back(&latest, error);
}
