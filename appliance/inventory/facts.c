/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/facts.h"
#include "base/json.h"

#include <string.h>

static void carry_member(JsonObject *to, JsonObject *from, const char *member)
{
    if (to && from && json_object_has_member(from, member) && !json_object_has_member(to, member))
        json_object_set_member(to, member, json_object_dup_member(from, member));
}

static const char *text(JsonObject *object, const char *member)
{
    return json_object_get_string_member_with_default(object, member, "");
}

static JsonObject *find_disk(JsonObject *facts, const char *name, const char *source)
{
    JsonArray *disks = json_find_array(facts, "disks");
    for (guint i = 0; disks && i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        if (g_strcmp0(text(disk, "name"), name) == 0 &&
            (!source || g_strcmp0(text(disk, "source"), source) == 0))
            return disk;
    }
    return NULL;
}

void facts_carry_over(JsonObject *fresh, JsonObject *before)
{
    JsonArray *disks = json_find_array(fresh, "disks");
    if (!before)
        return;
    for (guint i = 0; disks && i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        carry_member(disk, find_disk(before, text(disk, "name"), text(disk, "source")),
                     "capacity_bytes");
    }
    JsonObject *agent = json_find_object(fresh, "agent"),
               *agent_before = json_find_object(before, "agent");
    if (agent && json_object_get_boolean_member(agent, "channel"))
        carry_member(agent, agent_before, "report");
    if (agent && json_object_get_boolean_member(agent, "connected"))
        carry_member(agent, agent_before, "problem");
    carry_member(json_find_object(fresh, "usage"), json_find_object(before, "usage"), "disks");
    carry_member(json_find_object(fresh, "usage"), json_find_object(before, "usage"), "folders");
    carry_member(fresh, before, "unresponsive");
}

static void set_or_remove(JsonObject *object, const char *member, const char *value)
{
    if (json_object_has_member(object, member))
        json_object_remove_member(object, member);
    json_set_optional_string(object, member, value);
}

void facts_add_sizes(JsonObject *facts, const struct guest_answer *answer)
{
    g_autoptr(GList) names = json_object_get_members(answer->facts);
    for (const GList *name = names; name; name = name->next) {
        JsonObject *disk = find_disk(facts, name->data, NULL);
        if (disk)
            json_object_set_int_member(disk, "capacity_bytes",
                                       json_object_get_int_member(answer->facts, name->data));
    }
    JsonObject *usage = json_find_object(facts, "usage");
    g_autoptr(GList) kinds = json_object_get_members(answer->usage);
    for (const GList *kind = kinds; usage && kind; kind = kind->next)
        json_object_set_member(usage, kind->data,
                               json_object_dup_member(answer->usage, kind->data));
    set_or_remove(facts, "unresponsive", NULL);
}

gboolean facts_sizes_known(JsonObject *facts)
{
    JsonArray *disks = json_find_array(facts, "disks");
    JsonObject *replication = json_find_object(facts, "replication");
    if (replication && !json_object_get_boolean_member(replication, "supported"))
        return TRUE;
    for (guint i = 0; disks && i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        if (json_object_get_boolean_member(disk, "supported") &&
            !json_object_has_member(disk, "capacity_bytes"))
            return FALSE;
    }
    return TRUE;
}

void facts_add_agent(JsonObject *facts, const struct guest_answer *answer)
{
    JsonObject *agent = json_find_object(facts, "agent");
    if (!agent)
        return;
    const char *problem =
        json_object_get_string_member_with_default(answer->facts, "problem", NULL);
    set_or_remove(agent, "problem", problem);
    /* An agent that refuses to say anything, as while it is frozen, has said it before. */
    if (!problem && json_object_get_size(answer->facts) > 0)
        json_object_set_object_member(agent, "report", json_object_ref(answer->facts));
}

void facts_add_unresponsive(JsonObject *facts, const char *what)
{
    set_or_remove(facts, "unresponsive", what);
}

char *facts_lasting_text(JsonObject *facts)
{
    if (!facts)
        return NULL;
    JsonNode *usage = json_object_dup_member(facts, "usage");
    if (usage)
        json_object_remove_member(facts, "usage");
    char *all = json_object_to_text(facts, FALSE);
    if (usage)
        json_object_set_member(facts, "usage", usage);
    return all;
}

JsonObject *facts_copy(JsonObject *facts)
{
    g_autofree char *all = json_object_to_text(facts, FALSE);
    return json_parse_object(all, strlen(all), "facts", LANDFALL_ERROR_INTERNAL, NULL);
}
