/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/replication-json.h"
#include "appliance/jobs/scheduler.h"
#include "base/json.h"

#include <string.h>

const char *replication_state_word(const struct state_replication *replication)
{
    gboolean rests = replication->paused && !replication_is_stopping(replication) &&
                     !replication_is_moving(replication);
    return rests ? "paused" : replication->state;
}

gboolean replication_is_moving(const struct state_replication *replication)
{
    static const char *const words[] = {"migrating", "migrated", "rolling-back", NULL};
    return g_strv_contains(words, replication->state);
}

gboolean replication_is_stopping(const struct state_replication *replication)
{
    return strcmp(replication->state, "stopping") == 0;
}

static void set_array(JsonObject *object, const char *name, JsonArray *array)
{
    json_object_set_array_member(object, name, array ? json_array_ref(array) : json_array_new());
}

JsonObject *replication_to_json(const struct state_replication *replication)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "state", replication_state_word(replication));
    json_object_set_string_member(object, "store", replication->store);
    json_object_set_boolean_member(object, "paused", replication->paused);
    json_object_set_int_member(object, "priority", replication->priority);
    json_object_set_int_member(object, "interval_s", replication->interval_s);
    json_object_set_int_member(object, "retain", replication->retain);
    set_array(object, "exclude_disks", replication->exclude_disks);
    json_object_set_int_member(object, "bandwidth", replication->bandwidth);
    json_set_optional_string(object, "consistency", replication->consistency);
    set_array(object, "blackout", replication->blackout);
    json_set_time(object, "created_at", replication->created_us);
    if (!replication_is_moving(replication))
        json_set_time(object, "next_due_at", replication->next_due_us);
    json_set_time(object, "last_started_at", replication->last_started_us);
    if (replication->ever_committed) {
        json_object_set_int_member(object, "last_point", replication->last_point);
        json_set_time(object, "last_point_at", replication->last_point_us);
        json_object_set_int_member(object, "last_duration_ms", replication->last_duration_ms);
        json_object_set_int_member(object, "lag_s",
                                   scheduler_lag_us(replication, state_now_us()) / G_USEC_PER_SEC);
    }
    json_object_set_int_member(object, "failures", replication->failures);
    if (replication->error)
        json_object_set_object_member(object, "error", json_object_ref(replication->error));
    return object;
}
