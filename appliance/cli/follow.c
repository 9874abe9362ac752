/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/follow.h"
#include "appliance/cli/command.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/steps.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

/* While one job is followed. */
struct follower {
    struct daemon *daemon;
    const char *job;
    char *path; /* of the job */
    struct progress *progress;
    struct steps *steps; /* of an operation; or NULL */
    gboolean quiet;      /* nothing but the end counts */
    gboolean introduced;
    char *step;       /* that was shown last */
    gboolean dropped; /* by a daemon that had more to say than was read */
    JsonObject *last; /* the job once it has ended */
    GError *error;    /* asking for it failed */
};

static gboolean has_ended(JsonObject *job)
{
    const char *state = listing_string(job, "state");
    return state && strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

static void introduce(struct follower *follower, JsonObject *job)
{
    gboolean waits = g_strcmp0(listing_string(job, "state"), "queued") == 0;
    g_autofree char *machine = listing_cell_text(job, "machine_name");
    printf("job %s: %s of %s%s\n", follower->job, listing_string(job, "kind"),
           machine ? machine : "a machine", waits ? ", waits for its turn" : "");
    fflush(stdout);
    follower->introduced = TRUE;
    follower->steps = steps_new(follower->daemon, job);
}

/* A step that is new ends the bar of the one before. */
static gboolean show_steps(struct follower *follower, const char *step)
{
    if (!follower->steps || (step && g_strcmp0(step, follower->step) == 0))
        return TRUE;
    g_free(follower->step);
    follower->step = g_strdup(step);
    progress_finish(follower->progress);
    return steps_update(follower->steps, &follower->error);
}

/* First what it is; then its steps, and while it counts bytes, a bar. */
static gboolean show_progress(struct follower *follower, JsonObject *job)
{
    const char *step = listing_string(job, "step");
    gint64 total = listing_int(job, "total_bytes");
    if (follower->daemon->as_json || follower->quiet || has_ended(job))
        return TRUE;
    if (!follower->introduced)
        introduce(follower, job);
    if (!show_steps(follower, step))
        return FALSE;
    if (total > 0)
        progress_update(follower->progress, step ? step : "working",
                        (guint64)listing_int(job, "done_bytes"), (guint64)total);
    return TRUE;
}

/* Asks for the job as it is now; FALSE when there is nothing more to wait for. */
static gboolean look(struct follower *follower)
{
    g_autoptr(JsonObject) job =
        client_call(follower->daemon->client, "GET", follower->path, NULL, &follower->error);
    if (!job)
        return FALSE;
    if (!show_progress(follower, job))
        return FALSE;
    if (!has_ended(job))
        return TRUE;
    follower->last = g_steal_pointer(&job);
    return FALSE;
}

static gboolean on_open(void *data)
{
    return look(data);
}

static gboolean on_event(void *data, const char *topic, JsonObject *event)
{
    struct follower *follower = data;
    g_autofree char *id = listing_cell_text(event, "id");
    follower->dropped = g_strcmp0(topic, "dropped") == 0;
    if (follower->dropped)
        return FALSE;
    if (g_strcmp0(id, follower->job) != 0)
        return TRUE;
    if (follower->daemon->as_json && !follower->quiet) {
        g_autofree char *line = json_object_to_text(event, FALSE);
        printf("%s\n", line);
        fflush(stdout);
    }
    return show_progress(follower, event) && (!has_ended(event) || look(follower));
}

static gboolean go_on(void *data)
{
    (void)data;
    return !g_atomic_int_get(command_cancelled());
}

/* --- the end ------------------------------------------------------------------------------------
 */

static const struct listing_column proof_columns[] = {
    {"disk", "name", listing_cell_text, FALSE},
    {"proven", "proven", listing_cell_text, FALSE},
    {"read", "read_bytes", listing_cell_bytes, TRUE},
    {"root hash", "root_hash", listing_cell_text, FALSE},
    {NULL},
};

static const struct listing_column disk_columns[] = {
    {"disk", "name", listing_cell_text, FALSE},
    {"mode", "mode", listing_cell_text, FALSE},
    {"candidates", "candidate_bytes", listing_cell_bytes, TRUE},
    {"read", "read_bytes", listing_cell_bytes, TRUE},
    {"sent", "sent_bytes", listing_cell_bytes, TRUE},
    {"demotion", "demotion_cause", listing_cell_text, FALSE},
    {"root hash", "root_hash", listing_cell_text, FALSE},
    {NULL},
};

static void print_result(const struct follower *follower)
{
    JsonNode *disks = listing_node(follower->last, "result.disks");
    g_autofree char *number = listing_cell_text(follower->last, "result.number");
    g_autofree char *took = listing_cell_ms(follower->last, "took_ms");
    gboolean proof = g_strcmp0(listing_string(follower->last, "kind"), "verify") == 0;
    if (disks && JSON_NODE_HOLDS_ARRAY(disks))
        listing_print(json_node_get_array(disks), proof ? proof_columns : disk_columns);
    printf("job %s is done", follower->job);
    if (number)
        printf(": recovery point %s", number);
    if (took)
        printf(", in %s", took);
    printf("\n");
}

gboolean follow_warnings(struct daemon *daemon, const char *job, GError **error)
{
    JsonArray *items = NULL;
    g_autofree char *path = daemon_path("/jobs/", job, "/events");
    g_autoptr(JsonObject) answer = client_call(daemon->client, "GET", path, NULL, error);
    if (!answer || !json_member_array(answer, "items", LANDFALL_ERROR_SOURCE, &items, error))
        return FALSE;
    for (guint i = 0; i < json_array_get_length(items); i++) {
        JsonObject *event;
        if (!json_element_object(items, i, "items", LANDFALL_ERROR_SOURCE, &event, error))
            return FALSE;
        if (g_strcmp0(listing_string(event, "event"), "warning") != 0)
            continue;
        g_autofree char *disk = listing_cell_text(event, "disk");
        g_autofree char *message = listing_cell_text(event, "message");
        fprintf(stderr, "warning: %s%s%s\n", disk ? disk : "", disk ? ": " : "",
                message ? message : "");
    }
    return TRUE;
}

/* TRUE when it is done; else its error. */
static gboolean judge(const struct follower *follower, GError **error)
{
    const char *state = listing_string(follower->last, "state");
    const char *code = listing_string(follower->last, "error.code");
    const char *message = listing_string(follower->last, "error.message");
    if (g_strcmp0(state, "done") == 0)
        return TRUE;
    if (g_strcmp0(state, "cancelled") == 0)
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "job %s was cancelled",
                           follower->job);
    else
        landfall_error_set(error, landfall_error_code_from_name(code),
                           listing_string(follower->last, "error.hint"), "job %s: %s",
                           follower->job, message ? message : state);
    return FALSE;
}

/* What there is to say of a job that has ended, but for its error. */
static gboolean print_end(struct follower *follower, GError **error)
{
    gboolean done = g_strcmp0(listing_string(follower->last, "state"), "done") == 0;
    if (follower->daemon->as_json) {
        g_autofree char *line = json_object_to_text(follower->last, FALSE);
        printf("%s\n", line);
        return TRUE;
    }
    if (!follower->steps)
        follower->steps = steps_new(follower->daemon, follower->last);
    gboolean ok = (!follower->steps || steps_finish(follower->steps, follower->last, error)) &&
                  follow_warnings(follower->daemon, follower->job, error);
    if (ok && done)
        print_result(follower);
    return ok;
}

static gboolean left_alone(const struct follower *follower, GError **error)
{
    g_autofree char *hint = g_strdup_printf("landfall job follow %s shows it again, landfall job "
                                            "cancel %s ends it",
                                            follower->job, follower->job);
    landfall_error_set(error, LANDFALL_ERROR_CANCELLED, hint, "job %s goes on by itself",
                       follower->job);
    return FALSE;
}

/* Until the job has ended: then follower->last is that. */
static gboolean wait_for_end(struct follower *follower, GError **error)
{
    const struct client_observer observer = {follower, on_open, on_event, go_on};
    g_autoptr(GError) lost = NULL;
    gboolean ok;
    follower->path = daemon_path("/jobs/", follower->job, "");
    follower->progress = progress_new(follower->daemon->as_json);
    do {
        follower->dropped = FALSE;
        ok = client_follow(follower->daemon->client, "/events?topics=job", &observer, &lost);
    } while (follower->dropped);
    progress_finish(follower->progress);
    if (follower->error)
        g_propagate_error(error, g_steal_pointer(&follower->error));
    else if (!follower->last && (ok || g_atomic_int_get(command_cancelled())))
        left_alone(follower, error);
    else if (!follower->last)
        g_propagate_prefixed_error(error, g_steal_pointer(&lost),
                                   "job %s is not followed any more: ", follower->job);
    return follower->last != NULL;
}

static void follower_clear(struct follower *follower)
{
    progress_free(follower->progress);
    steps_free(follower->steps);
    g_free(follower->path);
    g_free(follower->step);
    g_clear_pointer(&follower->last, json_object_unref);
}

gboolean follow_job(struct daemon *daemon, const char *job, GError **error)
{
    struct follower follower = {.daemon = daemon, .job = job};
    gboolean ok =
        wait_for_end(&follower, error) && print_end(&follower, error) && judge(&follower, error);
    follower_clear(&follower);
    return ok;
}

JsonObject *follow_result(struct daemon *daemon, const char *job, GError **error)
{
    struct follower follower = {.daemon = daemon, .job = job, .quiet = TRUE};
    JsonObject *result = NULL;
    if (wait_for_end(&follower, error) && judge(&follower, error)) {
        JsonNode *node = listing_node(follower.last, "result");
        result = node && JSON_NODE_HOLDS_OBJECT(node) ? json_object_ref(json_node_get_object(node))
                                                      : json_object_new();
    }
    follower_clear(&follower);
    return result;
}

gboolean follow_started(struct daemon *daemon, JsonObject *answer, gboolean follow,
                        const char *what, GError **error)
{
    g_autofree char *job = listing_cell_text(answer, "job");
    if (follow && job)
        return follow_job(daemon, job, error);
    if (daemon_printed(daemon, answer))
        return TRUE;
    if (job)
        printf("%s is job %s; landfall job follow %s shows its progress\n", what, job, job);
    else
        printf("%s begins as soon as it is its turn; landfall job list shows when\n", what);
    return TRUE;
}
