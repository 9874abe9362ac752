/* SPDX-License-Identifier: Apache-2.0 */

/* What a step's process is told: one line of JSON, whose members appliance/steps/step-work.c reads.
 * Asked for anew at each step, so that a host that got another URI meanwhile is found. */

#include "appliance/failover/failover-private.h"
#include "appliance/state/replications.h"
#include "appliance/state/stores.h"
#include "base/json.h"

#include <string.h>

#define CYCLES_KNOWN 20u

/* Which way things went: the source and the target are its. */
static const struct state_failover *way_of(const struct operation *operation)
{
    return operation->step && operation->step->of_first ? operation->first : operation->failover;
}

/* Whose things these are: what ends a test or a move works on what that one has made. */
static const struct state_failover *owner_of(const struct operation *operation)
{
    const struct state_failover *way = way_of(operation);
    return operation->subject && way == operation->failover ? operation->subject : way;
}

char *operation_lease(const struct operation *operation)
{
    return g_strdup_printf("%s-%" G_GINT64_FORMAT, operation->failovers->appliance,
                           owner_of(operation)->id);
}

/* --- its parts -----------------------------------------------------------------------------------
 */

static gboolean add_machine(const struct operation *operation, JsonObject *work, GError **error)
{
    struct failovers *failovers = operation->failovers;
    struct state_machine *machine =
        state_machine_get(failovers->state, way_of(operation)->machine, error);
    g_autofree char *uri =
        machine ? inventory_host_uri(failovers->inventory, machine->host, error) : NULL;
    if (uri) {
        JsonObject *object = json_object_new(), *source = json_object_new();
        json_object_set_int_member(object, "id", machine->id);
        json_object_set_string_member(object, "uuid", machine->uuid);
        json_object_set_string_member(object, "name", machine->name);
        json_object_set_object_member(work, "machine", object);
        json_object_set_string_member(source, "host", machine->host);
        json_object_set_string_member(source, "uri", uri);
        json_object_set_object_member(work, "source", source);
    }
    state_machine_free(machine);
    return uri != NULL;
}

static JsonObject *target_object(const struct state_target *target, const char *store_path,
                                 const char *uri)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "host", target->host);
    json_object_set_string_member(object, "uri", uri);
    json_object_set_string_member(object, "reach", target->reach);
    if (strcmp(target->reach, STATE_TARGET_PATH) == 0)
        json_object_set_string_member(object, "store_path",
                                      target->store_path ? target->store_path : store_path);
    json_set_optional_string(object, "pool", target->pool);
    json_object_set_object_member(object, "networks", json_object_ref(target->networks));
    json_set_optional_string(object, "test_network", target->test_network);
    json_object_set_object_member(object, "machine", json_object_ref(target->machine));
    return object;
}

static gboolean add_target(const struct operation *operation, JsonObject *work,
                           const char *store_path, GError **error)
{
    struct failovers *failovers = operation->failovers;
    struct state_target *target =
        state_target_get(failovers->state, way_of(operation)->target, error);
    g_autofree char *uri =
        target ? inventory_host_uri(failovers->inventory, target->host, error) : NULL;
    if (uri)
        json_object_set_object_member(work, "target", target_object(target, store_path, uri));
    state_target_free(target);
    return uri != NULL;
}

static gboolean add_store(const struct operation *operation, JsonObject *work,
                          struct state_replication **ret_replication, char **ret_path,
                          GError **error)
{
    struct state *state = operation->failovers->state;
    struct state_replication *replication =
        state_replication_get(state, operation->failover->machine, error);
    struct state_store *store =
        replication ? state_store_get(state, replication->store, error) : NULL;
    if (!store) {
        state_replication_free(replication);
        return FALSE;
    }
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", store->name);
    json_object_set_string_member(object, "path", store->path);
    json_object_set_object_member(work, "store", object);
    *ret_path = g_strdup(store->path);
    *ret_replication = replication;
    state_store_free(store);
    return TRUE;
}

/* Options of what is asked now, over those of the test or move that it is about. */
static void add_options(const struct operation *operation, JsonObject *work)
{
    JsonObject *options = json_object_new();
    const struct state_failover *rows[] = {operation->subject, operation->failover};
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        JsonObjectIter iter;
        const char *name;
        JsonNode *node;
        if (!rows[i])
            continue;
        json_object_iter_init(&iter, rows[i]->options);
        while (json_object_iter_next(&iter, &name, &node))
            json_object_set_member(options, name, json_node_copy(node));
    }
    json_object_set_object_member(work, "options", options);
}

/* --- what is known ------------------------------------------------------------------------------
 */

guint64 failover_sum_of_disks(JsonObject *result, const char *name)
{
    guint64 sum = 0;
    JsonArray *disks = json_find_array(result, "disks");
    for (guint i = 0; disks && i < json_array_get_length(disks); i++)
        sum += json_find_uint(json_array_get_object_element(disks, i), name);
    return sum;
}

static void add_cycle(JsonArray *cycles, const struct state_job *job)
{
    if (strcmp(job->kind, STATE_JOB_CYCLE) != 0 || !job->result)
        return;
    JsonObject *cycle = json_object_new();
    json_set_time(cycle, "at", job->started_us);
    json_object_set_int_member(cycle, "at_us", job->started_us);
    json_object_set_int_member(cycle, "cycle_ms", (gint64)json_find_uint(job->result, "cycle_ms"));
    json_object_set_int_member(cycle, "sent_bytes",
                               (gint64)failover_sum_of_disks(job->result, "sent_bytes"));
    json_object_set_int_member(cycle, "read_bytes",
                               (gint64)failover_sum_of_disks(job->result, "read_bytes"));
    json_array_add_object_element(cycles, cycle);
}

/* Each but the oldest with the time since the one before. */
static void add_intervals(JsonArray *cycles)
{
    for (guint i = 0; i + 1 < json_array_get_length(cycles); i++) {
        JsonObject *cycle = json_array_get_object_element(cycles, i);
        JsonObject *before = json_array_get_object_element(cycles, i + 1);
        gint64 us = json_object_get_int_member(cycle, "at_us") -
                    json_object_get_int_member(before, "at_us");
        json_object_set_int_member(cycle, "interval_s", us / G_USEC_PER_SEC);
    }
}

static gboolean add_cycles(const struct operation *operation, JsonObject *known, GError **error)
{
    const struct state_job_filter filter = {
        .machine = operation->failover->machine, .state = STATE_JOB_DONE, .limit = CYCLES_KNOWN};
    g_autoptr(GPtrArray) jobs = state_job_list(operation->failovers->state, &filter, error);
    JsonArray *cycles = json_array_new();
    for (guint i = 0; jobs && i < jobs->len; i++)
        add_cycle(cycles, jobs->pdata[i]);
    add_intervals(cycles);
    json_object_set_array_member(known, "cycles", cycles);
    return jobs != NULL;
}

static gboolean add_last_test(const struct operation *operation, JsonObject *known, GError **error)
{
    gint64 at_us, recovery_point;
    if (!state_failover_last_passed(operation->failovers->state, operation->failover->machine,
                                    &at_us, &recovery_point, error))
        return FALSE;
    if (at_us) {
        JsonObject *test = json_object_new();
        json_set_time(test, "at", at_us);
        json_object_set_int_member(test, "recovery_point", recovery_point);
        json_object_set_object_member(known, "last_test", test);
    }
    return TRUE;
}

gboolean operation_step_judges(const char *step)
{
    static const char *const judges[] = {"preflight", "plan", NULL};
    return g_strv_contains(judges, step);
}

static gboolean add_known(const struct operation *operation, JsonObject *work,
                          const struct state_replication *replication, GError **error)
{
    struct failovers *failovers = operation->failovers;
    JsonObject *known = json_object_new();
    JsonObject *readiness = inventory_readiness(failovers->inventory, operation->failover->machine,
                                                replication->store, error);
    json_object_set_object_member(work, "known", known);
    if (!readiness)
        return FALSE;
    json_object_set_object_member(known, "readiness", readiness);
    json_object_set_int_member(known, "replica_interval_s", replication->interval_s);
    if (replication->exclude_disks)
        json_object_set_array_member(known, "disks_excluded",
                                     json_array_ref(replication->exclude_disks));
    return add_last_test(operation, known, error) && add_cycles(operation, known, error);
}

/* --- the line ------------------------------------------------------------------------------------
 */

static void add_places(const struct operation *operation, JsonObject *work)
{
    struct failovers *failovers = operation->failovers;
    const struct state_failover *failover = operation->failover;
    g_autofree char *lease = operation_lease(operation);
    g_autofree char *evidence = failover_evidence_path(failovers, owner_of(operation)->id);
    g_autofree char *folder = g_build_filename(failovers->folder, "nbd", NULL);
    JsonObject *nbd = json_object_new();
    json_object_set_int_member(work, "operation", owner_of(operation)->id);
    json_object_set_string_member(work, "kind", failover->kind);
    json_object_set_string_member(work, "who", failover->who);
    json_object_set_string_member(work, "appliance", failovers->appliance);
    json_object_set_string_member(work, "lease", lease);
    json_object_set_string_member(work, "evidence", evidence);
    json_object_set_string_member(nbd, "folder", folder);
    json_object_set_object_member(work, "nbd", nbd);
    if (failover->recovery_point || owner_of(operation)->recovery_point)
        json_object_set_int_member(work, "recovery_point",
                                   failover->recovery_point ? failover->recovery_point
                                                            : owner_of(operation)->recovery_point);
}

char *operation_work(const struct operation *operation, const char *step, GError **error)
{
    g_autoptr(JsonObject) work = json_object_new();
    g_autofree char *store_path = NULL;
    struct state_replication *replication = NULL;
    JsonObject *facts = state_failover_facts(operation->failovers->state, way_of(operation), error);
    if (!facts)
        return NULL;
    json_object_set_object_member(work, "facts", facts);
    json_object_set_string_member(work, "step", step);
    add_places(operation, work);
    add_options(operation, work);
    gboolean ok = add_machine(operation, work, error) &&
                  add_store(operation, work, &replication, &store_path, error) &&
                  add_target(operation, work, store_path, error) &&
                  (!operation_step_judges(step) || add_known(operation, work, replication, error));
    state_replication_free(replication);
    return ok ? json_object_to_text(work, FALSE) : NULL;
}
