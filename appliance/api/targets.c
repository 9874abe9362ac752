/* SPDX-License-Identifier: Apache-2.0 */

/* /targets: hosts that machines may be moved to, and what things are called there. */

#include "appliance/state/targets.h"
#include "appliance/api/answer.h"
#include "appliance/api/api-private.h"
#include "appliance/api/request.h"
#include "base/json.h"

#include <string.h>

#define MACHINE_CPUS_MAX 4096u
#define MACHINE_MEMORY_MIB_MAX (64u * 1024 * 1024)

static JsonObject *target_to_json(gconstpointer row)
{
    const struct state_target *target = row;
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "host", target->host);
    json_object_set_string_member(object, "reach", target->reach);
    json_set_optional_string(object, "store_path", target->store_path);
    json_set_optional_string(object, "pool", target->pool);
    json_object_set_object_member(object, "networks", json_object_ref(target->networks));
    json_set_optional_string(object, "test_network", target->test_network);
    json_object_set_object_member(object, "machine", json_object_ref(target->machine));
    json_set_time(object, "updated_at", target->updated_us);
    return object;
}

static JsonObject *list_targets(struct request *request, GError **error)
{
    g_autoptr(GPtrArray) targets = state_target_list(request_api(request)->state, error);
    return answer_rows(targets, target_to_json);
}

static JsonObject *get_target(struct request *request, GError **error)
{
    struct state *state = request_api(request)->state;
    struct state_target *target = state_target_get(state, request_parameter(request, 0), error);
    JsonObject *object = target ? target_to_json(target) : NULL;
    state_target_free(target);
    return object;
}

/* --- what is set --------------------------------------------------------------------------------
 */

static gboolean check_number(JsonObject *machine, const char *name, guint64 maximum, GError **error)
{
    guint64 value = 1;
    if (!json_optional_uint(machine, name, LANDFALL_ERROR_CONFIG, &value, error))
        return FALSE;
    if (value >= 1 && value <= maximum)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                       "member '%s' takes a number from 1 to %" G_GUINT64_FORMAT, name, maximum);
    return FALSE;
}

static gboolean check_machine(JsonObject *machine, GError **error)
{
    static const char *const texts[] = {"name_suffix", "firmware", "machine_type", "cpu_model",
                                        "video"};
    g_autoptr(GList) members = json_object_get_members(machine);
    for (const GList *member = members; member; member = member->next) {
        const char *name = member->data, *text = NULL;
        gboolean is_text = FALSE;
        for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
            is_text = is_text || strcmp(texts[i], name) == 0;
        if (is_text && !json_optional_string(machine, name, LANDFALL_ERROR_CONFIG, &text, error))
            return FALSE;
        if (is_text || strcmp(name, "cpus") == 0 || strcmp(name, "memory_mib") == 0)
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "they are name_suffix, cpus, memory_mib, firmware, machine_type, "
                           "cpu_model and video",
                           "a machine has no setting '%.64s'", name);
        return FALSE;
    }
    return check_number(machine, "cpus", MACHINE_CPUS_MAX, error) &&
           check_number(machine, "memory_mib", MACHINE_MEMORY_MIB_MAX, error);
}

/* The member as an object, empty when there is none; owned by the caller. */
static JsonObject *object_member(JsonObject *body, const char *name, GError **error)
{
    JsonNode *node = json_object_get_member(body, name);
    if (!node || JSON_NODE_HOLDS_NULL(node))
        return json_object_new();
    if (JSON_NODE_HOLDS_OBJECT(node))
        return json_object_ref(json_node_get_object(node));
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "member '%s' is no object", name);
    return NULL;
}

/* Where disks are to go into a pool, and nothing is said of the store, it is not seen there. */
static gboolean read_texts(JsonObject *body, struct state_target *target, GError **error)
{
    const char *reach = NULL, *store_path = NULL, *pool = NULL, *test_network = NULL;
    if (!json_optional_string(body, "reach", LANDFALL_ERROR_CONFIG, &reach, error) ||
        !json_optional_string(body, "store_path", LANDFALL_ERROR_CONFIG, &store_path, error) ||
        !json_optional_string(body, "pool", LANDFALL_ERROR_CONFIG, &pool, error) ||
        !json_optional_string(body, "test_network", LANDFALL_ERROR_CONFIG, &test_network, error))
        return FALSE;
    if (!reach)
        reach = pool && !store_path ? STATE_TARGET_NBD : STATE_TARGET_PATH;
    target->reach = g_strdup(reach);
    target->store_path = g_strdup(store_path);
    target->pool = g_strdup(pool);
    target->test_network = g_strdup(test_network);
    return TRUE;
}

static JsonObject *set_target(struct request *request, GError **error)
{
    JsonObject *body = request_body(request);
    struct state_target *target = g_new0(struct state_target, 1);
    target->host = g_strdup(request_parameter(request, 0));
    target->networks = object_member(body, "networks", error);
    target->machine = target->networks ? object_member(body, "machine", error) : NULL;
    gboolean ok =
        target->machine && check_machine(target->machine, error) &&
        read_texts(body, target, error) &&
        state_target_set(request_api(request)->state, request_who(request), target, error);
    state_target_free(target);
    return ok ? get_target(request, error) : NULL;
}

static JsonObject *remove_target(struct request *request, GError **error)
{
    state_target_remove(request_api(request)->state, request_who(request),
                        request_parameter(request, 0), error);
    return NULL;
}

const struct route routes_targets[] = {
    {"GET", "/api/v1/targets", ROLE_VIEWER, NULL, NULL, list_targets},
    {"GET", "/api/v1/targets/{name}", ROLE_VIEWER, NULL, NULL, get_target},
    {"PUT", "/api/v1/targets/{name}", ROLE_OPERATOR, NULL,
     "reach store_path pool networks test_network machine", set_target},
    {"DELETE", "/api/v1/targets/{name}", ROLE_OPERATOR, NULL, NULL, remove_target},
    {NULL},
};
