/* SPDX-License-Identifier: Apache-2.0 */

/* landfall job …: what the daemon does, has done, and is going to do. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"
#include "appliance/cli/follow.h"

#include <stdio.h>
#include <string.h>

/* What a job was doing when it ended is of no use in a list. */
static gboolean runs(JsonObject *row)
{
    return g_strcmp0(listing_string(row, "state"), "running") == 0;
}

static char *cell_step(JsonObject *row, const char *path)
{
    return runs(row) ? listing_cell_text(row, path) : NULL;
}

static char *cell_rate(JsonObject *row, const char *path)
{
    return runs(row) ? listing_cell_rate(row, path) : NULL;
}

static char *cell_percent(JsonObject *row, const char *path)
{
    gint64 total = listing_int(row, "total_bytes");
    if (total <= 0 || !runs(row))
        return NULL;
    return g_strdup_printf("%d %%", (int)((double)listing_int(row, path) * 100 / (double)total));
}

static const struct listing_column job_columns[] = {
    {"id", "id", listing_cell_text, TRUE},
    {"kind", "kind", listing_cell_text, FALSE},
    {"machine", "machine_name", listing_cell_text, FALSE},
    {"state", "state", listing_cell_text, FALSE},
    {"step", "step", cell_step, FALSE},
    {"progress", "done_bytes", cell_percent, TRUE},
    {"rate", "rate", cell_rate, TRUE},
    {"left", "left_s", listing_cell_seconds, TRUE},
    {"started", "started_at", listing_cell_time, FALSE},
    {"took", "took_ms", listing_cell_ms, TRUE},
    {"error", "error", listing_cell_problem, FALSE},
    {NULL},
};

static const struct listing_column job_details[] = {
    {"job", "id", listing_cell_text, FALSE},
    {"kind", "kind", listing_cell_text, FALSE},
    {"machine", "machine_name", listing_cell_text, FALSE},
    {"state", "state", listing_cell_text, FALSE},
    {"step", "step", cell_step, FALSE},
    {"progress", "done_bytes", cell_percent, FALSE},
    {"done", "done_bytes", listing_cell_bytes, FALSE},
    {"of", "total_bytes", listing_cell_bytes, FALSE},
    {"rate", "rate", cell_rate, FALSE},
    {"left", "left_s", listing_cell_seconds, FALSE},
    {"by", "who", listing_cell_text, FALSE},
    {"attempt", "attempt", listing_cell_text, FALSE},
    {"queued", "queued_at", listing_cell_time, FALSE},
    {"started", "started_at", listing_cell_time, FALSE},
    {"ended", "ended_at", listing_cell_time, FALSE},
    {"took", "took_ms", listing_cell_ms, FALSE},
    {"recovery point", "result.number", listing_cell_text, FALSE},
    {"error", "error", listing_cell_problem, FALSE},
    {"hint", "error.hint", listing_cell_text, FALSE},
    {NULL},
};

struct job_options {
    char *machine;
    char *state;
    int limit;
};

static gboolean list(struct daemon *daemon, GError **error)
{
    const struct job_options *options = daemon->options;
    const struct daemon_newest newest = {
        .path = "/jobs",
        .machine = options->machine,
        .parameter = "state",
        .value = options->state,
        .limit = options->limit,
    };
    return daemon_list_newest(daemon, &newest, job_columns, error);
}

int command_job_list(int argc, char **argv)
{
    struct job_options options = {NULL};
    const GOptionEntry entries[] = {
        {"machine", 0, 0, G_OPTION_ARG_STRING, &options.machine, "Only those of this machine",
         "MACHINE"},
        {"state", 0, 0, G_OPTION_ARG_STRING, &options.state,
         "Only those that are queued, running, done, failed or cancelled", "STATE"},
        {"limit", 0, 0, G_OPTION_ARG_INT, &options.limit, "The newest N (default 50)", "N"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .entries = entries,
                                  .parameters = "- list jobs, the newest first",
                                  .options = &options,
                                  .work = list,
                              });
}

static char *job_path(struct daemon *daemon, const char *after, GError **error)
{
    if (!daemon_check_number(daemon->arguments[0], "a job", error))
        return NULL;
    return daemon_path("/jobs/", daemon->arguments[0], after);
}

static gboolean show(struct daemon *daemon, GError **error)
{
    g_autofree char *path = job_path(daemon, "", error);
    return path && daemon_show(daemon, path, job_details, error) &&
           (daemon->as_json || follow_warnings(daemon, daemon->arguments[0], error));
}

int command_job_show(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "JOB - show a job", NULL, NULL, show);
}

static gboolean follow(struct daemon *daemon, GError **error)
{
    return daemon_check_number(daemon->arguments[0], "a job", error) &&
           follow_job(daemon, daemon->arguments[0], error);
}

int command_job_follow(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "JOB - show the progress of a job until it ends", NULL,
                                 NULL, follow);
}

static gboolean cancel(struct daemon *daemon, GError **error)
{
    g_autofree char *path = job_path(daemon, "/cancel", error);
    g_autoptr(JsonObject) answer =
        path ? client_call(daemon->client, "POST", path, NULL, error) : NULL;
    if (answer && !daemon_printed(daemon, answer))
        printf("job %s is being cancelled\n", daemon->arguments[0]);
    return answer != NULL;
}

int command_job_cancel(int argc, char **argv)
{
    return daemon_command_on_one(argc, argv, "JOB - end a job", NULL, NULL, cancel);
}
