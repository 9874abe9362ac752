/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

JsonObject *json_parse_object(const char *text, gsize length_bytes, const char *what,
                              enum landfall_error_code code, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError) cause = NULL;
    if (!g_utf8_validate(text, (gssize)length_bytes, NULL)) {
        landfall_error_set(error, code, NULL, "%s is not UTF-8 text", what);
        return NULL;
    }
    if (!json_parser_load_from_data(parser, text, (gssize)length_bytes, &cause)) {
        landfall_error_set(error, code, NULL, "%s is not JSON: %s", what, cause->message);
        return NULL;
    }
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        landfall_error_set(error, code, NULL, "%s is not a JSON object", what);
        return NULL;
    }
    return json_object_ref(json_node_get_object(root));
}

/* TRUE with *ret_node NULL when the member is missing or null and that is allowed. */
static gboolean member_node(JsonObject *object, const char *name, gboolean optional,
                            enum landfall_error_code code, JsonNode **ret_node, GError **error)
{
    JsonNode *node = json_object_get_member(object, name);
    if (node && JSON_NODE_HOLDS_NULL(node))
        node = NULL;
    if (!node && !optional) {
        landfall_error_set(error, code, NULL, "member '%s' is missing", name);
        return FALSE;
    }
    *ret_node = node;
    return TRUE;
}

static gboolean wrong_type(const char *name, const char *wanted, enum landfall_error_code code,
                           GError **error)
{
    landfall_error_set(error, code, NULL, "member '%s' is not %s", name, wanted);
    return FALSE;
}

static gboolean get_string(JsonObject *object, const char *name, gboolean optional,
                           enum landfall_error_code code, const char **ret_value, GError **error)
{
    JsonNode *node;
    if (!member_node(object, name, optional, code, &node, error))
        return FALSE;
    if (!node)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
        return wrong_type(name, "a string", code, error);
    *ret_value = json_node_get_string(node);
    return TRUE;
}

static gboolean get_uint(JsonObject *object, const char *name, gboolean optional,
                         enum landfall_error_code code, guint64 *ret_value, GError **error)
{
    JsonNode *node;
    if (!member_node(object, name, optional, code, &node, error))
        return FALSE;
    if (!node)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64 ||
        json_node_get_int(node) < 0)
        return wrong_type(name, "a whole number from 0", code, error);
    *ret_value = (guint64)json_node_get_int(node);
    return TRUE;
}

gboolean json_member_string(JsonObject *object, const char *name, enum landfall_error_code code,
                            const char **ret_value, GError **error)
{
    return get_string(object, name, FALSE, code, ret_value, error);
}

gboolean json_optional_string(JsonObject *object, const char *name, enum landfall_error_code code,
                              const char **ret_value, GError **error)
{
    return get_string(object, name, TRUE, code, ret_value, error);
}

gboolean json_member_uint(JsonObject *object, const char *name, enum landfall_error_code code,
                          guint64 *ret_value, GError **error)
{
    return get_uint(object, name, FALSE, code, ret_value, error);
}

gboolean json_optional_uint(JsonObject *object, const char *name, enum landfall_error_code code,
                            guint64 *ret_value, GError **error)
{
    return get_uint(object, name, TRUE, code, ret_value, error);
}

gboolean json_member_array(JsonObject *object, const char *name, enum landfall_error_code code,
                           JsonArray **ret_value, GError **error)
{
    JsonNode *node;
    if (!member_node(object, name, FALSE, code, &node, error))
        return FALSE;
    if (!JSON_NODE_HOLDS_ARRAY(node))
        return wrong_type(name, "an array", code, error);
    *ret_value = json_node_get_array(node);
    return TRUE;
}

gboolean json_optional_boolean(JsonObject *object, const char *name, enum landfall_error_code code,
                               gboolean *ret_value, GError **error)
{
    JsonNode *node;
    if (!member_node(object, name, TRUE, code, &node, error))
        return FALSE;
    if (!node)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_BOOLEAN)
        return wrong_type(name, "true or false", code, error);
    *ret_value = json_node_get_boolean(node);
    return TRUE;
}

gboolean json_optional_strings(JsonObject *object, const char *name, enum landfall_error_code code,
                               GStrv *ret_value, GError **error)
{
    JsonNode *node;
    if (!member_node(object, name, TRUE, code, &node, error))
        return FALSE;
    if (!node)
        return TRUE;
    if (!JSON_NODE_HOLDS_ARRAY(node) || json_array_get_length(json_node_get_array(node)) == 0)
        return wrong_type(name, "an array of strings", code, error);
    g_autoptr(GList) elements = json_array_get_elements(json_node_get_array(node));
    g_autoptr(GStrvBuilder) strings = g_strv_builder_new();
    for (const GList *element = elements; element; element = element->next) {
        JsonNode *string = element->data;
        if (!JSON_NODE_HOLDS_VALUE(string) || json_node_get_value_type(string) != G_TYPE_STRING)
            return wrong_type(name, "an array of strings", code, error);
        g_strv_builder_add(strings, json_node_get_string(string));
    }
    *ret_value = g_strv_builder_end(strings);
    return TRUE;
}

static JsonNode *find_node(JsonObject *object, const char *name, JsonNodeType type)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    return node && json_node_get_node_type(node) == type ? node : NULL;
}

const char *json_find_string(JsonObject *object, const char *name)
{
    JsonNode *node = find_node(object, name, JSON_NODE_VALUE);
    return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                   : NULL;
}

JsonObject *json_find_object(JsonObject *object, const char *name)
{
    JsonNode *node = find_node(object, name, JSON_NODE_OBJECT);
    return node ? json_node_get_object(node) : NULL;
}

JsonArray *json_find_array(JsonObject *object, const char *name)
{
    JsonNode *node = find_node(object, name, JSON_NODE_ARRAY);
    return node ? json_node_get_array(node) : NULL;
}

gboolean json_find_boolean(JsonObject *object, const char *name)
{
    JsonNode *node = find_node(object, name, JSON_NODE_VALUE);
    return node && json_node_get_value_type(node) == G_TYPE_BOOLEAN && json_node_get_boolean(node);
}

guint64 json_find_uint(JsonObject *object, const char *name)
{
    JsonNode *node = find_node(object, name, JSON_NODE_VALUE);
    gint64 value =
        node && json_node_get_value_type(node) == G_TYPE_INT64 ? json_node_get_int(node) : 0;
    return value > 0 ? (guint64)value : 0;
}

gboolean json_element_object(JsonArray *array, guint index, const char *what,
                             enum landfall_error_code code, JsonObject **ret_value, GError **error)
{
    JsonNode *node = json_array_get_element(array, index);
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        landfall_error_set(error, code, NULL, "element %u of '%s' is not an object", index, what);
        return FALSE;
    }
    *ret_value = json_node_get_object(node);
    return TRUE;
}

void json_set_optional_string(JsonObject *object, const char *name, const char *value)
{
    if (value)
        json_object_set_string_member(object, name, value);
}

void json_set_optional_strings(JsonObject *object, const char *name, const char *const *value)
{
    if (!value)
        return;
    JsonArray *array = json_array_new();
    for (; *value; value++)
        json_array_add_string_element(array, *value);
    json_object_set_array_member(object, name, array);
}

void json_set_time(JsonObject *object, const char *name, gint64 at_us)
{
    if (!at_us)
        return;
    g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(at_us / G_USEC_PER_SEC);
    g_autofree char *text = at ? g_date_time_format_iso8601(at) : NULL;
    json_set_optional_string(object, name, text);
}

void json_set_error(JsonObject *object, const GError *error)
{
    json_object_set_string_member(object, "code", landfall_error_name(error));
    json_object_set_string_member(object, "message", error->message);
    json_set_optional_string(object, "hint", landfall_error_hint(error));
}

GError *json_to_error(JsonObject *object)
{
    const char *message = json_find_string(object, "message");
    GError *error = NULL;
    landfall_error_set(&error, landfall_error_code_from_name(json_find_string(object, "code")),
                       json_find_string(object, "hint"), "%s", message ? message : "no message");
    return error;
}

char *json_object_to_text(JsonObject *object, gboolean pretty)
{
    g_autoptr(JsonNode) node = json_node_alloc();
    json_node_init_object(node, object);
    return json_to_string(node, pretty);
}
