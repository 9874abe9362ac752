/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/failover/report.h"
#include "appliance/failover/failover-private.h"
#include "base/json.h"

#include <string.h>

/* What the report is made from. */
struct sources {
    struct state *state;
    const struct state_failover *failover;
    GPtrArray *journal;  /* struct state_failover_step */
    GPtrArray *followed; /* struct state_failover: what ended it, the oldest first */
    JsonObject *facts;
};

/* --- the operation -------------------------------------------------------------------------------
 */

static JsonObject *machine_json(const struct sources *sources, const char **ret_host)
{
    JsonObject *object = json_object_new();
    struct state_machine *machine =
        state_machine_get(sources->state, sources->failover->machine, NULL);
    json_object_set_int_member(object, "id", sources->failover->machine);
    json_object_set_string_member(object, "name", machine ? machine->name : "?");
    if (machine)
        json_object_set_string_member(object, "uuid", machine->uuid);
    *ret_host = machine ? g_intern_string(machine->host) : NULL;
    state_machine_free(machine);
    return object;
}

static JsonObject *operation_json(const struct sources *sources)
{
    const struct state_failover *failover = sources->failover;
    const char *host;
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", failover->id);
    json_object_set_string_member(object, "kind", failover->kind);
    json_object_set_string_member(object, "state", state_failover_word(failover->state));
    json_set_optional_string(object, "verdict", failover->verdict);
    json_object_set_string_member(object, "who", failover->who);
    json_object_set_object_member(object, "machine", machine_json(sources, &host));
    json_set_optional_string(object, "source", host);
    json_set_optional_string(object, "target", failover->target);
    if (failover->recovery_point)
        json_object_set_int_member(object, "recovery_point", failover->recovery_point);
    json_set_time(object, "asked_at", failover->asked_us);
    json_set_time(object, "started_at", failover->started_us);
    json_set_time(object, "ended_at", failover->ended_us);
    json_object_set_object_member(object, "options", json_object_ref(failover->options));
    if (failover->error)
        json_object_set_object_member(object, "error", json_object_ref(failover->error));
    return object;
}

/* --- what was done when --------------------------------------------------------------------------
 */

static void add_steps(JsonArray *timeline, const struct state_failover *failover,
                      const GPtrArray *journal)
{
    for (guint i = 0; i < journal->len; i++) {
        const struct state_failover_step *step = journal->pdata[i];
        JsonObject *entry = json_object_new();
        json_set_time(entry, "at", step->begun_us);
        json_object_set_int_member(entry, "operation", failover->id);
        json_object_set_string_member(entry, "kind", failover->kind);
        json_object_set_string_member(entry, "step", step->step);
        json_object_set_string_member(entry, "state",
                                      step->result  ? "done"
                                      : step->error ? "failed"
                                                    : "running");
        if (step->ended_us)
            json_object_set_int_member(entry, "took_ms", (step->ended_us - step->begun_us) / 1000);
        json_set_optional_string(entry, "message", json_find_string(step->error, "message"));
        json_array_add_object_element(timeline, entry);
    }
}

static gboolean add_timeline(JsonObject *report, const struct sources *sources, GError **error)
{
    JsonArray *timeline = json_array_new();
    json_object_set_array_member(report, "timeline", timeline);
    add_steps(timeline, sources->failover, sources->journal);
    for (guint i = 0; i < sources->followed->len; i++) {
        const struct state_failover *other = sources->followed->pdata[i];
        g_autoptr(GPtrArray) journal = state_failover_steps(sources->state, other->id, error);
        if (!journal)
            return FALSE;
        add_steps(timeline, other, journal);
    }
    return TRUE;
}

static void add_followed(JsonObject *report, const struct sources *sources)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < sources->followed->len; i++) {
        const struct state_failover *other = sources->followed->pdata[i];
        JsonObject *entry = json_object_new();
        json_object_set_int_member(entry, "id", other->id);
        json_object_set_string_member(entry, "kind", other->kind);
        json_object_set_string_member(entry, "state", state_failover_word(other->state));
        json_object_set_string_member(entry, "who", other->who);
        json_set_time(entry, "started_at", other->started_us);
        json_set_time(entry, "ended_at", other->ended_us);
        if (other->error)
            json_object_set_object_member(entry, "error", json_object_ref(other->error));
        json_array_add_object_element(array, entry);
    }
    json_object_set_array_member(report, "followed_by", array);
}

/* --- what is left on a target that was abandoned -------------------------------------------------
 */

static gboolean add_left(JsonObject *report, struct state *state,
                         const struct state_failover *failover, GError **error)
{
    static const char *const members[] = {"host", "why", "left"};
    g_autoptr(JsonObject) facts = state_failover_facts(state, failover, error);
    JsonObject *fact = facts ? json_find_object(facts, "abandon") : NULL;
    if (!fact)
        return facts != NULL;
    JsonObject *left = json_object_new();
    for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
        json_object_set_member(left, members[i],
                               json_node_copy(json_object_get_member(fact, members[i])));
    json_object_set_object_member(report, "left_behind", left);
    return TRUE;
}

/* --- how long it was down ------------------------------------------------------------------------
 */

static void add_part(JsonArray *parts, const char *step, gint64 from_us, gint64 to_us)
{
    JsonObject *part = json_object_new();
    json_object_set_string_member(part, "step", step);
    json_object_set_int_member(part, "ms", MAX(to_us - from_us, 0) / 1000);
    json_array_add_object_element(parts, part);
}

/* What of each step fell between the two instants, and what fell between the steps. */
static JsonArray *downtime_parts(const GPtrArray *journal, gint64 off_us, gint64 running_us)
{
    JsonArray *parts = json_array_new();
    gint64 inside_us = 0;
    for (guint i = 0; i < journal->len; i++) {
        const struct state_failover_step *step = journal->pdata[i];
        gint64 from_us = MAX(step->begun_us, off_us), to_us = MIN(step->ended_us, running_us);
        if (!step->result || to_us <= from_us)
            continue;
        add_part(parts, step->step, from_us, to_us);
        inside_us += to_us - from_us;
    }
    add_part(parts, "between the steps", 0, running_us - off_us - inside_us);
    return parts;
}

static void add_downtime(JsonObject *report, const struct sources *sources)
{
    gint64 off_us =
        (gint64)json_find_uint(json_find_object(sources->facts, "shutdown"), "off_at_us");
    gint64 running_us =
        (gint64)json_find_uint(json_find_object(sources->facts, "start"), "running_at_us");
    gint64 ms = failover_downtime_ms(sources->failover, sources->journal);
    if (ms == 0)
        return;
    JsonObject *downtime = json_object_new();
    json_object_set_int_member(downtime, "ms", ms);
    json_set_time(downtime, "off_at", off_us);
    json_set_time(downtime, "running_at", running_us);
    if (off_us > 0 && running_us > 0)
        json_object_set_array_member(downtime, "parts",
                                     downtime_parts(sources->journal, off_us, running_us));
    json_object_set_object_member(report, "downtime", downtime);
}

/* --- what was sent, looked at, changed -----------------------------------------------------------
 */

static void copy_member(JsonObject *to, const char *as, JsonObject *from, const char *name)
{
    JsonNode *node = from ? json_object_get_member(from, name) : NULL;
    if (node)
        json_object_set_member(to, as, json_node_copy(node));
}

static void add_data(JsonObject *report, const struct sources *sources)
{
    static const char *const members[] = {"name",       "size_bytes", "mode",
                                          "sent_bytes", "root_hash",  "verified"};
    JsonObject *data = json_object_new();
    JsonObject *passes = json_find_object(sources->facts, "passes");
    JsonObject *final = json_find_object(sources->facts, "final");
    JsonArray *disks = json_find_array(final, "disks"), *array = json_array_new();
    copy_member(data, "passes", passes, "count");
    copy_member(data, "passes_bytes", passes, "sent_bytes");
    copy_member(data, "consistency", final, "consistency");
    copy_member(data, "timings", final, "timings");
    for (guint i = 0; disks && i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i), *entry = json_object_new();
        for (gsize k = 0; k < G_N_ELEMENTS(members); k++)
            copy_member(entry, members[k], disk, members[k]);
        json_array_add_object_element(array, entry);
    }
    json_object_set_array_member(data, "disks", array);
    json_object_set_object_member(report, "data", data);
}

static void add_checks_of(JsonArray *array, JsonObject *facts, const char *step)
{
    JsonArray *checks = json_find_array(json_find_object(facts, step), "checks");
    for (guint i = 0; checks && i < json_array_get_length(checks); i++) {
        g_autoptr(JsonNode) copy = json_node_copy(json_array_get_element(checks, i));
        if (!JSON_NODE_HOLDS_OBJECT(copy))
            continue;
        JsonObject *entry = json_object_new();
        json_object_set_string_member(entry, "step", step);
        copy_member(entry, "check", json_node_get_object(copy), "check");
        copy_member(entry, "verdict", json_node_get_object(copy), "verdict");
        copy_member(entry, "message", json_node_get_object(copy), "message");
        copy_member(entry, "hint", json_node_get_object(copy), "hint");
        copy_member(entry, "ms", json_node_get_object(copy), "ms");
        json_array_add_object_element(array, entry);
    }
}

static void add_evidence(JsonObject *report, const struct sources *sources)
{
    JsonArray *checks = json_array_new();
    JsonObject *define = json_find_object(sources->facts, "define");
    JsonObject *definition = json_object_new();
    add_checks_of(checks, sources->facts, "preflight");
    add_checks_of(checks, sources->facts, "plan");
    add_checks_of(checks, sources->facts, "watch");
    json_object_set_array_member(report, "checks", checks);
    copy_member(definition, "name", define, "domain_name");
    copy_member(definition, "uuid", define, "domain_uuid");
    copy_member(definition, "changes", define, "changes");
    copy_member(definition, "xml", define, "xml");
    json_object_set_object_member(report, "definition", definition);
    copy_member(report, "console", json_find_object(sources->facts, "watch"), "console");
}

/* --- the whole -----------------------------------------------------------------------------------
 */

static gint by_id(gconstpointer a, gconstpointer b)
{
    gint64 left = (*(const struct state_failover *const *)a)->id;
    gint64 right = (*(const struct state_failover *const *)b)->id;
    return left < right ? -1 : left > right;
}

JsonObject *report_make(struct state *state, const struct state_failover *failover, GError **error)
{
    const struct state_failover_filter filter = {.subject = failover->id};
    g_autoptr(GPtrArray) journal = state_failover_steps(state, failover->id, error);
    g_autoptr(GPtrArray) followed = journal ? state_failover_list(state, &filter, error) : NULL;
    g_autoptr(JsonObject) facts = followed ? state_failover_facts(state, failover, error) : NULL;
    if (!facts)
        return NULL;
    g_ptr_array_sort(followed, by_id);
    const struct sources sources = {state, failover, journal, followed, facts};
    g_autoptr(JsonObject) report = json_object_new();
    json_object_set_object_member(report, "operation", operation_json(&sources));
    add_downtime(report, &sources);
    if (!add_timeline(report, &sources, error))
        return NULL;
    add_data(report, &sources);
    add_evidence(report, &sources);
    add_followed(report, &sources);
    if (!add_left(report, state, failover, error))
        return NULL;
    for (guint i = 0; i < followed->len; i++)
        if (!add_left(report, state, followed->pdata[i], error))
            return NULL;
    return g_steal_pointer(&report);
}
