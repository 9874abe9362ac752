/* SPDX-License-Identifier: Apache-2.0 */

/* Tests that begin by themselves: every so many days, or on a day of the week, at a time by the
 * clocks of the schedule. One that was missed, because no daemon ran, begins when one does. */

#include "appliance/failover/failover-private.h"
#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define WHO "schedule"
#define DAYS_MAX 366u
#define CLEANUP_AFTER_S 60

struct rehearsal_plan {
    guint64 interval_days; /* 0: by the day of the week */
    guint64 weekday;       /* 0: Monday */
    gint hour, minute;
};

/* --- when ----------------------------------------------------------------------------------------
 */

static gboolean parse_time(const char *text, struct rehearsal_plan *plan, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", 3);
    guint64 hour = 24, minute = 60;
    if (g_strv_length(parts) == 2 && g_ascii_string_to_unsigned(parts[0], 10, 0, 23, &hour, NULL) &&
        g_ascii_string_to_unsigned(parts[1], 10, 0, 59, &minute, NULL)) {
        plan->hour = (gint)hour;
        plan->minute = (gint)minute;
        return TRUE;
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "write it as 03:00",
                       "'%.16s' is no time of a day", text);
    return FALSE;
}

static gboolean parse_plan(JsonObject *object, struct rehearsal_plan *plan, GError **error)
{
    const char *time = "03:00";
    guint64 weekday = 7;
    *plan = (struct rehearsal_plan){0};
    if (!json_optional_uint(object, "interval_days", LANDFALL_ERROR_CONFIG, &plan->interval_days,
                            error) ||
        !json_optional_uint(object, "weekday", LANDFALL_ERROR_CONFIG, &weekday, error) ||
        !json_optional_string(object, "time", LANDFALL_ERROR_CONFIG, &time, error) ||
        !parse_time(time, plan, error))
        return FALSE;
    plan->weekday = weekday;
    if ((plan->interval_days > 0) != (weekday < 7) && plan->interval_days <= DAYS_MAX)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "give interval_days from 1 to 366, or weekday from 0 (Monday) to 6",
                       "a rehearsal comes every so many days, or on a day of the week");
    return FALSE;
}

/* The first instant after after_us that fits; those counted in days count from there. */
static gint64 next_us(const struct rehearsal_plan *plan, GTimeZone *zone, gint64 after_us)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(after_us / G_USEC_PER_SEC);
    g_autoptr(GDateTime) local = g_date_time_to_timezone(utc, zone);
    gint days = plan->interval_days ? (gint)plan->interval_days : 0;
    for (;; days++) {
        g_autoptr(GDateTime) day = g_date_time_add_days(local, days);
        g_autoptr(GDateTime) at =
            g_date_time_new(zone, g_date_time_get_year(day), g_date_time_get_month(day),
                            g_date_time_get_day_of_month(day), plan->hour, plan->minute, 0);
        gint64 at_us = at ? g_date_time_to_unix(at) * G_USEC_PER_SEC : 0;
        gboolean fits =
            plan->interval_days || g_date_time_get_day_of_week(day) == (gint)plan->weekday + 1;
        if (fits && at_us > after_us)
            return at_us;
    }
}

/* --- beginning -----------------------------------------------------------------------------------
 */

/* Nobody sits there to take it away again. */
static JsonObject *test_options(const struct state_rehearsal *rehearsal)
{
    JsonNode *node = json_object_get_member(rehearsal->plan, "options");
    g_autoptr(JsonNode) copy = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_copy(node) : NULL;
    JsonObject *options = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;
    if (copy) {
        json_object_iter_init(&iter, json_node_get_object(copy));
        while (json_object_iter_next(&iter, &name, &member))
            json_object_set_member(options, name, json_node_copy(member));
    }
    if (!json_object_has_member(options, "cleanup_after_s"))
        json_object_set_int_member(options, "cleanup_after_s", CLEANUP_AFTER_S);
    json_object_set_boolean_member(options, "rehearsal", TRUE);
    return options;
}

static void begin_rehearsal(struct failovers *failovers, struct state_rehearsal *rehearsal,
                            const struct rehearsal_plan *plan, gint64 now_us)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) options = test_options(rehearsal);
    struct failover_ids ids = {0};
    rehearsal->next_us = next_us(plan, scheduler_zone(failovers->scheduler), now_us);
    if (!failover_test(failovers, WHO, rehearsal->machine, options, &ids, &error)) {
        g_autofree char *message =
            g_strdup_printf("the rehearsal could not begin: %s", error->message);
        alerting_machine(scheduler_alerting(failovers->scheduler), "rehearsal-failed",
                         rehearsal->machine, message, landfall_error_hint(error));
        g_clear_error(&error);
    }
    if (ids.operation)
        rehearsal->failover = ids.operation;
    if (!state_rehearsal_progress(failovers->state, rehearsal, &error))
        g_critical("cannot note when the next rehearsal is: %s", error->message);
}

gint64 rehearsals_look(struct failovers *failovers, gint64 now_us)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) rehearsals = state_rehearsal_list(failovers->state, &error);
    gint64 first_us = G_MAXINT64;
    if (!rehearsals)
        g_critical("cannot read the rehearsals: %s", error->message);
    for (guint i = 0; rehearsals && i < rehearsals->len; i++) {
        struct state_rehearsal *rehearsal = rehearsals->pdata[i];
        struct rehearsal_plan plan;
        if (rehearsal->next_us <= now_us && parse_plan(rehearsal->plan, &plan, NULL))
            begin_rehearsal(failovers, rehearsal, &plan, now_us);
        first_us = MIN(first_us, rehearsal->next_us);
    }
    return first_us;
}

/* --- verbs ---------------------------------------------------------------------------------------
 */

/* The first one counted in days comes at the next such time of the day. */
gboolean failover_rehearse(struct failovers *failovers, const char *who, gint64 machine,
                           JsonObject *plan, GError **error)
{
    struct rehearsal_plan parsed;
    if (!parse_plan(plan, &parsed, error))
        return FALSE;
    gint64 now_us = state_now_us();
    struct rehearsal_plan first = parsed;
    first.interval_days = MIN(first.interval_days, 1);
    gint64 from_us = parsed.interval_days ? now_us - G_TIME_SPAN_DAY : now_us;
    const struct state_rehearsal rehearsal = {
        .machine = machine,
        .who = (char *)who,
        .plan = plan,
        .next_us = MAX(next_us(&first, scheduler_zone(failovers->scheduler), from_us), now_us),
    };
    if (!state_rehearsal_set(failovers->state, &rehearsal, error))
        return FALSE;
    failovers_look(failovers);
    return TRUE;
}

static JsonObject *last_json(struct failovers *failovers, gint64 id)
{
    struct state_failover *test = id ? state_failover_get(failovers->state, id, NULL) : NULL;
    if (!test)
        return NULL;
    JsonObject *last = json_object_new();
    json_object_set_int_member(last, "operation", test->id);
    json_set_optional_string(last, "verdict", test->verdict);
    json_set_time(last, "at", test->started_us);
    state_failover_free(test);
    return last;
}

JsonObject *failover_rehearsal(struct failovers *failovers, gint64 machine, GError **error)
{
    struct state_rehearsal *rehearsal = state_rehearsal_get(failovers->state, machine, error);
    if (!rehearsal)
        return NULL;
    JsonObject *object = json_object_new();
    JsonObject *last = last_json(failovers, rehearsal->failover);
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;
    json_object_iter_init(&iter, rehearsal->plan);
    while (json_object_iter_next(&iter, &name, &node))
        json_object_set_member(object, name, json_node_copy(node));
    json_object_set_int_member(object, "machine", machine);
    json_object_set_string_member(object, "who", rehearsal->who);
    json_set_time(object, "next_at", rehearsal->next_us);
    if (last)
        json_object_set_object_member(object, "last", last);
    state_rehearsal_free(rehearsal);
    return object;
}

gboolean failover_rehearse_no_more(struct failovers *failovers, const char *who, gint64 machine,
                                   GError **error)
{
    return state_rehearsal_remove(failovers->state, who, machine, error);
}
