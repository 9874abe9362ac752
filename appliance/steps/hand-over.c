/* SPDX-License-Identifier: Apache-2.0 */

/* hand-over: after a move the replica becomes the machine's own disks.
 *
 * merge: QEMU commits the overlay and the layers into each disk's base while the machine runs, and
 * turns to it. The base is the whole disk then, and no longer any recovery point: these go first,
 * once the machine's folder says so. keep: the folder says so, and that is all.
 *
 *   options: "disks": "merge" (default) | "keep"; "copy_mib_s": N (0: as fast as it goes)
 *   hand-over → { "how": "merged" | "kept" | "pool" (copy has brought them there),
 *                 "disks": [ { "name": TEXT, "path": PATH at the target, "format": TEXT } … ],
 *                 "recovery_points": N gone, "removed": N files, "ms": N } */

#include "appliance/steps/access.h"
#include "appliance/steps/block-job.h"
#include "appliance/steps/serve.h"
#include "appliance/steps/steps.h"
#include "base/json.h"
#include "replicator/store-file.h"
#include "replicator/store-hand-over.h"
#include "replicator/store-hold.h"
#include "replicator/store-name.h"
#include "replicator/store-retention.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

struct hand_over {
    const struct step_run *run;
    struct step_host host;
    struct step_access access;
    struct store *store;
    struct store_machine *machine;
    virDomainPtr domain;
    char *owner;
    guint64 total_bytes;
    guint64 done_bytes;
    guint64 rate_mib;
    guint points;
    guint removed;
};

/* --- one disk ------------------------------------------------------------------------------------
 */

/* The guest would find itself with another disk: the base keeps the size it had at its largest. */
static gboolean size_fits(const struct hand_over *over, const char *disk, guint64 size_bytes,
                          const char *base, GError **error)
{
    struct stat about;
    if (stat(base, &about) == 0 && (guint64)about.st_size <= size_bytes)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                       "hand the disks over as they are: landfall complete --disks keep",
                       "disk %s of machine %s was larger once, and cannot be merged", disk,
                       over->run->work->machine_name);
    return FALSE;
}

static gboolean begin(const struct hand_over *over, const char *disk, GError **error)
{
    if (virDomainBlockCommit(over->domain, disk, NULL, NULL, (unsigned long)over->rate_mib,
                             VIR_DOMAIN_BLOCK_COMMIT_ACTIVE) == 0)
        return TRUE;
    gboolean active = virDomainIsActive(over->domain) == 1;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE,
                               active ? NULL : "start the machine at the target, then do it again",
                               "disk %s cannot be merged%s", disk,
                               active ? "" : " while the machine is off");
    return FALSE;
}

static gboolean ended_early(const char *disk, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_REPLICA,
                       "see that the store has room for it, then do it again; the machine runs on, "
                       "and /var/log/libvirt/qemu on its host may know more",
                       "merging disk %s has failed", disk);
    return FALSE;
}

static gboolean merge(struct hand_over *over, const char *disk, guint64 size_bytes,
                      const struct block_disk *state, const char *base_there, GError **error)
{
    g_autofree char *base = store_machine_disk_file(over->machine, disk, BASE_NAME);
    const struct block_wait wait = {
        .run = over->run,
        .domain = over->domain,
        .disk = disk,
        .done_bytes = over->done_bytes,
        .disk_bytes = size_bytes,
        .total_bytes = over->total_bytes,
    };
    gboolean gone;
    if (state->job && !block_job_check(state, disk, "active-commit", base_there, error))
        return FALSE;
    if (!state->job &&
        (!size_fits(over, disk, size_bytes, base, error) ||
         !step_access_grant(&over->access, base, ACCESS_READ | ACCESS_WRITE, error) ||
         !begin(over, disk, error)))
        return FALSE;
    if (!block_job_wait(&wait, &gone, error))
        return FALSE;
    return gone ? ended_early(disk, error) : block_job_pivot(&wait, base_there, error);
}

static JsonObject *disk_result(const char *disk, const char *path, const char *format)
{
    JsonObject *result = json_object_new();
    json_object_set_string_member(result, "name", disk);
    json_object_set_string_member(result, "path", path);
    json_object_set_string_member(result, "format", format);
    return result;
}

static JsonObject *merge_disk(struct hand_over *over, JsonObject *fact, GError **error)
{
    struct block_disk state = {NULL};
    JsonObject *result = NULL;
    guint64 size_bytes;
    const char *disk;
    if (!json_member_string(fact, "name", LANDFALL_ERROR_CONFIG, &disk, error) ||
        !json_member_uint(fact, "size_bytes", LANDFALL_ERROR_CONFIG, &size_bytes, error) ||
        !block_disk_read(over->domain, disk, FALSE, &state, error))
        return NULL;
    g_autofree char *base_there = g_build_filename(
        over->run->work->target_store_path, over->machine->key, "disks", disk, BASE_NAME, NULL);
    if (g_strcmp0(state.source, base_there) == 0 ||
        merge(over, disk, size_bytes, &state, base_there, error))
        result = disk_result(disk, base_there, "raw");
    over->done_bytes += size_bytes;
    block_disk_clear(&state);
    return result;
}

/* --- the store -----------------------------------------------------------------------------------
 */

/* Other machines may stand on the layers that would change. */
static gboolean is_alone(const struct hand_over *over, GError **error)
{
    g_autoptr(GPtrArray) holds = store_holds_list(over->machine, error);
    for (guint i = 0; holds && i < holds->len; i++) {
        const struct store_hold *hold = holds->pdata[i];
        if (strcmp(hold->owner, over->owner) == 0)
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "a test runs on it, say: landfall test-cleanup shows and ends them",
                           "operation %s holds recovery point %" G_GUINT64_FORMAT " of machine %s",
                           hold->owner, hold->number, over->run->work->machine_name);
        return FALSE;
    }
    return holds != NULL;
}

static gboolean mark(const struct hand_over *over, const char *state, GError **error)
{
    const struct store_hand_over who = {over->run->work->machine_name, over->host.name,
                                        over->owner};
    return store_hand_over_mark(over->machine, state, &who, error);
}

/* From the mark on nobody makes, merges or removes recovery points here; so ours need not be held,
 * and can go. */
static gboolean take_replica(struct hand_over *over, GError **error)
{
    over->points = over->machine->manifests->len;
    return is_alone(over, error) && mark(over, "merging", error) &&
           store_hold_drop(over->machine, over->owner, error) &&
           store_retire_all(over->machine, error);
}

static gboolean remove_overlays(struct hand_over *over, GError **error)
{
    g_autofree char *folder = store_hold_folder(over->machine, over->owner);
    gboolean exists;
    if (!store_file_exists(folder, &exists, error))
        return FALSE;
    if (!exists)
        return TRUE;
    g_autoptr(GPtrArray) names = store_folder_list(folder, error);
    for (guint i = 0; names && i < names->len; i++) {
        const char *name = names->pdata[i];
        g_autofree char *path = g_build_filename(folder, name, NULL);
        /* The machine's own variables of its firmware, and the log of its console, lie there too.
         */
        if (!g_str_has_suffix(name, ".qcow2"))
            continue;
        if (!store_file_remove(path, error))
            return FALSE;
        over->removed++;
    }
    g_rmdir(folder);
    return names != NULL;
}

/* --- the step ------------------------------------------------------------------------------------
 */

static JsonObject *result_of(const struct hand_over *over, const char *how, JsonArray *disks,
                             gint64 begun_us)
{
    JsonObject *result = json_object_new();
    json_object_set_string_member(result, "how", how);
    json_object_set_array_member(result, "disks", disks);
    json_object_set_int_member(result, "recovery_points", over->points);
    json_object_set_int_member(result, "removed", over->removed);
    json_object_set_int_member(result, "ms", (g_get_monotonic_time() - begun_us) / 1000);
    return result;
}

static JsonArray *merge_disks(struct hand_over *over, JsonArray *disks, GError **error)
{
    g_autoptr(JsonArray) results = json_array_new();
    for (guint i = 0; i < json_array_get_length(disks); i++)
        over->total_bytes += (guint64)json_object_get_int_member_with_default(
            json_array_get_object_element(disks, i), "size_bytes", 0);
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *result = step_is_cancelled(over->run, error)
                                 ? NULL
                                 : merge_disk(over, json_array_get_object_element(disks, i), error);
        if (!result)
            return NULL;
        json_array_add_object_element(results, result);
    }
    return g_steal_pointer(&results);
}

static JsonObject *hand_over_merged(struct hand_over *over, JsonArray *disks, GError **error)
{
    gint64 begun_us = g_get_monotonic_time();
    if (!take_replica(over, error))
        return NULL;
    if (over->points)
        step_note(over->run, "the replica is the machine's own now: %u recovery points have gone",
                  over->points);
    JsonArray *merged = merge_disks(over, disks, error);
    if (merged && remove_overlays(over, error) &&
        store_hand_over_remove_layers(over->machine, &over->removed, error) &&
        mark(over, "merged", error))
        return result_of(over, "merged", merged, begun_us);
    g_clear_pointer(&merged, json_array_unref);
    return NULL;
}

static JsonObject *hand_over_kept(struct hand_over *over, JsonArray *disks, GError **error)
{
    gint64 begun_us = g_get_monotonic_time();
    if (!mark(over, "kept", error))
        return NULL;
    JsonArray *results = json_array_new();
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        json_array_add_object_element(
            results, disk_result(json_object_get_string_member(disk, "name"),
                                 json_object_get_string_member(disk, "path"), "qcow2"));
    }
    return result_of(over, "kept", results, begun_us);
}

static gboolean open_all(struct hand_over *over, GError **error)
{
    const struct step_work *work = over->run->work;
    if (!step_host_open_target(work, &over->host, error) ||
        !step_access_of(&over->host, &over->access, error) ||
        !step_host_need_machine(&over->host, work, &over->domain, error))
        return FALSE;
    over->store = store_open(work->store_path, FALSE, error);
    over->machine = over->store ? store_machine_open(over->store, work->machine_uuid,
                                                     STORE_HAND_OVER, NULL, error)
                                : NULL;
    return over->machine != NULL;
}

static void close_all(struct hand_over *over)
{
    store_machine_free(over->machine);
    store_free(over->store);
    g_clear_pointer(&over->domain, virDomainFree);
    step_host_close(&over->host);
    g_free(over->owner);
}

/* The disks that copy has brought are the machine's already; the replica stays what it is. */
static JsonObject *hand_over_pool(const struct step_run *run, GError **error)
{
    const struct hand_over over = {.run = run};
    JsonObject *copied = step_work_fact(run->work, "copy");
    JsonArray *disks = NULL;
    if (!copied) {
        landfall_error_set(
            error, LANDFALL_ERROR_CONFLICT, "wait until its disks are in the target's storage pool",
            "machine %s runs on disks that are served from here", run->work->machine_name);
        return NULL;
    }
    if (!json_member_array(copied, "disks", LANDFALL_ERROR_CONFIG, &disks, error))
        return NULL;
    return result_of(&over, "pool", json_array_ref(disks), g_get_monotonic_time());
}

JsonObject *step_hand_over(const struct step_run *run, GError **error)
{
    static const char *const choices[] = {"merge", "keep", NULL};
    const char *choice = "merge";
    struct hand_over over = {.run = run, .owner = step_work_owner(run->work)};
    JsonObject *result = NULL;
    JsonArray *disks = NULL;
    if (run->work->reach == STEP_REACH_NBD) {
        close_all(&over);
        return hand_over_pool(run, error);
    }
    gboolean ok =
        json_optional_string(run->work->options, "disks", LANDFALL_ERROR_CONFIG, &choice, error);
    if (ok && !g_strv_contains(choices, choice)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "--disks merge, or --disks keep",
                           "disks can be merged or kept, and not '%s'", choice);
        ok = FALSE;
    }
    ok = ok && step_work_option_uint(run->work, "copy_mib_s", 0, &over.rate_mib, error);
    if (ok && (disks = serve_disks(run->work, error)) && open_all(&over, error))
        result = strcmp(choice, "keep") == 0 ? hand_over_kept(&over, disks, error)
                                             : hand_over_merged(&over, disks, error);
    close_all(&over);
    return result;
}
