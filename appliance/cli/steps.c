/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/steps.h"
#include "base/json.h"

#include <stdio.h>
#include <unistd.h>

struct steps {
    struct daemon *daemon; /* borrowed */
    char *path;            /* of the operation */
    guint printed;         /* steps */
    gboolean terminal;
    gboolean open; /* the running step stands on the current line */
};

struct steps *steps_new(struct daemon *daemon, JsonObject *job)
{
    g_autofree char *operation = listing_cell_text(job, "parameters.operation");
    if (!operation)
        return NULL;
    struct steps *steps = g_new0(struct steps, 1);
    steps->daemon = daemon;
    steps->path = daemon_path("/operations/", operation, "");
    steps->terminal = isatty(STDOUT_FILENO) == 1;
    return steps;
}

void steps_free(struct steps *steps)
{
    if (!steps)
        return;
    if (steps->open)
        printf("\n");
    g_free(steps->path);
    g_free(steps);
}

/* "12:00:01Z", as all times are told; owned by the caller. */
static char *clock_of(JsonObject *step)
{
    const char *text = listing_string(step, "started_at");
    g_autoptr(GDateTime) utc = text ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    return utc ? g_date_time_format(utc, "%H:%M:%SZ") : g_strdup("");
}

/* TRUE when the step has ended. */
static gboolean print_step(struct steps *steps, JsonObject *step)
{
    const char *state = listing_string(step, "state");
    gboolean runs = g_strcmp0(state, "running") == 0;
    g_autofree char *at = clock_of(step);
    g_autofree char *name = listing_cell_text(step, "step");
    g_autofree char *took = listing_cell_ms(step, "took_ms");
    g_autofree char *message = listing_cell_text(step, "message");
    if (runs && !steps->terminal)
        return FALSE;
    printf("%s  %9s  %-14s", steps->open ? "\r\033[K" : "", at, name ? name : "");
    steps->open = runs;
    if (!runs) {
        printf("  %8s", took ? took : "");
        if (g_strcmp0(state, "done") != 0)
            printf("  %s", state);
        if (message)
            printf("  %s", message);
        printf("\n");
    }
    fflush(stdout);
    return !runs;
}

static gboolean print_new(struct steps *steps, JsonObject *operation, GError **error)
{
    JsonArray *list = NULL;
    if (!json_member_array(operation, "steps", LANDFALL_ERROR_SOURCE, &list, error))
        return FALSE;
    for (; steps->printed < json_array_get_length(list); steps->printed++) {
        JsonObject *step;
        if (!json_element_object(list, steps->printed, "steps", LANDFALL_ERROR_SOURCE, &step,
                                 error))
            return FALSE;
        if (!print_step(steps, step))
            break;
    }
    return TRUE;
}

/* --- what has come of it ------------------------------------------------------------------------
 */

static const struct listing_column probe_columns[] = {
    {"verdict", "verdict", listing_cell_text, FALSE},
    {"probe", "check", listing_cell_text, FALSE},
    {"after", "ms", listing_cell_ms, TRUE},
    {"what", "message", listing_cell_problem, FALSE},
    {NULL},
};

static const struct listing_column operation_columns[] = {
    {"operation", "id", listing_cell_text, FALSE},
    {"kind", "kind", listing_cell_text, FALSE},
    {"machine", "machine_name", listing_cell_text, FALSE},
    {"target", "target", listing_cell_text, FALSE},
    {"name there", "domain_name", listing_cell_text, FALSE},
    {"state", "state", listing_cell_text, FALSE},
    {"verdict", "verdict", listing_cell_text, FALSE},
    {"recovery point", "recovery_point", listing_cell_text, FALSE},
    {"downtime", "downtime_ms", listing_cell_ms, FALSE},
    {"by", "who", listing_cell_text, FALSE},
    {"begins", "at", listing_cell_time, FALSE},
    {"started", "started_at", listing_cell_time, FALSE},
    {"ended", "ended_at", listing_cell_time, FALSE},
    {"decided in", "commit_at", listing_cell_until, FALSE},
    {"cleaned up in", "cleanup_at", listing_cell_until, FALSE},
    {"problem", "error", listing_cell_problem, FALSE},
    {"hint", "error.hint", listing_cell_text, FALSE},
    {"next", "next", listing_cell_text, FALSE},
    {NULL},
};

void steps_print_checks(JsonArray *checks)
{
    listing_print(checks, listing_check_columns);
}

static void print_probes(JsonObject *job)
{
    JsonNode *node = listing_node(job, "result.checks");
    JsonArray *probes = node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
    if (probes && json_array_get_length(probes) > 0)
        listing_print(probes, probe_columns);
}

/* "web runs on beta; it was down for 4.21 s" */
static void print_outcome(JsonObject *operation)
{
    g_autofree char *name = listing_cell_text(operation, "domain_name");
    g_autofree char *target = listing_cell_text(operation, "target");
    g_autofree char *down = listing_cell_ms(operation, "downtime_ms");
    g_autofree char *commit = listing_cell_until(operation, "commit_at");
    g_autofree char *cleanup = listing_cell_until(operation, "cleanup_at");
    g_autofree char *next = listing_cell_text(operation, "next");
    if (g_strcmp0(listing_string(operation, "state"), "live") == 0 && name && target) {
        printf("%s runs on %s%s%s\n", name, target, down ? "; it was down for " : "",
               down ? down : "");
        if (commit)
            printf("whether it stays there is decided in %s\n", commit);
        if (cleanup)
            printf("it is removed in %s\n", cleanup);
    }
    if (next)
        printf("next: %s\n", next);
}

/* --- following --------------------------------------------------------------------------------
 */

gboolean steps_update(struct steps *steps, GError **error)
{
    g_autoptr(JsonObject) operation =
        client_call(steps->daemon->client, "GET", steps->path, NULL, error);
    return operation && print_new(steps, operation, error);
}

gboolean steps_finish(struct steps *steps, JsonObject *job, GError **error)
{
    g_autoptr(JsonObject) operation =
        client_call(steps->daemon->client, "GET", steps->path, NULL, error);
    if (!operation || !print_new(steps, operation, error))
        return FALSE;
    if (g_strcmp0(listing_string(job, "state"), "done") != 0)
        return TRUE;
    print_probes(job);
    print_outcome(operation);
    return TRUE;
}

gboolean steps_print_all(JsonObject *operation, GError **error)
{
    struct steps steps = {.terminal = FALSE};
    listing_print_one(operation, operation_columns);
    return print_new(&steps, operation, error);
}
