/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/disk-selection.h"
#include "appliance/cycle/machine-cycle-private.h"
#include "appliance/cycle/snapshot-command.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

/* Each costs some calls of libvirt, when an image is not the expected one. */
#define PAST_CHECKPOINTS_MAX 32u

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

void machine_cycle_warn(const struct machine_cycle *cycle, const char *code, const char *message)
{
    g_autoptr(JsonObject) line = event_new("warning");
    json_object_set_string_member(line, "code", code);
    json_object_set_string_member(line, "message", message);
    emit(cycle, line);
}

gboolean machine_cycle_go_on(const struct machine_cycle *cycle, GError **error)
{
    if (!g_atomic_int_get(cycle->cancelled))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
    return FALSE;
}

const struct manifest *machine_cycle_base(const struct machine_cycle *cycle)
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
    const struct manifest *base = machine_cycle_base(cycle);
    g_autoptr(GPtrArray) removed = NULL;
    if (!snapshot_machine_clean(cycle->machine, cycle->store->id, base ? base->checkpoint : NULL,
                                options->scratch_dir, options->socket_dir, options->no_checkpoint,
                                &removed, error))
        return FALSE;
    for (guint i = 0; i < removed->len; i++)
        machine_cycle_warn(cycle, "cleaned", removed->pdata[i]);
    g_autoptr(GArray) disks =
        disk_selection_plan(cycle->machine, options->exclude_disks, cycle->replicas, error);
    if (!disks || !machine_cycle_go_on(cycle, error))
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
        machine_cycle_warn(cycle, "snapshot", warnings->pdata[cycle->warnings_told]);
}

static void report_snapshot(struct machine_cycle *cycle)
{
    const GPtrArray *disks = snapshot_disks(cycle->snapshot);
    g_autoptr(JsonObject) line = event_new("snapshot");
    JsonObject *uris = json_object_new();
    json_object_set_string_member(line, "consistency", machine_cycle_consistency(cycle));
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
            machine_cycle_warn(cycle, "snapshot", cause->message);
    }
    if (strcmp(event, "committed") == 0)
        cycle->committed_us = g_get_monotonic_time();
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
    if (!machine_cycle_go_on(cycle, error))
        return NULL;
    struct work *work = machine_cycle_work(cycle);
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
    const struct manifest *base = machine_cycle_base(cycle);
    struct store_machine *now =
        store_machine_open(cycle->store, cycle->key, STORE_READ, NULL, NULL);
    const struct manifest *manifest = now ? store_machine_latest(now) : NULL;
    gboolean ours =
        cycle->committed_us || (manifest && manifest->number == (base ? base->number : 0) + 1);
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
        machine_cycle_warn(cycle, "left-behind", error->message);
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

/* Whoever goes on without the machine asks later whether somebody has let it run again. */
static void add_state(const struct machine_cycle *cycle, JsonObject *result)
{
    g_autofree char *state = cycle->options->final ? snapshot_machine_state(cycle->machine) : NULL;
    json_set_optional_string(result, "disks_state", state);
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
        machine_cycle_warn(cycle, "unfinished", message);
    }
    close_snapshot(cycle, result || cycle->committed_us);
    if (!result) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    machine_cycle_add_times(cycle, result);
    add_state(cycle, result);
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
    if (cycle.store && find_machine(&cycle, error) && machine_cycle_open_place(&cycle, error) &&
        (options->host_uri ? begin_libvirt(&cycle, error) : begin_nbd(&cycle, error)))
        result = cycle_snapshot(&cycle, error);
    machine_cycle_clear(&cycle);
    return result;
}
