/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/cycle.h"
#include "base/error.h"
#include "replicator/disk-cycle.h"
#include "replicator/disk-verify.h"
#include "replicator/store-file.h"
#include "replicator/store-recover.h"
#include "replicator/store-retention.h"

#include <string.h>

struct cycle {
    struct cycle_context context;
    struct store *store;
    struct store_machine *machine;
    GPtrArray *disks; /* struct disk_cycle, in the order of the work */
    gint64 started_us;
    gboolean keep_files; /* a manifest may name what this cycle wrote */
};

static void report_notes(const struct cycle_context *context, const char *code,
                         const GPtrArray *notes)
{
    for (guint i = 0; i < notes->len; i++)
        context->observer->warning(context->observer->data, code, NULL, notes->pdata[i]);
}

static gboolean cycle_open(struct cycle *cycle, GError **error)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    const struct work *work = cycle->context.work;
    cycle->store = store_open(work->store, TRUE, error);
    if (!cycle->store)
        return FALSE;
    cycle->machine = store_machine_open(cycle->store, work->machine, STORE_WRITE, notes, error);
    if (!cycle->machine)
        return FALSE;
    report_notes(&cycle->context, "recovered", notes);
    const struct manifest *latest = store_machine_latest(cycle->machine);
    cycle->context.machine = cycle->machine;
    cycle->context.number = latest ? latest->number + 1 : 1;
    for (guint i = 0; i < work->disks->len; i++)
        g_ptr_array_add(cycle->disks, disk_cycle_new(work->disks->pdata[i]));
    return TRUE;
}

static void cycle_close(struct cycle *cycle)
{
    for (guint i = 0; i < cycle->disks->len; i++)
        disk_cycle_free(cycle->disks->pdata[i], &cycle->context, cycle->keep_files);
    g_ptr_array_unref(cycle->disks);
    store_machine_free(cycle->machine);
    store_free(cycle->store);
}

static gboolean transfer_all(const struct cycle *cycle, GError **error)
{
    for (guint i = 0; i < cycle->disks->len; i++)
        if (!disk_cycle_plan(cycle->disks->pdata[i], &cycle->context, error) ||
            !disk_cycle_transfer(cycle->disks->pdata[i], &cycle->context, error))
            return FALSE;
    return TRUE;
}

static char *utc_now(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    return g_date_time_format_iso8601(now);
}

static struct manifest *manifest_begin(const struct cycle *cycle)
{
    const struct work *work = cycle->context.work;
    struct manifest *manifest = manifest_new();
    manifest->number = cycle->context.number;
    manifest->machine = g_strdup(work->machine);
    manifest->machine_name = g_strdup(work->machine_name ? work->machine_name : work->machine);
    manifest->created = utc_now();
    manifest->consistency = g_strdup(work->consistency);
    manifest->checkpoint = g_strdup(work->checkpoint);
    return manifest;
}

/* machine.json: what the caller gave, with the name that the store is searched by. */
static gboolean describe_machine(const struct cycle *cycle, const struct manifest *manifest,
                                 GError **error)
{
    const struct work *work = cycle->context.work;
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_string_member(object, "machine", manifest->machine);
    json_object_set_string_member(object, "name", manifest->machine_name);
    if (work->describe) {
        g_autoptr(GList) names = json_object_get_members(work->describe);
        for (GList *name = names; name; name = name->next)
            if (!json_object_has_member(object, name->data))
                json_object_set_member(object, name->data,
                                       json_object_dup_member(work->describe, name->data));
    }
    return store_machine_describe(cycle->machine, object, error);
}

static gboolean finish_all(const struct cycle *cycle, struct manifest *manifest, GError **error)
{
    for (guint i = 0; i < cycle->disks->len; i++)
        if (!disk_cycle_finish(cycle->disks->pdata[i], &cycle->context, manifest, error))
            return FALSE;
    return TRUE;
}

/* The disks of the manifest are those of the cycle, in its order. */
static gboolean verify_all(const struct cycle *cycle, struct manifest *manifest, GError **error)
{
    for (guint i = 0; i < cycle->disks->len; i++) {
        struct disk_cycle *disk = cycle->disks->pdata[i];
        if (disk_verify(disk, &cycle->context, manifest->disks->pdata[i], error))
            continue;
        if (!g_str_has_prefix((*error)->message, "disk "))
            g_prefix_error(error, "disk %s: ", disk->work->source.name);
        return FALSE;
    }
    return TRUE;
}

/* The guest is let go as soon as its disks have been read: before the work of the replica alone,
 * but after a proof, which needs both. */
static gboolean finish_and_let_go(const struct cycle *cycle, struct manifest *manifest,
                                  GError **error)
{
    const struct cycle_observer *observer = cycle->context.observer;
    if (cycle->context.work->verify == VERIFY_NONE)
        return observer->source_done(observer->data, error) && finish_all(cycle, manifest, error);
    return finish_all(cycle, manifest, error) && verify_all(cycle, manifest, error) &&
           observer->source_done(observer->data, error);
}

static gboolean is_same(const struct manifest *one, const struct manifest *other)
{
    if (one->disks->len != other->disks->len)
        return FALSE;
    for (guint i = 0; i < one->disks->len; i++) {
        const struct manifest_disk *disk = one->disks->pdata[i];
        const struct manifest_disk *like = manifest_disk_find(other, disk->name);
        if (!like || disk->size_bytes != like->size_bytes || disk->seed != like->seed ||
            !block_hash_equal(&disk->root_hash, &like->root_hash))
            return FALSE;
    }
    return TRUE;
}

/* What has the content of a machine that had shut down is as good, whatever is known of that
 * machine since: the caller may have started it, without letting it run, to read it. */
static void inherit_consistency(const struct cycle *cycle, struct manifest *manifest)
{
    const GPtrArray *known = cycle->machine->manifests;
    const struct manifest *last = known->len > 0 ? known->pdata[known->len - 1] : NULL;
    if (!last || strcmp(last->consistency, "shutdown") != 0 || !is_same(manifest, last))
        return;
    g_free(manifest->consistency);
    manifest->consistency = g_strdup(last->consistency);
}

/* Everything the manifest names is durable, then the manifest: the commit. */
static gboolean commit(struct cycle *cycle, struct manifest *manifest, GError **error)
{
    if (g_atomic_int_get(cycle->context.cancelled)) {
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
        return FALSE;
    }
    g_autofree char *disks = store_machine_disk_folder(cycle->machine, NULL);
    for (guint i = 0; i < manifest->disks->len; i++) {
        const struct manifest_disk *disk = manifest->disks->pdata[i];
        g_autofree char *folder = store_machine_disk_folder(cycle->machine, disk->name);
        if (!store_folder_sync(folder, error))
            return FALSE;
    }
    g_autofree char *path = store_machine_manifest_path(cycle->machine, manifest->number);
    manifest->duration_ms = (guint64)((g_get_monotonic_time() - cycle->started_us) / 1000);
    if (!store_folder_sync(disks, error) || !store_folder_sync(cycle->machine->path, error) ||
        !store_folder_sync(cycle->store->path, error) ||
        !describe_machine(cycle, manifest, error) ||
        !store_check_named(cycle->machine, manifest, error))
        return FALSE;
    inherit_consistency(cycle, manifest);
    gboolean ok = manifest_write(manifest, path, error);
    /* Renamed but not known to be durable: what it names must stay, the next open decides. */
    gboolean exists;
    cycle->keep_files = ok || !store_file_exists(path, &exists, NULL) || exists;
    return ok;
}

static gboolean settle(struct cycle *cycle, GPtrArray *notes, GError **error)
{
    const struct work *work = cycle->context.work;
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    for (guint i = 0; i < cycle->disks->len; i++) {
        struct disk_cycle *disk = cycle->disks->pdata[i];
        g_strv_builder_add(names, disk->work->source.name);
        if (!disk_cycle_settle(disk, error))
            return FALSE;
    }
    g_auto(GStrv) kept = g_strv_builder_end(names);
    return store_forget_partial_disks(cycle->machine, (const char *const *)kept, notes, error) &&
           (work->retain == 0 ||
            store_retain(cycle->machine, work->retain, cycle->context.cancelled, notes, error));
}

/* After the commit nothing fails the cycle: what was not done is done by the next one. */
static void after_commit(struct cycle *cycle, const struct manifest *manifest)
{
    const struct cycle_observer *observer = cycle->context.observer;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    observer->committed(observer->data, manifest);
    if (!settle(cycle, notes, &error)) {
        g_autofree char *message = g_strdup_printf(
            "the recovery point is whole, but tidying up after it failed and is left to the next "
            "cycle: %s",
            error->message);
        observer->warning(observer->data, "unfinished", NULL, message);
    }
    report_notes(&cycle->context, "retention", notes);
}

struct manifest *cycle_run(const struct work *work, struct rate_limit *limit,
                           const struct cycle_observer *observer, const gint *cancelled,
                           GError **error)
{
    struct cycle cycle = {.context = {.work = work,
                                      .ops = &replica_local_ops,
                                      .observer = observer,
                                      .limit = limit,
                                      .cancelled = cancelled},
                          .disks = g_ptr_array_new(),
                          .started_us = g_get_monotonic_time()};
    struct manifest *result = NULL;
    if (work_check(work, error) && cycle_open(&cycle, error) && transfer_all(&cycle, error)) {
        struct manifest *manifest = manifest_begin(&cycle);
        if (finish_and_let_go(&cycle, manifest, error) && commit(&cycle, manifest, error)) {
            g_ptr_array_add(cycle.machine->manifests, manifest);
            after_commit(&cycle, manifest);
            /* Retention keeps the newest: it is still the last. */
            result = g_ptr_array_steal_index(cycle.machine->manifests,
                                             cycle.machine->manifests->len - 1);
            g_assert(result == manifest);
        } else {
            manifest_free(manifest);
        }
    }
    cycle_close(&cycle);
    return result;
}
