/* SPDX-License-Identifier: Apache-2.0 */

/* Targets that were abandoned: a machine that turns up again on one of them has a twin where it
 * came from. The journals know what was left where; the inventory knows what is there. */

#include "appliance/failover/failover-private.h"
#include "base/json.h"

#include <string.h>

#define LOOK_S 5u
#define KIND "abandoned-target"

/* What a way back has left on a host. */
struct abandoned {
    gint64 operation, machine;
    gint64 since_us;
    char *host;
    char *uuid;
    gboolean home; /* there the machine was before: its definition has a right to be there */
    char *commands;
};

static void abandoned_free(struct abandoned *abandoned)
{
    g_free(abandoned->host);
    g_free(abandoned->uuid);
    g_free(abandoned->commands);
    g_free(abandoned);
}

static char *commands_of(JsonObject *fact)
{
    JsonArray *left = json_find_array(fact, "left");
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; left && i < json_array_get_length(left); i++)
        g_string_append_printf(text, "%s%s", i ? "; " : "",
                               json_find_string(json_array_get_object_element(left, i), "command"));
    return g_strdup(text->str);
}

/* Nothing of it is there if the move had not come so far. */
static gboolean add(struct failovers *failovers, const struct state_failover *rollback,
                    GError **error)
{
    g_autoptr(JsonObject) facts = state_failover_facts(failovers->state, rollback, error);
    JsonObject *fact = facts ? json_find_object(facts, "abandon") : NULL;
    const char *uuid = fact ? json_find_string(fact, "uuid") : NULL;
    if (!uuid)
        return facts != NULL;
    struct abandoned *abandoned = g_new0(struct abandoned, 1);
    abandoned->operation = rollback->id;
    abandoned->machine = rollback->machine;
    abandoned->since_us = rollback->started_us;
    abandoned->host = g_strdup(json_find_string(fact, "host"));
    abandoned->uuid = g_strdup(uuid);
    abandoned->home = json_find_boolean(fact, "home");
    abandoned->commands = commands_of(fact);
    g_ptr_array_add(failovers->abandoned, abandoned);
    return TRUE;
}

/* --- what is there -------------------------------------------------------------------------------
 */

/* A later move to that host has a right to a machine there. */
static gboolean is_settled(struct failovers *failovers, const struct abandoned *abandoned)
{
    const struct state_failover_filter filter = {
        .machine = abandoned->machine, .kind = STATE_FAILOVER_MIGRATE, .limit = 1};
    g_autoptr(GPtrArray) moves = state_failover_list(failovers->state, &filter, NULL);
    const struct state_failover *last = moves && moves->len > 0 ? moves->pdata[0] : NULL;
    return last && last->id > abandoned->operation && g_strcmp0(last->target, abandoned->host) == 0;
}

/* The machine, if it was seen there since then; owned by the caller. */
static char *power_there(struct failovers *failovers, const struct abandoned *abandoned)
{
    g_autoptr(GPtrArray) machines =
        state_machine_list(failovers->state, abandoned->host, abandoned->uuid, NULL);
    const struct state_machine *machine = machines && machines->len > 0 ? machines->pdata[0] : NULL;
    gboolean seen = machine && !machine->gone_us && machine->seen_us > abandoned->since_us;
    return seen ? g_strdup(machine->power) : NULL;
}

static void look_at(struct failovers *failovers, const struct abandoned *abandoned,
                    gboolean settled)
{
    struct state_machine *machine = state_machine_get(failovers->state, abandoned->machine, NULL);
    g_autofree char *power = settled ? NULL : power_there(failovers, abandoned);
    gboolean off = g_strcmp0(power, "off") == 0;
    g_autofree char *hint = g_strdup_printf("on host %s: %s", abandoned->host, abandoned->commands);
    g_autofree char *message = g_strdup_printf(
        "what machine %s was on host %s is there again, and is %s: that host was abandoned by "
        "operation %" G_GINT64_FORMAT ", and the machine runs where it came from",
        machine ? machine->name : "?", abandoned->host, off ? "off, but may be started" : "not off",
        abandoned->operation);
    gboolean wrong = power && !(off && abandoned->home);
    alerting_machine(scheduler_alerting(failovers->scheduler), KIND, abandoned->machine,
                     wrong ? message : NULL, hint);
    state_machine_free(machine);
}

static gboolean on_look(gpointer data)
{
    struct failovers *failovers = data;
    for (guint i = failovers->abandoned->len; i-- > 0;) {
        const struct abandoned *abandoned = failovers->abandoned->pdata[i];
        gboolean settled = is_settled(failovers, abandoned);
        look_at(failovers, abandoned, settled);
        if (settled)
            g_ptr_array_remove_index(failovers->abandoned, i);
    }
    failovers->abandoned_timer =
        failovers->abandoned->len > 0 ? g_timeout_add_seconds(LOOK_S, on_look, failovers) : 0;
    return G_SOURCE_REMOVE;
}

static void watch(struct failovers *failovers)
{
    if (failovers->abandoned->len > 0 && !failovers->abandoned_timer)
        failovers->abandoned_timer = g_timeout_add_seconds(LOOK_S, on_look, failovers);
}

/* --- which ---------------------------------------------------------------------------------------
 */

void abandoned_note(struct failovers *failovers, const struct state_failover *rollback)
{
    g_autoptr(GError) error = NULL;
    if (!option_boolean(rollback, "abandon_target", FALSE))
        return;
    if (!add(failovers, rollback, &error))
        g_critical("cannot watch a target that was abandoned: %s", error->message);
    watch(failovers);
}

gboolean abandoned_begin(struct failovers *failovers, GError **error)
{
    const struct state_failover_filter filter = {.kind = STATE_FAILOVER_ROLLBACK};
    g_autoptr(GPtrArray) rollbacks = state_failover_list(failovers->state, &filter, error);
    failovers->abandoned = g_ptr_array_new_with_free_func((GDestroyNotify)abandoned_free);
    for (guint i = 0; rollbacks && i < rollbacks->len; i++) {
        const struct state_failover *rollback = rollbacks->pdata[i];
        if (rollback->state == FAILOVER_DONE && option_boolean(rollback, "abandon_target", FALSE) &&
            !add(failovers, rollback, error))
            return FALSE;
    }
    watch(failovers);
    return rollbacks != NULL;
}

void abandoned_end(struct failovers *failovers)
{
    g_clear_handle_id(&failovers->abandoned_timer, g_source_remove);
    g_clear_pointer(&failovers->abandoned, g_ptr_array_unref);
}
