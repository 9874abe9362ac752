/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/answer.h"
#include "appliance/jobs/replication-json.h"
#include "base/json.h"

JsonObject *answer_list(JsonArray *items, gint64 next)
{
    JsonObject *answer = json_object_new();
    json_object_set_array_member(answer, "items", items);
    if (next)
        json_object_set_int_member(answer, "next", next);
    return answer;
}

JsonObject *answer_rows(const GPtrArray *rows, JsonObject *(*to_json)(gconstpointer row))
{
    if (!rows)
        return NULL;
    JsonArray *items = json_array_new();
    for (guint i = 0; i < rows->len; i++)
        json_array_add_object_element(items, to_json(rows->pdata[i]));
    return answer_list(items, 0);
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
    json_set_time(object, "first_seen_at", machine->first_seen_us);
    json_set_time(object, "seen_at", machine->seen_us);
    json_set_time(object, "gone_at", machine->gone_us);
    if (machine->facts)
        json_object_set_object_member(object, "facts", json_object_ref(machine->facts));
    if (replication)
        json_object_set_object_member(object, "replication", replication_to_json(replication));
    return object;
}
