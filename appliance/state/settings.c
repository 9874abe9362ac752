/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/settings.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "base/error.h"

#include <string.h>

#define TEXT_BYTES_MAX 4096u

struct setting {
    const char *name;
    GType type;
    gint64 minimum, maximum, fallback; /* of a number */
    const char *text;                  /* of a text */
};

/* In the order of the alphabet, as the operator sees them. Documented in landfalld(8). */
static const struct setting settings[] = {
    {"alert_failures", G_TYPE_INT64, 1, 1000, 3},          /* cycles in a row */
    {"alert_lag_percent", G_TYPE_INT64, 110, 100000, 200}, /* of the interval */
    {"alert_mail_to", G_TYPE_STRING, 0, 0, 0, ""},
    {"alert_store_free_percent", G_TYPE_INT64, 0, 99, 10}, /* 0: never */
    {"alert_webhook", G_TYPE_STRING, 0, 0, 0, ""},
    {"bandwidth", G_TYPE_INT64, 0, G_GINT64_CONSTANT(1) << 50, 0}, /* bytes a second, 0: no limit */
    {"bandwidth_windows", G_TYPE_STRING, 0, 0, 0, ""}, /* "Mon-Fri 08:00-18:00 BYTES; …" */
    {"cycles_max", G_TYPE_INT64, 1, 256, 4},
    {"cycles_per_host_max", G_TYPE_INT64, 1, 256, 2},
    {"drain_s", G_TYPE_INT64, 0, 3600, 20}, /* for jobs to end by themselves when the daemon ends */
    {"first_copies_max", G_TYPE_INT64, 1, 256, 2},
    {"guest_deadline_s", G_TYPE_INT64, 1, 600, 10}, /* of a call to QEMU or an agent */
    {"host_deadline_s", G_TYPE_INT64, 1, 600, 20},  /* of a call to libvirt */
    {"interval_auto_max_s", G_TYPE_INT64, 1, 30 * 24 * 3600, 12 * 3600},
    {"interval_auto_min_s", G_TYPE_INT64, 1, 30 * 24 * 3600, 3600},
    {"interval_min_s", G_TYPE_INT64, 1, 24 * 3600, 60},
    {"interval_s", G_TYPE_INT64, 0, 7 * 24 * 3600, 900}, /* of new replications, 0: automatic */
    {"inventory_interval_s", G_TYPE_INT64, 1, 24 * 3600, 30}, /* between looks at everything */
    {"jobs_keep_count", G_TYPE_INT64, 100, 10000000, 100000},
    {"jobs_keep_days", G_TYPE_INT64, 1, 36500, 90},
    {"retain", G_TYPE_INT64, 0, 100000, 24},                   /* of new replications, 0: all */
    {"session_idle_s", G_TYPE_INT64, 60, 7 * 24 * 3600, 1800}, /* until a session unused is over */
    {"session_life_s", G_TYPE_INT64, 60, 30 * 24 * 3600, 43200}, /* until any session is over */
    {"timezone", G_TYPE_STRING, 0, 0, 0, ""}, /* of windows; empty: the machine's own */
};

static const struct setting *find_setting(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(settings); i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

static JsonNode *fallback_node(const struct setting *setting)
{
    JsonNode *node = json_node_new(JSON_NODE_VALUE);
    if (setting->type == G_TYPE_STRING)
        json_node_set_string(node, setting->text);
    else
        json_node_set_int(node, setting->fallback);
    return node;
}

/* A row of another version's setting is left alone and not shown. */
JsonObject *state_setting_list(struct state *state, GError **error)
{
    g_autoptr(JsonObject) object = json_object_new();
    for (gsize i = 0; i < G_N_ELEMENTS(settings); i++)
        json_object_set_member(object, settings[i].name, fallback_node(&settings[i]));
    struct statement *query = statement_new(state, "SELECT name, value FROM setting");
    while (statement_row(query)) {
        g_autofree char *name = statement_read_text(query);
        JsonNode *value = statement_read_node(query);
        if (value && json_object_has_member(object, name))
            json_object_set_member(object, name, value);
        else
            g_clear_pointer(&value, json_node_unref);
    }
    return statement_done(query, error) ? g_steal_pointer(&object) : NULL;
}

static gboolean check_value(const struct setting *setting, JsonNode *value, GError **error)
{
    gboolean ok = JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == setting->type;
    if (ok && setting->type == G_TYPE_STRING)
        ok = strlen(json_node_get_string(value)) <= TEXT_BYTES_MAX;
    else if (ok)
        ok = json_node_get_int(value) >= setting->minimum &&
             json_node_get_int(value) <= setting->maximum;
    if (ok)
        return TRUE;
    g_autofree char *allowed =
        setting->type == G_TYPE_STRING
            ? g_strdup_printf("a text of at most %u bytes", TEXT_BYTES_MAX)
            : g_strdup_printf("a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                              setting->minimum, setting->maximum);
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "setting '%s' takes %s", setting->name,
                       allowed);
    return FALSE;
}

static gboolean save(struct state *state, const char *name, JsonNode *value, GError **error)
{
    struct statement *statement =
        JSON_NODE_HOLDS_NULL(value)
            ? statement_new(state, "DELETE FROM setting WHERE name = ?")
            : statement_new(state, "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)");
    statement_bind_text(statement, name);
    if (!JSON_NODE_HOLDS_NULL(value))
        statement_bind_node(statement, value);
    return statement_done(statement, error);
}

static gboolean change(struct state *state, const char *name, JsonNode *value, GError **error)
{
    const struct setting *setting = find_setting(name);
    if (!setting) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "landfall setting list shows them all",
                           "there is no setting '%.64s'", name);
        return FALSE;
    }
    return (JSON_NODE_HOLDS_NULL(value) || check_value(setting, value, error)) &&
           save(state, name, value, error);
}

gboolean state_setting_change(struct state *state, const char *who, JsonObject *changes,
                              GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = TRUE;
    g_autoptr(GList) names = json_object_get_members(changes);
    for (const GList *name = names; name && ok; name = name->next)
        ok = change(state, name->data, json_object_get_member(changes, name->data), error);
    ok = ok && state_audit(state, who, "setting.change", "setting", changes, error);
    return state_end(state, ok, error);
}

/* The value of a setting of that type; the caller owns the node. */
static JsonNode *get(struct state *state, const char *name, GType type, GError **error)
{
    const struct setting *setting = find_setting(name);
    g_assert(setting && setting->type == type);
    JsonNode *value = NULL;
    struct statement *query = statement_new(state, "SELECT value FROM setting WHERE name = ?");
    statement_bind_text(query, name);
    if (statement_row(query))
        value = statement_read_node(query);
    if (!statement_done(query, error))
        g_clear_pointer(&value, json_node_unref);
    else if (!value)
        value = fallback_node(setting);
    return value;
}

gboolean state_setting_int(struct state *state, const char *name, gint64 *ret_value, GError **error)
{
    g_autoptr(JsonNode) value = get(state, name, G_TYPE_INT64, error);
    if (value)
        *ret_value = json_node_get_int(value);
    return value != NULL;
}

gboolean state_setting_text(struct state *state, const char *name, char **ret_value, GError **error)
{
    g_autoptr(JsonNode) value = get(state, name, G_TYPE_STRING, error);
    if (value)
        *ret_value = json_node_dup_string(value);
    return value != NULL;
}
