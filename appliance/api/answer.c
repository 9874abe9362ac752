/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/answer.h"
#include "appliance/jobs/replication-json.h"
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

const char *answer_state_word(const struct state_replication *replication)
{
    return replication ? replication_state_word(replication) : "discovered";
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
    json_object_set_string_member(object, "state", answer_state_word(replication));
    answer_set_time(object, "first_seen_at", machine->first_seen_us);
    answer_set_time(object, "seen_at", machine->seen_us);
    answer_set_time(object, "gone_at", machine->gone_us);
    if (machine->facts)
        json_object_set_object_member(object, "facts", json_object_ref(machine->facts));
    if (replication)
        json_object_set_object_member(object, "replication", replication_to_json(replication));
    return object;
}
