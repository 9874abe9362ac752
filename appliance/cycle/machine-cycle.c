/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/machine-cycle.h"
#include "appliance/cycle/disk-selection.h"
#include "appliance/cycle/snapshot-command.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/store-file.h"
#include "replicator/store-lease.h"
#include "replicator/store-name.h"
#include "replicator/store.h"
#include "replicator/work.h"
#include "snapshot/snapshot.h"

#include <string.h>

/* Each costs some calls of libvirt, when an image is not the expected one. */
#define PAST_CHECKPOINTS_MAX 32u
#define ORPHAN_WAIT_US (10 * G_USEC_PER_SEC)

static const char *const consistency_names[] = {
    [SNAPSHOT_CRASH] = "crash",
    [SNAPSHOT_FILESYSTEM] = "filesystem",
    [SNAPSHOT_SHUTDOWN] = "shutdown",
    [SNAPSHOT_OFF] = "crash",
};

#define LOCAL_RECONNECT_SECONDS 2u

struct machine_cycle {
    const struct machine_cycle_options *options;
    const struct machine_cycle_observer *observer;
    const gint *cancelled;
    struct store *store;
    char *key;                      /* of the machine in the store */
    struct store_lock *lock;        /* what is ours on the host is ours alone while we hold it */
    struct store_machine *replicas; /* as they were before the cycle */
    struct snapshot_host *host;
    struct snapshot_machine *machine;
    struct snapshot *snapshot;
    gint64 started_us;
    gint64 begun_us;     /* of the snapshot */
    gint64 taken_us;     /* of the snapshot: the disks can be read */
    gint64 read_us;      /* the last source has been read, and proven where that was asked for */
    gint64 ended_us;     /* of the snapshot; 0: it is held */
    gint64 committed_us; /* 0: not heard of */
    guint warnings_told; /* of the snapshot's, which grow until it is closed */
    gboolean committed;
};

/* An event line; "event" comes first in it. The caller owns it. */
static JsonObject *event_new(const char *event)
{
    JsonObject *line = json_object_new();
    json_object_set_string_member(line, "event", event);
    return line;
}

static void emit(const struct machine_cycle *cycle, JsonObject *line)
{
    cycle->observer->event(cycle->observer->data, json_object_get_string_member(line, "event"),
                           line);
}

static void warn(const struct machine_cycle *cycle, const char *code, const char *disk,
                 const char *message)
{
    g_autoptr(JsonObject) line = event_new("warning");
    json_object_set_string_member(line, "code", code);
    json_set_optional_string(line, "disk", disk);
    json_object_set_string_member(line, "message", message);
    emit(cycle, line);
}

static gboolean check_cancelled(const struct machine_cycle *cycle, GError **error)
{
    if (!g_atomic_int_get(cycle->cancelled))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
    return FALSE;
}

/* --- store ---------------------------------------------------------------------------------------
 */

/* While the machine's place is ours, only the child of a cycle that was killed can have the store's
 * lock; it ends by itself, as soon as the disk lets it. */
static struct store_machine *open_replicas(const struct machine_cycle *cycle, GPtrArray *notes,
                                           GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + ORPHAN_WAIT_US;
    for (;;) {
        g_autoptr(GError) cause = NULL;
        struct store_machine *replicas =
            store_machine_open(cycle->store, cycle->key, STORE_WRITE, notes, &cause);
        if (replicas)
            return replicas;
        if (!g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT) ||
            g_get_monotonic_time() > deadline_us) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        if (!check_cancelled(cycle, error))
            return NULL;
    }
}

/* What an earlier cycle left half done is settled before the guest is bothered. Its child may have
 * outlived it, and may still commit: with the child's lock in hand, the store's last recovery point
 * is the last one. */
static gboolean settle_place(struct machine_cycle *cycle, GError **error)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    cycle->replicas = open_replicas(cycle, notes, error);
    if (!cycle->replicas)
        return FALSE;
    g_clear_pointer(&cycle->replicas->lock, store_lock_free); /* our own child needs it next */
    for (guint i = 0; i < notes->len; i++)
        warn(cycle, "recovered", NULL, notes->pdata[i]);
    return TRUE;
}

/* Takes the machine's place in the store: from here on nobody else cycles it into this store. */
static gboolean open_place(struct machine_cycle *cycle, GError **error)
{
    if (!store_name_is_safe(cycle->key)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "use letters, digits, '.', '_' and '-', not starting with a dot",
                           "'%s' cannot be the name of a machine's folder", cycle->key);
        return FALSE;
    }
    g_autofree char *folder = g_build_filename(cycle->store->path, cycle->key, NULL);
    g_autofree char *lock = g_build_filename(folder, CYCLE_LOCK_NAME, NULL);
    if (!store_folder_create(folder, error))
        return FALSE;
    cycle->lock = store_lock_take(lock, 0, error);
    return cycle->lock &&
           store_lease_check(cycle->store, cycle->key, cycle->options->lease, error) &&
           settle_place(cycle, error);
}

static const struct manifest *latest(const struct machine_cycle *cycle)
{
    return store_machine_latest(cycle->replicas);
}

/* --- snapshot ------------------------------------------------------------------------------------
 */

/* The checkpoints of the latest recovery points; the names are borrowed from the replicas. */
static GPtrArray *past_checkpoints(const struct machine_cycle *cycle)
{
    GPtrArray *names = g_ptr_array_new();
    const GPtrArray *manifests = cycle->replicas->manifests;
    for (guint i = manifests->len; i-- > 0 && names->len < PAST_CHECKPOINTS_MAX;) {
        const struct manifest *manifest = manifests->pdata[i];
        if (manifest->checkpoint)
            g_ptr_array_add(names, manifest->checkpoint);
    }
    g_ptr_array_add(names, NULL);
    return names;
}

static gboolean begin_libvirt(struct machine_cycle *cycle, GError **error)
{
    const struct machine_cycle_options *options = cycle->options;
    const struct manifest *base = latest(cycle);
    g_autoptr(GPtrArray) removed = NULL;
    if (!snapshot_machine_clean(cycle->machine, cycle->store->id, base ? base->checkpoint : NULL,
                                options->scratch_dir, options->socket_dir, options->no_checkpoint,
                                &removed, error))
        return FALSE;
    for (guint i = 0; i < removed->len; i++)
        warn(cycle, "cleaned", NULL, removed->pdata[i]);
    g_autoptr(GArray) disks =
        disk_selection_plan(cycle->machine, options->exclude_disks, cycle->replicas, error);
    if (!disks || !check_cancelled(cycle, error))
        return FALSE;
    g_autoptr(GPtrArray) past = past_checkpoints(cycle);
    struct snapshot_plan plan = {
        .disks = (const struct snapshot_plan_disk *)(const void *)disks->data,
        .disk_count = disks->len,
        .store_id = cycle->store->id,
        .past = (const char *const *)past->pdata,
        .number = base ? base->number + 1 : 1,
        .scratch_dir = options->scratch_dir,
        .socket_dir = options->socket_dir,
        .checkpoint = !options->no_checkpoint,
        .off = options->final,
        .freeze = !options->no_freeze,
        .freeze_deadline_ms = options->freeze_deadline_ms,
        .thaw_guard = options->thaw_guard,
    };
    cycle->begun_us = g_get_monotonic_time();
    cycle->snapshot = snapshot_begin(cycle->machine, &plan, error);
    return cycle->snapshot != NULL;
}

static gboolean begin_nbd(struct machine_cycle *cycle, GError **error)
{
    const char *const *disks = cycle->options->nbd_disks;
    guint count = g_strv_length((char **)disks);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) uris = g_ptr_array_new();
    for (guint i = 0; i < count; i++) {
        const char *equals = strchr(disks[i], '=');
        if (!equals) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                               "--disk takes NAME=NBD-URI, not '%s'", disks[i]);
            return FALSE;
        }
        g_ptr_array_add(names, g_strndup(disks[i], (gsize)(equals - disks[i])));
        g_ptr_array_add(uris, (char *)equals + 1);
    }
    cycle->begun_us = g_get_monotonic_time();
    cycle->snapshot = snapshot_begin_nbd((const char *const *)names->pdata,
                                         (const char *const *)uris->pdata, count, error);
    return cycle->snapshot != NULL;
}

static gboolean find_machine(struct machine_cycle *cycle, GError **error)
{
    const struct machine_cycle_options *options = cycle->options;
    if (!options->host_uri) {
        cycle->key = g_strdup(options->machine);
        return TRUE;
    }
    cycle->host = snapshot_host_open(options->host_uri, error);
    cycle->machine =
        cycle->host ? snapshot_machine_lookup(cycle->host, options->machine, error) : NULL;
    if (!cycle->machine || !disk_selection_check(cycle->machine, options->exclude_disks, error))
        return FALSE;
    cycle->key = g_strdup(snapshot_machine_uuid(cycle->machine));
    return TRUE;
}

static void tell_warnings(struct machine_cycle *cycle)
{
    const GPtrArray *warnings = snapshot_warnings(cycle->snapshot);
    for (; cycle->warnings_told < warnings->len; cycle->warnings_told++)
        warn(cycle, "snapshot", NULL, warnings->pdata[cycle->warnings_told]);
}

/* Who has forced it off knows better than libvirt, which may have seen QEMU end in order. */
static enum snapshot_consistency consistency_of(const struct machine_cycle *cycle)
{
    enum snapshot_consistency consistency = snapshot_consistency(cycle->snapshot);
    return cycle->options->forced_off && consistency == SNAPSHOT_SHUTDOWN ? SNAPSHOT_CRASH
                                                                          : consistency;
}

static void report_snapshot(struct machine_cycle *cycle)
{
    const GPtrArray *disks = snapshot_disks(cycle->snapshot);
    g_autoptr(JsonObject) line = event_new("snapshot");
    JsonObject *uris = json_object_new();
    json_object_set_string_member(line, "consistency", consistency_names[consistency_of(cycle)]);
    json_set_optional_string(line, "checkpoint", snapshot_checkpoint(cycle->snapshot));
    for (guint i = 0; i < disks->len; i++) {
        const struct snapshot_disk *disk = disks->pdata[i];
        json_object_set_string_member(uris, disk->name, disk->nbd_uri);
    }
    json_object_set_object_member(line, "disks", uris);
    emit(cycle, line);
    tell_warnings(cycle);
}

/* --- replication ---------------------------------------------------------------------------------
 */

/* What is needed to define the machine again, kept in machine.json. */
static JsonObject *describe(const struct machine_cycle *cycle)
{
    JsonObject *object = json_object_new();
    json_set_optional_string(object, "host", cycle->options->host_uri);
    if (cycle->machine)
        json_object_set_string_member(object, "domain_xml", snapshot_machine_xml(cycle->machine));
    return object;
}

/* Why there is no bitmap: the snapshot room knows only that no checkpoint was asked for. */
static void take_demotion(const struct machine_cycle *cycle, const struct snapshot_disk *disk,
                          struct work_disk *entry)
{
    const struct manifest *base = latest(cycle);
    if (base && g_strcmp0(disk->demotion_cause, SNAPSHOT_CAUSE_NO_CHECKPOINT) == 0 &&
        !manifest_disk_find(base, disk->name)) {
        entry->demotion_cause = g_strdup("disk-was-away");
        entry->demotion_detail = g_strdup("the latest recovery point does not have this disk");
        return;
    }
    entry->demotion_cause = g_strdup(disk->demotion_cause);
    entry->demotion_detail = g_strdup(disk->demotion_detail);
}

static struct work *make_work(const struct machine_cycle *cycle)
{
    const struct machine_cycle_options *options = cycle->options;
    const GPtrArray *disks = snapshot_disks(cycle->snapshot);
    const struct manifest *base = latest(cycle);
    struct work *work = work_new();
    work->store = g_strdup(cycle->store->path);
    work->machine = g_strdup(cycle->key);
    work->machine_name =
        g_strdup(cycle->machine ? snapshot_machine_name(cycle->machine) : cycle->key);
    work->describe = describe(cycle);
    g_free(work->consistency);
    work->consistency = g_strdup(consistency_names[consistency_of(cycle)]);
    work->checkpoint = g_strdup(snapshot_checkpoint(cycle->snapshot));
    work->bitmap_since = g_strdup(base ? base->checkpoint : NULL);
    work->bandwidth = options->bandwidth;
    work->retain = options->retain;
    work->audit_blocks = options->audit_blocks;
    work->full_scan = options->full_scan;
    work->verify = options->verify;
    work->confirm = TRUE;
    for (guint i = 0; i < disks->len; i++) {
        const struct snapshot_disk *disk = disks->pdata[i];
        struct work_disk *entry = work_add_disk(work, disk->name);
        entry->source.uri = g_strdup(disk->nbd_uri);
        entry->source.command = g_strdupv(disk->nbd_command);
        /* On this host QEMU itself is the server, and the path to it does not break by itself. */
        if (cycle->machine && !disk->nbd_command)
            work->reconnect_seconds = LOCAL_RECONNECT_SECONDS;
        entry->bitmap = g_strdup(disk->bitmap);
        entry->images = g_strdupv(disk->images);
        take_demotion(cycle, disk, entry);
    }
    return work;
}

static gboolean end_snapshot(struct machine_cycle *cycle, GError **error)
{
    if (cycle->ended_us)
        return TRUE;
    if (!snapshot_end(cycle->snapshot, error))
        return FALSE;
    cycle->ended_us = g_get_monotonic_time();
    g_autoptr(JsonObject) line = event_new("snapshot-ended");
    json_object_set_int_member(line, "held_ms", (cycle->ended_us - cycle->begun_us) / 1000);
    emit(cycle, line);
    return TRUE;
}

/* What was read counts only if the snapshot has lasted until then. */
static gboolean on_child_confirm(void *data, GError **error)
{
    const struct machine_cycle *cycle = data;
    return snapshot_check(cycle->snapshot, error);
}

/* A snapshot that cannot be ended cleanly does not fail a cycle whose data are all read: the next
 * cycle cleans up, and says so. */
static void on_child_event(void *data, const char *event, JsonObject *line)
{
    struct machine_cycle *cycle = data;
    g_autoptr(GError) cause = NULL;
    if (strcmp(event, "source-done") == 0) {
        cycle->read_us = g_get_monotonic_time();
        if (!end_snapshot(cycle, &cause))
            warn(cycle, "snapshot", NULL, cause->message);
    }
    if (strcmp(event, "committed") == 0) {
        cycle->committed_us = g_get_monotonic_time();
        cycle->committed = TRUE;
    }
    if (strcmp(event, "result") != 0) /* the cycle's own result says more */
        cycle->observer->event(cycle->observer->data, event, line);
}

static gboolean check_consistency(const struct machine_cycle *cycle, GError **error)
{
    if (!cycle->options->want_filesystem || snapshot_consistency(cycle->snapshot) != SNAPSHOT_CRASH)
        return TRUE;
    const GPtrArray *warnings = snapshot_warnings(cycle->snapshot);
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "install and start qemu-guest-agent in the guest, or want no more than "
                       "crash consistency",
                       "the guest's file systems were not frozen for the snapshot%s%s",
                       warnings->len ? ": " : "",
                       warnings->len ? (const char *)warnings->pdata[0] : "");
    return FALSE;
}

static JsonObject *replicate(struct machine_cycle *cycle, GError **error)
{
    if (!check_consistency(cycle, error))
        return NULL;
    if (cycle->options->on_snapshot &&
        !snapshot_command_run(cycle->options->on_snapshot, snapshot_disks(cycle->snapshot), error))
        return NULL;
    if (!check_cancelled(cycle, error))
        return NULL;
    struct work *work = make_work(cycle);
    g_autoptr(JsonObject) json = work_to_json(work);
    work_free(work);
    struct replicate_listener listener = {cycle, on_child_event, on_child_confirm};
    return replicate_child_run(json, &listener, cycle->observer->running, cycle->options->rate,
                               error);
}

/* The store decides, not the child's words: a child killed right after its commit has said nothing.
 * Returns the recovery point, owned by the caller, or NULL. */
static JsonObject *find_committed(const struct machine_cycle *cycle)
{
    const struct manifest *base = latest(cycle);
    struct store_machine *now =
        store_machine_open(cycle->store, cycle->key, STORE_READ, NULL, NULL);
    const struct manifest *manifest = now ? store_machine_latest(now) : NULL;
    gboolean ours =
        cycle->committed || (manifest && manifest->number == (base ? base->number : 0) + 1);
    JsonObject *point = ours && manifest ? manifest_to_json(manifest) : NULL;
    store_machine_free(now);
    return point;
}

/* The checkpoint advances if and only if the recovery point is in the store. What cannot be tidied
 * up here is left to the next cycle, which knows its own by name. */
static void close_snapshot(struct machine_cycle *cycle, gboolean committed)
{
    g_autoptr(GError) error = NULL;
    gboolean ok = committed
                      ? end_snapshot(cycle, &error) && snapshot_commit(cycle->snapshot, &error)
                      : snapshot_abort(cycle->snapshot, &error);
    tell_warnings(cycle);
    if (!ok)
        warn(cycle, "left-behind", NULL, error->message);
}

static void machine_cycle_clear(struct machine_cycle *cycle)
{
    snapshot_free(cycle->snapshot);
    snapshot_machine_free(cycle->machine);
    snapshot_host_free(cycle->host);
    store_machine_free(cycle->replicas);
    store_lock_free(cycle->lock);
    store_free(cycle->store);
    g_free(cycle->key);
}

static guint64 verify_ms(JsonObject *result)
{
    JsonArray *disks = json_object_get_array_member(result, "disks");
    guint64 sum = 0;
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        guint64 one = 0;
        if (json_object_has_member(disk, "verified") &&
            json_optional_uint(json_object_get_object_member(disk, "verified"), "ms",
                               LANDFALL_ERROR_INTERNAL, &one, NULL))
            sum += one;
    }
    return sum;
}

static void set_time(JsonObject *times, const char *name, gint64 from_us, gint64 to_us,
                     guint64 without_ms)
{
    gint64 ms = from_us && to_us ? (to_us - from_us) / 1000 - (gint64)without_ms : 0;
    json_object_set_int_member(times, name, MAX(ms, 0));
}

/* Where the time went, one part after the other. What was not heard of took none. */
static void add_times(const struct machine_cycle *cycle, JsonObject *result)
{
    JsonObject *times = json_object_new();
    guint paused_start_ms = snapshot_paused_start_ms(cycle->snapshot);
    guint64 verified_ms = verify_ms(result);
    gint64 now_us = g_get_monotonic_time();
    gint64 let_go_us = MAX(cycle->ended_us, cycle->read_us);
    set_time(times, "prepare_ms", cycle->started_us, cycle->begun_us, 0);
    json_object_set_int_member(times, "paused_start_ms", paused_start_ms);
    set_time(times, "begin_ms", cycle->begun_us, cycle->taken_us, paused_start_ms);
    set_time(times, "read_ms", cycle->taken_us, cycle->read_us, verified_ms);
    json_object_set_int_member(times, "verify_ms", (gint64)verified_ms);
    set_time(times, "let_go_ms", cycle->read_us, let_go_us, 0);
    set_time(times, "commit_ms", let_go_us, cycle->committed_us, 0);
    set_time(times, "end_ms", cycle->committed_us, now_us, 0);
    json_object_set_object_member(result, "timings", times);
    /* A snapshot that could not be ended is held still. */
    gint64 ended_us = cycle->ended_us ? cycle->ended_us : now_us;
    json_object_set_int_member(result, "snapshot_held_ms", (ended_us - cycle->begun_us) / 1000);
    json_object_set_int_member(result, "cycle_ms", (now_us - cycle->started_us) / 1000);
}

static JsonObject *cycle_snapshot(struct machine_cycle *cycle, GError **error)
{
    g_autoptr(GError) cause = NULL;
    cycle->taken_us = g_get_monotonic_time();
    report_snapshot(cycle);
    JsonObject *result = replicate(cycle, &cause);
    if (!result)
        snapshot_explain(cycle->snapshot, &cause);
    if (!result && (result = find_committed(cycle))) {
        g_autofree char *message =
            g_strdup_printf("the recovery point is whole, but tidying up after it was cut short "
                            "and is left to the next cycle: %s",
                            cause->message);
        warn(cycle, "unfinished", NULL, message);
    }
    close_snapshot(cycle, result || cycle->committed);
    if (!result) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    add_times(cycle, result);
    return result;
}

JsonObject *machine_cycle_run(const struct machine_cycle_options *options,
                              const struct machine_cycle_observer *observer, const gint *cancelled,
                              GError **error)
{
    struct machine_cycle cycle = {.options = options,
                                  .observer = observer,
                                  .cancelled = cancelled,
                                  .started_us = g_get_monotonic_time()};
    JsonObject *result = NULL;
    cycle.store = store_open(options->store, TRUE, error);
    if (cycle.store && find_machine(&cycle, error) && open_place(&cycle, error) &&
        (options->host_uri ? begin_libvirt(&cycle, error) : begin_nbd(&cycle, error)))
        result = cycle_snapshot(&cycle, error);
    machine_cycle_clear(&cycle);
    return result;
}
