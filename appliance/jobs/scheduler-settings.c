/* SPDX-License-Identifier: Apache-2.0 */

/* Settings: those of the appliance as the scheduler uses them, and those of one replication as an
 * operator gives them. */

#include "appliance/jobs/scheduler-private.h"
#include "appliance/state/machines.h"
#include "appliance/state/settings.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define BLACKOUTS_MAX 50u
#define DISKS_MAX 256u

struct bandwidth_window {
    struct schedule_calendar *calendar;
    guint64 bandwidth;
};

static void bandwidth_window_free(struct bandwidth_window *window)
{
    schedule_calendar_free(window->calendar);
    g_free(window);
}

/* --- of the appliance ----------------------------------------------------------------------------
 */

static GTimeZone *load_zone(struct state *state, GError **error)
{
    g_autofree char *name = NULL;
    if (!state_setting_text(state, "timezone", &name, error))
        return NULL;
    GTimeZone *zone = *name ? g_time_zone_new_identifier(name) : g_time_zone_new_local();
    if (!zone)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use a name such as Europe/Berlin",
                           "timezone: there is no time zone '%s'", name);
    return zone;
}

/* "Mon-Fri 08:00-18:00 10485760": the last word is bytes a second. */
static struct bandwidth_window *parse_bandwidth_window(const char *text, GTimeZone *zone,
                                                       GError **error)
{
    const char *number = strrchr(text, ' ');
    guint64 bandwidth;
    if (!number || !g_ascii_string_to_unsigned(number + 1, 10, 0, G_MAXINT64, &bandwidth, NULL)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "write it like \"Mon-Fri 08:00-18:00 10485760\"",
                           "bandwidth_windows: '%s' is not a window and bytes a second", text);
        return NULL;
    }
    g_autofree char *window = g_strndup(text, (gsize)(number - text));
    const char *const windows[] = {window, NULL};
    struct schedule_calendar *calendar = schedule_calendar_new(windows, zone, error);
    if (!calendar)
        return NULL;
    struct bandwidth_window *parsed = g_new0(struct bandwidth_window, 1);
    *parsed = (struct bandwidth_window){calendar, bandwidth};
    return parsed;
}

static GPtrArray *load_bandwidth_windows(struct state *state, GTimeZone *zone, GError **error)
{
    g_autofree char *text = NULL;
    if (!state_setting_text(state, "bandwidth_windows", &text, error))
        return NULL;
    g_auto(GStrv) parts = g_strsplit(text, ";", -1);
    g_autoptr(GPtrArray) windows =
        g_ptr_array_new_with_free_func((GDestroyNotify)bandwidth_window_free);
    for (char **part = parts; *part; part++) {
        if (!*g_strstrip(*part))
            continue;
        struct bandwidth_window *window = parse_bandwidth_window(*part, zone, error);
        if (!window)
            return NULL;
        g_ptr_array_add(windows, window);
    }
    return g_steal_pointer(&windows);
}

void scheduler_settings_clear(struct scheduler_settings *settings)
{
    g_clear_pointer(&settings->bandwidth_windows, g_ptr_array_unref);
    g_clear_pointer(&settings->zone, g_time_zone_unref);
}

gboolean scheduler_settings_load(struct scheduler_settings *settings, struct state *state,
                                 GError **error)
{
    gint64 running, per_host, initial, auto_min_s, auto_max_s, lag_percent, bandwidth;
    struct scheduler_settings loaded = {0};
    if (!state_setting_int(state, "cycles_max", &running, error) ||
        !state_setting_int(state, "cycles_per_host_max", &per_host, error) ||
        !state_setting_int(state, "first_copies_max", &initial, error) ||
        !state_setting_int(state, "interval_auto_min_s", &auto_min_s, error) ||
        !state_setting_int(state, "interval_auto_max_s", &auto_max_s, error) ||
        !state_setting_int(state, "interval_min_s", &loaded.minimum_interval_s, error) ||
        !state_setting_int(state, "drain_s", &loaded.drain_s, error) ||
        !state_setting_int(state, "jobs_keep_days", &loaded.keep_days, error) ||
        !state_setting_int(state, "jobs_keep_count", &loaded.keep_jobs, error) ||
        !state_setting_int(state, "alert_failures", &loaded.alert_failures, error) ||
        !state_setting_int(state, "alert_store_free_percent", &loaded.alert_store_free_percent,
                           error) ||
        !state_setting_int(state, "alert_lag_percent", &lag_percent, error) ||
        !state_setting_int(state, "bandwidth", &bandwidth, error))
        return FALSE;
    loaded.limits = (struct queue_limits){(guint)running, (guint)per_host, (guint)initial};
    loaded.automatic = (struct schedule_auto){auto_min_s * G_USEC_PER_SEC,
                                              MAX(auto_min_s, auto_max_s) * G_USEC_PER_SEC};
    loaded.lag_factor = (double)lag_percent / 100.0;
    loaded.bandwidth = (guint64)bandwidth;
    loaded.zone = load_zone(state, error);
    loaded.bandwidth_windows =
        loaded.zone ? load_bandwidth_windows(state, loaded.zone, error) : NULL;
    if (!loaded.bandwidth_windows) {
        scheduler_settings_clear(&loaded);
        return FALSE;
    }
    scheduler_settings_clear(settings);
    *settings = loaded;
    return TRUE;
}

guint64 scheduler_bandwidth(const struct scheduler_settings *settings, gint64 now_us,
                            gint64 *ret_until_us)
{
    guint64 bandwidth = settings->bandwidth;
    *ret_until_us = SCHEDULE_NEVER;
    for (guint i = 0; i < settings->bandwidth_windows->len; i++) {
        const struct bandwidth_window *window = settings->bandwidth_windows->pdata[i];
        *ret_until_us = MIN(*ret_until_us, schedule_calendar_edge(window->calendar, now_us));
        if (window->bandwidth && schedule_calendar_covers(window->calendar, now_us))
            bandwidth = bandwidth ? MIN(bandwidth, window->bandwidth) : window->bandwidth;
    }
    return bandwidth;
}

/* --- of one replication --------------------------------------------------------------------------
 */

static gboolean is_null(JsonObject *settings, const char *name)
{
    JsonNode *node = json_object_get_member(settings, name);
    return node && JSON_NODE_HOLDS_NULL(node);
}

/* A whole number in its bounds; missing: *value stays, null or all: the default. */
static gboolean take_number(JsonObject *settings, const char *name, gboolean all, gint64 fallback,
                            gint64 minimum, gint64 maximum, gint64 *value, GError **error)
{
    JsonNode *node = json_object_get_member(settings, name);
    if ((!node && all) || is_null(settings, name))
        *value = fallback;
    if (!node || JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    gint64 number = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_int(node) : 0;
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64 &&
        number >= minimum && number <= maximum) {
        *value = number;
        return TRUE;
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                       "%s takes a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                       name, minimum, maximum);
    return FALSE;
}

/* A list of strings; an empty one is none. */
static gboolean take_strings(JsonObject *settings, const char *name, guint maximum,
                             JsonArray **array, GError **error)
{
    JsonNode *node = json_object_get_member(settings, name);
    if (!node)
        return TRUE;
    g_autoptr(JsonArray) taken = NULL;
    if (JSON_NODE_HOLDS_ARRAY(node) && json_array_get_length(json_node_get_array(node)) > 0) {
        g_auto(GStrv) strings = NULL;
        if (!json_optional_strings(settings, name, LANDFALL_ERROR_CONFIG, &strings, error))
            return FALSE;
        if (g_strv_length(strings) > maximum) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "%s: more than %u", name,
                               maximum);
            return FALSE;
        }
        taken = json_array_ref(json_node_get_array(node));
    } else if (!JSON_NODE_HOLDS_NULL(node) && !JSON_NODE_HOLDS_ARRAY(node)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "%s takes an array of strings",
                           name);
        return FALSE;
    }
    g_clear_pointer(array, json_array_unref);
    *array = g_steal_pointer(&taken);
    return TRUE;
}

/* As the host told, owned by the caller; none while it was not asked. */
static GStrv disks_of(const struct state_machine *machine)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    JsonArray *disks = machine ? json_find_array(machine->facts, "disks") : NULL;
    for (guint i = 0; disks && i < json_array_get_length(disks); i++)
        g_strv_builder_add(names,
                           json_find_string(json_array_get_object_element(disks, i), "name"));
    return g_strv_builder_end(names);
}

/* A disk that is left out and is not there would make each cycle fail. */
static gboolean check_excluded(const struct state_replication *replication, struct state *state,
                               GError **error)
{
    JsonArray *excluded = replication->exclude_disks;
    g_autofree char *called = state_machine_called(state, replication->machine);
    struct state_machine *machine = state_machine_get(state, replication->machine, NULL);
    g_auto(GStrv) disks = disks_of(machine);
    state_machine_free(machine);
    guint count = excluded && *disks ? json_array_get_length(excluded) : 0;
    for (guint i = 0; i < count; i++) {
        const char *disk = json_array_get_string_element(excluded, i);
        if (g_strv_contains((const char *const *)disks, disk))
            continue;
        g_autofree char *all = g_strjoinv(", ", disks);
        g_autofree char *hint = g_strdup_printf("its disks are %s", all);
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint, "machine %s has no disk '%.64s'",
                           called, disk);
        return FALSE;
    }
    return TRUE;
}

static gboolean take_consistency(struct state_replication *replication, JsonObject *settings,
                                 GError **error)
{
    const char *word = NULL;
    if (!json_object_has_member(settings, "consistency"))
        return TRUE;
    if (!json_optional_string(settings, "consistency", LANDFALL_ERROR_CONFIG, &word, error))
        return FALSE;
    if (word && strcmp(word, "crash") != 0 && strcmp(word, "filesystem") != 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "auto, which is null, is the best there is",
                           "consistency is crash or filesystem, not '%.64s'", word);
        return FALSE;
    }
    g_free(replication->consistency);
    replication->consistency = g_strdup(word);
    return TRUE;
}

static gboolean take_store(struct state_replication *replication, JsonObject *settings,
                           GError **error)
{
    const char *store = NULL;
    if (!json_optional_string(settings, "store", LANDFALL_ERROR_CONFIG, &store, error))
        return FALSE;
    if (replication->store && store && strcmp(replication->store, store) != 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "stop the replication, and start it into the other store",
                           "a replica cannot move from store %s to %s", replication->store, store);
        return FALSE;
    }
    if (!replication->store && !store) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "`landfall store list` shows them",
                           "say into which store");
        return FALSE;
    }
    if (!replication->store)
        replication->store = g_strdup(store);
    return TRUE;
}

static gboolean check_known(JsonObject *settings, GError **error)
{
    static const char *const known[] = {"store",         "interval_s", "retain",
                                        "exclude_disks", "bandwidth",  "blackout",
                                        "consistency",   "priority",   NULL};
    g_autoptr(GList) names = json_object_get_members(settings);
    for (const GList *name = names; name; name = name->next)
        if (!g_strv_contains(known, name->data)) {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                               "store, interval_s, retain, exclude_disks, bandwidth, blackout, "
                               "consistency and priority are those there are",
                               "there is no setting '%.64s'", (const char *)name->data);
            return FALSE;
        }
    return TRUE;
}

static gboolean check_result(const struct state_replication *replication,
                             const struct scheduler_settings *bounds, GError **error)
{
    if (replication->interval_s && replication->interval_s < bounds->minimum_interval_s) {
        landfall_error_set(
            error, LANDFALL_ERROR_CONFIG,
            "auto, which is 0, leaves it to the daemon; the setting interval_min_s moves the limit",
            "interval_s is at least %" G_GINT64_FORMAT, bounds->minimum_interval_s);
        return FALSE;
    }
    struct schedule_calendar *blackout = unit_calendar(replication->blackout, bounds->zone, error);
    if (!blackout)
        return FALSE;
    gboolean never = schedule_calendar_open(blackout, state_now_us()) == SCHEDULE_NEVER;
    schedule_calendar_free(blackout);
    if (never)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "leave some time for cycles, or pause",
                           "blackout covers the whole week");
    return !never;
}

gboolean replication_settings_apply(struct state_replication *replication, JsonObject *settings,
                                    gboolean all, struct state *state,
                                    const struct scheduler_settings *bounds, GError **error)
{
    gint64 interval_s, retain;
    return state_setting_int(state, "interval_s", &interval_s, error) &&
           state_setting_int(state, "retain", &retain, error) && check_known(settings, error) &&
           take_store(replication, settings, error) &&
           take_number(settings, "interval_s", all, interval_s, 0, 366 * 24 * 3600,
                       &replication->interval_s, error) &&
           take_number(settings, "retain", all, retain, 0, 100000, &replication->retain, error) &&
           take_number(settings, "bandwidth", all, 0, 0, G_GINT64_CONSTANT(1) << 50,
                       &replication->bandwidth, error) &&
           take_number(settings, "priority", all, 0, -1000, 1000, &replication->priority, error) &&
           take_strings(settings, "exclude_disks", DISKS_MAX, &replication->exclude_disks, error) &&
           (!json_object_has_member(settings, "exclude_disks") ||
            check_excluded(replication, state, error)) &&
           take_strings(settings, "blackout", BLACKOUTS_MAX, &replication->blackout, error) &&
           take_consistency(replication, settings, error) &&
           check_result(replication, bounds, error);
}
