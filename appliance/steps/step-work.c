/* SPDX-License-Identifier: Apache-2.0 */

/* JSON: one object. What a step does not need may be missing; the table in step.c says what it
 * does. Members that are not known are passed over: the daemon may be the newer one.
 *
 *   "operation": N, "appliance": NAME, "kind": TEXT, "step": TEXT,
 *   "machine": { "id": N, "uuid": UUID, "name": TEXT },
 *   "source": { "host": NAME, "uri": URI },
 *   "target": { "host": NAME, "uri": URI, "reach": "path" | "nbd", "store_path": PATH, "pool":
 * NAME, "networks": { NETWORK OR BRIDGE: NETWORK, … }, "test_network": NAME, "machine": {
 * "name_suffix", "firmware", "machine_type", "cpu_model", "video": TEXT, "cpus", "memory_mib": N }
 * }, "store": { "name": NAME, "path": PATH }, "recovery_point": N, "options": { … }, "facts": {
 * STEP: { … }, … }
 */

#include "appliance/steps/step-work.h"
#include "base/json.h"
#include "replicator/store-name.h"

#include <string.h>

#define CONFIG LANDFALL_ERROR_CONFIG

/* The member as an object, owned by the caller: NULL, or an empty one, when it is missing. */
static gboolean take_object(JsonObject *object, const char *name, gboolean or_empty,
                            JsonObject **ret_object, GError **error)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    gboolean missing = !node || JSON_NODE_HOLDS_NULL(node);
    if (!missing && !JSON_NODE_HOLDS_OBJECT(node)) {
        landfall_error_set(error, CONFIG, NULL, "member '%s' is not an object", name);
        return FALSE;
    }
    if (!missing)
        *ret_object = json_object_ref(json_node_get_object(node));
    else
        *ret_object = or_empty ? json_object_new() : NULL;
    return TRUE;
}

static gboolean take_count(JsonObject *object, const char *name, guint *ret_count, GError **error)
{
    guint64 value = 0;
    if (!json_optional_uint(object, name, CONFIG, &value, error))
        return FALSE;
    if (value > G_MAXINT32) {
        landfall_error_set(error, CONFIG, NULL, "member '%s' is too large", name);
        return FALSE;
    }
    *ret_count = (guint)value;
    return TRUE;
}

static gboolean take_word(JsonObject *object, const char *name, const char *const *words,
                          const char **ret_word, GError **error)
{
    const char *word;
    if (!json_member_string(object, name, CONFIG, &word, error))
        return FALSE;
    if (!g_strv_contains(words, word)) {
        landfall_error_set(error, CONFIG, NULL, "member '%s' cannot be '%s'", name, word);
        return FALSE;
    }
    *ret_word = word;
    return TRUE;
}

static gboolean take_machine(struct step_work *work, JsonObject *object, GError **error)
{
    if (!json_member_uint(object, "id", CONFIG, &work->machine_id, error) ||
        !json_member_string(object, "uuid", CONFIG, &work->machine_uuid, error) ||
        !json_member_string(object, "name", CONFIG, &work->machine_name, error))
        return FALSE;
    if (store_name_is_safe(work->machine_uuid)) /* it is a folder of the store */
        return TRUE;
    landfall_error_set(error, CONFIG, NULL, "member 'uuid' cannot be '%s'", work->machine_uuid);
    return FALSE;
}

static gboolean take_source(struct step_work *work, JsonObject *object, GError **error)
{
    return json_member_string(object, "host", CONFIG, &work->source_host, error) &&
           json_member_string(object, "uri", CONFIG, &work->source_uri, error);
}

static gboolean take_settings(struct step_work *work, JsonObject *object, GError **error)
{
    struct step_machine_settings *settings = &work->settings;
    return json_optional_string(object, "name_suffix", CONFIG, &settings->name_suffix, error) &&
           json_optional_string(object, "firmware", CONFIG, &settings->firmware, error) &&
           json_optional_string(object, "machine_type", CONFIG, &settings->machine_type, error) &&
           json_optional_string(object, "cpu_model", CONFIG, &settings->cpu_model, error) &&
           json_optional_string(object, "video", CONFIG, &settings->video, error) &&
           take_count(object, "cpus", &settings->cpus, error) &&
           take_count(object, "memory_mib", &settings->memory_mib, error);
}

static gboolean take_target(struct step_work *work, JsonObject *object, GError **error)
{
    static const char *const reaches[] = {"path", "nbd", NULL};
    g_autoptr(JsonObject) settings = NULL;
    const char *reach;
    if (!json_member_string(object, "host", CONFIG, &work->target_host, error) ||
        !json_member_string(object, "uri", CONFIG, &work->target_uri, error) ||
        !take_word(object, "reach", reaches, &reach, error) ||
        !json_optional_string(object, "store_path", CONFIG, &work->target_store_path, error) ||
        !json_optional_string(object, "pool", CONFIG, &work->pool, error) ||
        !json_optional_string(object, "test_network", CONFIG, &work->test_network, error) ||
        !take_object(object, "machine", FALSE, &settings, error) ||
        (settings && !take_settings(work, settings, error)))
        return FALSE;
    work->reach = strcmp(reach, "nbd") == 0 ? STEP_REACH_NBD : STEP_REACH_PATH;
    if (work->reach == STEP_REACH_NBD || work->target_store_path)
        return TRUE;
    landfall_error_set(error, CONFIG, "landfall target set HOST --store-path DIR",
                       "it is not known where host %s sees the store", work->target_host);
    return FALSE;
}

static gboolean take_store(struct step_work *work, JsonObject *object, GError **error)
{
    return json_member_string(object, "name", CONFIG, &work->store_name, error) &&
           json_member_string(object, "path", CONFIG, &work->store_path, error);
}

static gboolean take_parts(struct step_work *work, GError **error)
{
    g_autoptr(JsonObject) machine = NULL, source = NULL, target = NULL, store = NULL;
    JsonObject *json = work->json;
    if (!take_object(json, "machine", FALSE, &machine, error) ||
        !take_object(json, "source", FALSE, &source, error) ||
        !take_object(json, "target", FALSE, &target, error) ||
        !take_object(json, "store", FALSE, &store, error) ||
        !take_object(target, "networks", TRUE, &work->networks, error) ||
        !take_object(json, "options", TRUE, &work->options, error) ||
        !take_object(json, "facts", TRUE, &work->facts, error))
        return FALSE;
    return (!machine || take_machine(work, machine, error)) &&
           (!source || take_source(work, source, error)) &&
           (!target || take_target(work, target, error)) &&
           (!store || take_store(work, store, error));
}

struct step_work *step_work_parse(const char *text, gsize length_bytes, GError **error)
{
    JsonObject *json = json_parse_object(text, length_bytes, "the work", CONFIG, error);
    if (!json)
        return NULL;
    struct step_work *work = g_new0(struct step_work, 1);
    work->json = json;
    if (json_member_uint(json, "operation", CONFIG, &work->operation, error) &&
        json_member_string(json, "kind", CONFIG, &work->kind, error) &&
        json_member_string(json, "step", CONFIG, &work->step, error) &&
        json_optional_string(json, "appliance", CONFIG, &work->appliance, error) &&
        json_optional_string(json, "evidence", CONFIG, &work->evidence, error) &&
        json_optional_uint(json, "recovery_point", CONFIG, &work->recovery_point, error) &&
        take_parts(work, error))
        return work;
    step_work_free(work);
    g_prefix_error(error, "work: ");
    return NULL;
}

void step_work_free(struct step_work *work)
{
    if (!work)
        return;
    g_clear_pointer(&work->json, json_object_unref);
    g_clear_pointer(&work->networks, json_object_unref);
    g_clear_pointer(&work->options, json_object_unref);
    g_clear_pointer(&work->facts, json_object_unref);
    g_free(work);
}

char *step_work_owner(const struct step_work *work)
{
    return g_strdup_printf("%s%s%" G_GUINT64_FORMAT, work->appliance ? work->appliance : "",
                           work->appliance ? "-" : "", work->operation);
}

JsonObject *step_work_fact(const struct step_work *work, const char *step)
{
    JsonNode *node = json_object_get_member(work->facts, step);
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

gboolean step_work_option_uint(const struct step_work *work, const char *name, guint64 fallback,
                               guint64 *ret_value, GError **error)
{
    guint64 value = fallback;
    if (!json_optional_uint(work->options, name, CONFIG, &value, error)) {
        g_prefix_error(error, "options: ");
        return FALSE;
    }
    *ret_value = value;
    return TRUE;
}

gboolean step_work_keeps_console(const struct step_work *work)
{
    JsonArray *probes = json_find_array(work->options, "probes");
    gboolean keeps = strcmp(work->kind, "test") == 0;
    for (guint i = 0; probes && !keeps && i < json_array_get_length(probes); i++) {
        JsonNode *node = json_array_get_element(probes, i);
        keeps = JSON_NODE_HOLDS_OBJECT(node) &&
                g_strcmp0(json_find_string(json_node_get_object(node), "kind"), "console") == 0;
    }
    return keeps;
}

gboolean step_work_is_home(const struct step_work *work)
{
    return json_find_uint(work->options, "home") > 0;
}

struct step_work step_work_at_home(const struct step_work *work)
{
    struct step_work home = *work;
    if (!step_work_is_home(work))
        return home;
    home.source_host = work->target_host;
    home.source_uri = work->target_uri;
    home.target_host = work->source_host;
    home.target_uri = work->source_uri;
    return home;
}
