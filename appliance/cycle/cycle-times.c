/* SPDX-License-Identifier: Apache-2.0 */

/* Where the time of a cycle went. */

#include "appliance/cycle/machine-cycle-private.h"
#include "base/error.h"
#include "base/json.h"

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

/* What was not heard of took none. */
static void set_time(JsonObject *times, const char *name, gint64 from_us, gint64 to_us,
                     guint64 without_ms)
{
    gint64 ms = from_us && to_us ? (to_us - from_us) / 1000 - (gint64)without_ms : 0;
    json_object_set_int_member(times, name, MAX(ms, 0));
}

void machine_cycle_add_times(const struct machine_cycle *cycle, JsonObject *result)
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
