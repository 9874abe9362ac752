/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/machine-records.h"
#include "appliance/inventory/facts.h"
#include "appliance/state/machines.h"
#include "appliance/state/replications.h"
#include "base/json.h"

/* What changes all the time is written this often. */
#define USAGE_PERIOD_US (5 * 60 * G_USEC_PER_SEC)
/* An agent is asked again, and a machine that did not answer. */
#define AGENT_PERIOD_US (10 * 60 * G_USEC_PER_SEC)
#define UNRESPONSIVE_PERIOD_US (5 * 60 * G_USEC_PER_SEC)
/* Sizes that were not told, because a job held the machine, are asked for again, so often. */
#define SIZES_TRIES 5

struct record {
    gint64 id;
    char *name;
    char *power;
    JsonObject *facts; /* replaced, never changed: the state and readers may hold it */
    char *lasting;     /* of the facts */
    gboolean gone;
    gint64 written_us; /* these of the monotonic clock; 0: never */
    gint64 agent_asked_us;
    gint64 unresponsive_us;
    guint sizes_tries; /* left; 0: all are known, or never will be */
};

struct machine_records {
    struct state *state;
    struct event_hub *hub;
    char *host;
    machine_taken taken;
    gpointer taken_data;
    GHashTable *by_uuid; /* struct record */
};

static void record_free(struct record *record)
{
    g_free(record->name);
    g_free(record->power);
    g_free(record->lasting);
    g_clear_pointer(&record->facts, json_object_unref);
    g_free(record);
}

static void load(struct machine_records *records, const struct state_machine *machine)
{
    struct record *record = g_new0(struct record, 1);
    record->id = machine->id;
    record->name = g_strdup(machine->name);
    record->power = g_strdup(machine->power);
    record->facts = machine->facts ? json_object_ref(machine->facts) : json_object_new();
    record->lasting = facts_lasting_text(record->facts);
    record->gone = machine->gone_us != 0;
    g_hash_table_insert(records->by_uuid, g_strdup(machine->uuid), record);
}

struct machine_records *machine_records_new(struct state *state, struct event_hub *hub,
                                            const char *host, machine_taken taken, gpointer data,
                                            GError **error)
{
    g_autoptr(GPtrArray) machines = state_machine_list(state, host, NULL, error);
    if (!machines)
        return NULL;
    struct machine_records *records = g_new0(struct machine_records, 1);
    records->state = state;
    records->hub = hub;
    records->host = g_strdup(host);
    records->taken = taken;
    records->taken_data = data;
    records->by_uuid =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)record_free);
    for (guint i = 0; i < machines->len; i++)
        load(records, machines->pdata[i]);
    return records;
}

void machine_records_free(struct machine_records *records)
{
    if (!records)
        return;
    g_hash_table_unref(records->by_uuid);
    g_free(records->host);
    g_free(records);
}

static void publish(struct machine_records *records, const char *change, const char *uuid,
                    const struct record *record)
{
    g_autoptr(JsonObject) event = json_object_new();
    json_object_set_string_member(event, "change", change);
    json_object_set_int_member(event, "id", record->id);
    json_object_set_string_member(event, "host", records->host);
    json_object_set_string_member(event, "uuid", uuid);
    json_object_set_string_member(event, "name", record->name);
    json_object_set_string_member(event, "power", record->power);
    event_hub_publish(records->hub, "machine", event);
}

/* Memory follows the state: what could not be written is new again when it comes in next time. */
static void complain(struct machine_records *records, const char *uuid, const GError *error)
{
    g_warning("host %s, machine %s: %s", records->host, uuid, error->message);
}

static gboolean write_record(struct machine_records *records, const char *uuid,
                             const struct state_machine *found, gint64 *ret_id, gboolean *ret_fresh)
{
    g_autoptr(GError) error = NULL;
    struct state_machine machine = *found;
    machine.host = records->host;
    machine.uuid = (char *)uuid;
    machine.seen_us = state_now_us();
    if (!state_machine_found(records->state, &machine, ret_fresh, &error)) {
        complain(records, uuid, error);
        return FALSE;
    }
    *ret_id = machine.id;
    return TRUE;
}

/* The machine is now like this. Takes facts. */
static void update(struct machine_records *records, const char *uuid, const char *name,
                   const char *power, JsonObject *facts)
{
    struct record *record = g_hash_table_lookup(records->by_uuid, uuid);
    gint64 now_us = g_get_monotonic_time();
    g_autofree char *lasting = facts_lasting_text(facts);
    gboolean changed = !record || record->gone || g_strcmp0(record->name, name) != 0 ||
                       g_strcmp0(record->power, power) != 0 ||
                       g_strcmp0(record->lasting, lasting) != 0;
    gboolean due = !record || !record->written_us || now_us - record->written_us > USAGE_PERIOD_US;
    gboolean fresh = FALSE;
    gint64 id = 0;
    const struct state_machine found = {
        .name = (char *)name, .power = (char *)power, .facts = facts};
    if ((changed || due) && !write_record(records, uuid, &found, &id, &fresh)) {
        json_object_unref(facts);
        return;
    }
    if (!record) {
        record = g_new0(struct record, 1);
        g_hash_table_insert(records->by_uuid, g_strdup(uuid), record);
    }
    g_autofree char *old_name = record->name, *old_power = record->power;
    record->name = g_strdup(name);
    record->power = g_strdup(power);
    g_clear_pointer(&record->facts, json_object_unref);
    record->facts = facts;
    g_free(record->lasting);
    record->lasting = g_steal_pointer(&lasting);
    record->gone = FALSE;
    if (!changed && !due)
        return;
    record->id = id;
    record->written_us = now_us;
    if (changed)
        publish(records, fresh ? "appeared" : "changed", uuid, record);
}

static gboolean agent_connected(JsonObject *facts)
{
    JsonObject *agent = json_find_object(facts, "agent");
    return agent && json_object_get_boolean_member(agent, "connected");
}

/* Whether a machine of the same UUID on another host is the one that has come here. One that runs
 * there as well is not, nor is one that nobody replicates: that stays where it was, and here is
 * another. */
static gboolean has_left(struct machine_records *records, const char *uuid,
                         const struct state_machine *other)
{
    if (g_strcmp0(other->host, records->host) == 0 || g_strcmp0(other->uuid, uuid) != 0 ||
        (!other->gone_us && g_strcmp0(other->power, "off") != 0))
        return FALSE;
    struct state_replication *replication = state_replication_get(records->state, other->id, NULL);
    state_replication_free(replication);
    return replication != NULL;
}

/* A replication follows its machine over a live migration; libvirt says that it was one. */
static void take_over(struct machine_records *records, const char *uuid)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) machines = state_machine_list(records->state, NULL, uuid, &error);
    for (guint i = 0; machines && i < machines->len; i++) {
        const struct state_machine *other = machines->pdata[i];
        if (!has_left(records, uuid, other))
            continue;
        if (!state_machine_move(records->state, "landfalld", other->id, records->host, &error))
            break;
        g_hash_table_remove(records->by_uuid, uuid);
        load(records, other);
        records->taken(records->taken_data, other->host, uuid);
        return;
    }
    if (error)
        complain(records, uuid, error);
}

void machine_records_found(struct machine_records *records, const struct session_machine *machine,
                           JsonObject *replication)
{
    if (machine->arrived)
        take_over(records, machine->uuid);
    struct record *record = g_hash_table_lookup(records->by_uuid, machine->uuid);
    JsonObject *facts = facts_copy(machine->facts);
    if (replication)
        json_object_set_object_member(facts, "replication", json_object_ref(replication));
    facts_carry_over(facts, record ? record->facts : NULL);
    /* Another state of power may be that of another QEMU, or of another agent. */
    if (record && g_strcmp0(record->power, machine->power) != 0) {
        record->unresponsive_us = 0;
        facts_add_unresponsive(facts, NULL);
    }
    if (record && !agent_connected(facts))
        record->agent_asked_us = 0;
    update(records, machine->uuid, machine->name, machine->power, facts);
    record = g_hash_table_lookup(records->by_uuid, machine->uuid);
    if (record)
        record->sizes_tries = SIZES_TRIES;
}

static void set_gone(struct machine_records *records, const char *uuid, struct record *record)
{
    g_autoptr(GError) error = NULL;
    if (record->gone)
        return;
    if (!state_machine_gone(records->state, record->id, state_now_us(), &error)) {
        complain(records, uuid, error);
        return;
    }
    record->gone = TRUE;
    publish(records, "gone", uuid, record);
}

void machine_records_gone(struct machine_records *records, const char *uuid)
{
    struct record *record = g_hash_table_lookup(records->by_uuid, uuid);
    if (record)
        set_gone(records, uuid, record);
}

void machine_records_forget(struct machine_records *records, const char *uuid)
{
    g_hash_table_remove(records->by_uuid, uuid);
}

void machine_records_listed(struct machine_records *records, const GPtrArray *uuids)
{
    g_autoptr(GHashTable) there = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < uuids->len; i++)
        g_hash_table_add(there, uuids->pdata[i]);
    GHashTableIter iter;
    gpointer uuid, record;
    g_hash_table_iter_init(&iter, records->by_uuid);
    while (g_hash_table_iter_next(&iter, &uuid, &record))
        if (!g_hash_table_contains(there, uuid))
            set_gone(records, uuid, record);
}

/* A copy of what is known, to be added to; NULL when the machine is not there any more. */
static JsonObject *known(struct machine_records *records, const char *uuid,
                         struct record **ret_record)
{
    struct record *record = g_hash_table_lookup(records->by_uuid, uuid);
    if (!record || record->gone)
        return NULL;
    *ret_record = record;
    return facts_copy(record->facts);
}

void machine_records_sizes(struct machine_records *records, const struct guest_answer *answer)
{
    struct record *record;
    JsonObject *facts = known(records, answer->uuid, &record);
    if (!facts)
        return;
    record->unresponsive_us = 0;
    facts_add_sizes(facts, answer);
    if (facts_sizes_known(facts))
        record->sizes_tries = 0;
    else if (record->sizes_tries > 0)
        record->sizes_tries--;
    update(records, answer->uuid, record->name, record->power, facts);
}

void machine_records_ask_again(struct machine_records *records, struct lane *guests)
{
    GHashTableIter iter;
    gpointer uuid, value;
    g_hash_table_iter_init(&iter, records->by_uuid);
    while (g_hash_table_iter_next(&iter, &uuid, &value)) {
        const struct record *record = value;
        if (record->sizes_tries > 0 && record->sizes_tries < SIZES_TRIES && !record->gone)
            guest_lane_ask_sizes(guests, uuid);
    }
}

void machine_records_agent(struct machine_records *records, const struct guest_answer *answer)
{
    struct record *record;
    JsonObject *facts = known(records, answer->uuid, &record);
    if (!facts)
        return;
    facts_add_agent(facts, answer);
    update(records, answer->uuid, record->name, record->power, facts);
}

void machine_records_unresponsive(struct machine_records *records, const char *uuid,
                                  const char *what, guint seconds)
{
    struct record *record;
    JsonObject *facts = known(records, uuid, &record);
    if (!facts)
        return;
    g_autofree char *text = g_strdup_printf("%s: no answer in %u s", what, seconds);
    record->unresponsive_us = g_get_monotonic_time();
    facts_add_unresponsive(facts, text);
    update(records, uuid, record->name, record->power, facts);
}

/* After a time it may answer again. */
static gboolean answers(const struct record *record)
{
    return record && !record->gone &&
           (!record->unresponsive_us ||
            g_get_monotonic_time() - record->unresponsive_us > UNRESPONSIVE_PERIOD_US);
}

gboolean machine_records_wants_sizes(struct machine_records *records, const char *uuid)
{
    return answers(g_hash_table_lookup(records->by_uuid, uuid));
}

gboolean machine_records_wants_agent(struct machine_records *records, const char *uuid)
{
    struct record *record = g_hash_table_lookup(records->by_uuid, uuid);
    gint64 now_us = g_get_monotonic_time();
    if (!answers(record) || g_strcmp0(record->power, "running") != 0 ||
        !agent_connected(record->facts) ||
        (record->agent_asked_us && now_us - record->agent_asked_us < AGENT_PERIOD_US))
        return FALSE;
    record->agent_asked_us = now_us;
    return TRUE;
}
