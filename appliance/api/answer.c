/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/answer.h"
#include "base/json.h"

void answer_set_time(JsonObject *object, const char *name, gint64 at_us)
{
    if (!at_us)
        return;
    g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(at_us / G_USEC_PER_SEC);
    g_autofree char *text = at ? g_date_time_format(at, "%Y-%m-%dT%H:%M:%SZ") : NULL;
    json_set_optional_string(object, name, text);
}

void answer_set_number(JsonObject *object, const char *name, gint64 value)
{
    if (value)
        json_object_set_int_member(object, name, value);
}

JsonObject *answer_list(JsonArray *items, gint64 next)
{
    JsonObject *answer = json_object_new();
    json_object_set_array_member(answer, "items", items);
    answer_set_number(answer, "next", next);
    return answer;
}

static void set_array(JsonObject *object, const char *name, JsonArray *array)
{
    json_object_set_array_member(object, name, array ? json_array_ref(array) : json_array_new());
}

JsonObject *answer_replication(const struct state_replication *replication)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "store", replication->store);
    json_object_set_string_member(object, "state", replication->state);
    json_object_set_boolean_member(object, "paused", replication->paused);
    json_object_set_int_member(object, "priority", replication->priority);
    json_object_set_int_member(object, "interval_s", replication->interval_s);
    json_object_set_int_member(object, "retain", replication->retain);
    set_array(object, "exclude_disks", replication->exclude_disks);
    json_object_set_int_member(object, "bandwidth", replication->bandwidth);
    json_set_optional_string(object, "consistency", replication->consistency);
    set_array(object, "blackout", replication->blackout);
    answer_set_time(object, "created_at", replication->created_us);
    answer_set_time(object, "next_due_at", replication->next_due_us);
    answer_set_time(object, "last_started_at", replication->last_started_us);
    answer_set_number(object, "last_point", replication->last_point);
    answer_set_time(object, "last_point_at", replication->last_point_us);
    answer_set_number(object, "last_duration_ms", replication->last_duration_ms);
    if (replication->last_point_us)
        json_object_set_int_member(
            object, "lag_s", MAX(state_now_us() - replication->last_point_us, 0) / G_USEC_PER_SEC);
    json_object_set_int_member(object, "failures", replication->failures);
    if (replication->error)
        json_object_set_object_member(object, "error", json_object_ref(replication->error));
    return object;
}

/* What the operator reads in one word. */
static const char *state_of(const struct state_replication *replication)
{
    if (!replication)
        return "discovered";
    return replication->paused ? "paused" : replication->state;
}

JsonObject *answer_machine(const struct state_machine *machine,
                           const struct state_replication *replication)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", machine->id);
    json_object_set_string_member(object, "name", machine->name);
    json_object_set_string_member(object, "uuid", machine->uuid);
    json_object_set_string_member(object, "host", machine->host);
    json_object_set_string_member(object, "power", machine->power);
    json_object_set_string_member(object, "state", state_of(replication));
    answer_set_time(object, "first_seen_at", machine->first_seen_us);
    answer_set_time(object, "seen_at", machine->seen_us);
    answer_set_time(object, "gone_at", machine->gone_us);
    if (machine->facts)
        json_object_set_object_member(object, "facts", json_object_ref(machine->facts));
    if (replication)
        json_object_set_object_member(object, "replication", answer_replication(replication));
    return object;
}
