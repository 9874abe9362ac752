/* SPDX-License-Identifier: Apache-2.0 */

/* landfall alert list and landfall audit list: what somebody should know, and who did what. */

#include "appliance/cli/command.h"
#include "appliance/cli/daemon-command.h"

static const struct listing_column alert_columns[] = {
    {"severity", "severity", listing_cell_text, FALSE},
    {"kind", "kind", listing_cell_text, FALSE},
    {"object", "object", listing_cell_text, FALSE},
    {"since", "raised_at", listing_cell_time, FALSE},
    {"state", "state", listing_cell_text, FALSE},
    {"message", "message", listing_cell_text, FALSE},
    {"hint", "hint", listing_cell_text, FALSE},
    {"could not be told", "notify_error", listing_cell_problem, FALSE},
    {NULL},
};

static const struct listing_column audit_columns[] = {
    {"time", "at", listing_cell_time, FALSE},       {"who", "who", listing_cell_text, FALSE},
    {"action", "action", listing_cell_text, FALSE}, {"object", "object", listing_cell_text, FALSE},
    {"detail", "detail", listing_cell_text, FALSE}, {NULL},
};

static gboolean list_alerts(struct daemon *daemon, GError **error)
{
    return daemon_list(daemon, "/alerts", alert_columns, error);
}

int command_alert_list(int argc, char **argv)
{
    return daemon_command_run(
        argc, argv,
        &(struct daemon_command){.parameters = "- list the alerts", .work = list_alerts});
}

static gboolean list_audit(struct daemon *daemon, GError **error)
{
    const int *limit = daemon->options;
    const struct daemon_newest newest = {.path = "/audit", .limit = *limit};
    return daemon_list_newest(daemon, &newest, audit_columns, error);
}

int command_audit_list(int argc, char **argv)
{
    int limit = 0;
    const GOptionEntry entries[] = {
        {"limit", 0, 0, G_OPTION_ARG_INT, &limit, "The newest N (default 50)", "N"},
        G_OPTION_ENTRY_NULL,
    };
    return daemon_command_run(argc, argv,
                              &(struct daemon_command){
                                  .entries = entries,
                                  .options = &limit,
                                  .parameters = "- list who changed what, the newest first",
                                  .work = list_audit,
                              });
}
