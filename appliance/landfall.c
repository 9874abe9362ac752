/* SPDX-License-Identifier: Apache-2.0 */

/* landfall: the command line. Documented in landfall(1). */

#include "appliance/cli/command.h"
#include "appliance/cli/connection.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"host add", "Add a libvirt host", command_host_add, TRUE},
    {"host change", "Change how a host is reached", command_host_change, TRUE},
    {"host list", "List the hosts", command_host_list, TRUE},
    {"host show", "Show what is known of a host", command_host_show, TRUE},
    {"host refresh", "Look at a host now", command_host_refresh, TRUE},
    {"host remove", "Forget a host", command_host_remove, TRUE},
    {"store add", "Let the daemon keep replicas in a folder", command_store_add, TRUE},
    {"store remove", "Forget a store, and leave its folder alone", command_store_remove, TRUE},
    {"machine list", "List the machines of all hosts, and how far behind they are",
     command_machine_list, TRUE},
    {"machine show", "Show a machine and its replication", command_machine_show, TRUE},
    {"machine readiness", "Tell whether a machine can be replicated", command_machine_readiness,
     TRUE},
    {"replicate", "Replicate a machine from now on", command_replicate, TRUE},
    {"settings", "Change how a machine is replicated", command_settings, TRUE},
    {"sync", "Run a cycle of a machine now", command_sync, TRUE},
    {"pause", "Begin no more cycles of a machine", command_pause, TRUE},
    {"resume", "Go on after a pause", command_resume, TRUE},
    {"stop", "End the replication of a machine", command_stop, TRUE},
    {"recovery-point list", "List the recovery points of a machine", command_recovery_point_list,
     TRUE},
    {"verify", "Prove a recovery point of a machine", command_verify, TRUE},
    {"target set", "Say how machines are moved to a host", command_target_set, TRUE},
    {"target list", "List the hosts that machines may be moved to", command_target_list, TRUE},
    {"target show", "Show how machines are moved to a host", command_target_show, TRUE},
    {"target remove", "Move no machine to a host any more", command_target_remove, TRUE},
    {"test-migrate", "Start a copy of a machine, isolated, and see whether it works",
     command_test_migrate, TRUE},
    {"test-cleanup", "Remove the tests of a machine", command_test_cleanup, TRUE},
    {"test list", "List the tests of a machine", command_test_list, TRUE},
    {"rehearsal set", "Test a machine by itself, regularly", command_rehearsal_set, TRUE},
    {"rehearsal show", "Show when a machine is tested by itself", command_rehearsal_show, TRUE},
    {"rehearsal remove", "Test a machine by itself no more", command_rehearsal_remove, TRUE},
    {"migrate", "Move a machine to another host", command_migrate, TRUE},
    {"confirm", "Say that a machine works where it has moved to", command_confirm, TRUE},
    {"rollback", "Take a move back", command_rollback, TRUE},
    {"complete", "End a move for good", command_complete, TRUE},
    {"reverse", "Replicate a machine from where it has moved to", command_reverse, TRUE},
    {"report", "Tell how a move or a test went", command_report, TRUE},
    {"operation list", "List tests and moves, the newest first", command_operation_list, TRUE},
    {"operation show", "Show a test or a move, step by step", command_operation_show, TRUE},
    {"job list", "List jobs, the newest first", command_job_list, TRUE},
    {"job show", "Show a job", command_job_show, TRUE},
    {"job follow", "Show the progress of a job until it ends", command_job_follow, TRUE},
    {"job cancel", "End a job", command_job_cancel, TRUE},
    {"alert list", "List the alerts", command_alert_list, TRUE},
    {"audit list", "List who changed what", command_audit_list, TRUE},
    {"account add", "Add an account with a password", command_account_add, TRUE},
    {"account list", "List the accounts", command_account_list, TRUE},
    {"account password", "Give an account another password", command_account_password, TRUE},
    {"account remove", "Remove an account", command_account_remove, TRUE},
    {"token add", "Make a token for a program or another machine", command_token_add, TRUE},
    {"token list", "List the tokens", command_token_list, TRUE},
    {"token remove", "Remove a token", command_token_remove, TRUE},
    {"setting list", "List the daemon's settings", command_setting_list, TRUE},
    {"setting set", "Change a setting of the daemon", command_setting_set, TRUE},
    {"cycle", "Replicate a machine once: snapshot, delta, commit", command_cycle, FALSE},
    {"store list",
     "List a store's machines or recovery points; without a folder, the daemon's stores",
     command_store_list, FALSE},
    {"store verify", "Prove a recovery point against its root hashes", command_store_verify, FALSE},
    {"store export", "Write a disk of a recovery point as an image file", command_store_export,
     FALSE},
};

static void print_group(FILE *to, gboolean daemon)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        if (commands[i].daemon == daemon)
            fprintf(to, "  %-19s  %s\n", commands[i].words, commands[i].summary);
}

static void print_help(FILE *to)
{
    fprintf(to, "Usage: landfall [--socket PATH | --url URL] COMMAND [OPTION…] [ARGUMENT…]\n\n"
                "On a daemon:\n");
    print_group(to, TRUE);
    fprintf(to, "\nOn a store, without a daemon:\n");
    print_group(to, FALSE);
    fprintf(to, "\nlandfall COMMAND --help shows the options of a command; landfall --version the "
                "version.\n");
}

/* The number of leading arguments that are the command's words, 0 when it is another command. */
static int match(const struct command *command, int argc, char **argv)
{
    g_auto(GStrv) words = g_strsplit(command->words, " ", -1);
    int n = (int)g_strv_length(words);
    if (argc - 1 < n)
        return 0;
    for (int i = 0; i < n; i++)
        if (strcmp(words[i], argv[i + 1]) != 0)
            return 0;
    return n;
}

/* Says what is wrong with argv[1]: a group such as "store" without its second word gets the list of
 * what could follow. */
static void report_unknown(int argc, char **argv)
{
    g_autofree char *group = g_strconcat(argv[1], " ", NULL);
    g_autoptr(GString) following = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        if (g_str_has_prefix(commands[i].words, group))
            g_string_append_printf(following, "%s%s", following->len ? ", " : "",
                                   commands[i].words + strlen(group));
    if (following->len > 0 && argc == 2)
        fprintf(stderr, "landfall %s: which of these: %s?\n", argv[1], following->str);
    else if (following->len > 0)
        fprintf(stderr, "landfall: there is no command '%s %s', only %s\n", argv[1], argv[2],
                following->str);
    else
        fprintf(stderr, "landfall: there is no command '%s'\n", argv[1]);
    fprintf(stderr, "hint: landfall --help lists the commands\n");
}

static gboolean is_group(const char *word)
{
    g_autofree char *group = g_strconcat(word, " ", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        if (g_str_has_prefix(commands[i].words, group))
            return TRUE;
    return FALSE;
}

static gboolean is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* What stands before the command says which daemon; what it does not know, it leaves. */
static gboolean parse_leading(int *argc, char ***argv, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    if (*argc < 2 || is_help((*argv)[1]) || strcmp((*argv)[1], "--version") == 0)
        return TRUE;
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_strict_posix(context, TRUE);
    g_option_context_add_group(context, connection_options());
    return g_option_context_parse(context, argc, argv, error);
}

static int run_command(int argc, char **argv)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        int words = match(&commands[i], argc, argv);
        if (words == 0)
            continue;
        g_autofree char *name = g_strconcat("landfall ", commands[i].words, NULL);
        argv[words] = name;
        return commands[i].run(argc - words, argv + words);
    }
    if (argc > 1)
        report_unknown(argc, argv);
    else
        print_help(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    /* The terminal's character set and nothing else: numbers and messages stay what scripts know.
     */
    setlocale(LC_CTYPE, "");
    g_set_prgname("landfall");
    if (!parse_leading(&argc, &argv, &error))
        return command_failed(error, FALSE);
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("landfall %s\n", LANDFALL_VERSION);
        return EXIT_OK;
    }
    if (argc > 1 && (is_help(argv[1]) || (argc == 3 && is_group(argv[1]) && is_help(argv[2])))) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (argc > 1 && strcmp(argv[1], COMMAND_THAW_GUARD) == 0)
        return command_thaw_guard(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], COMMAND_FORGET) == 0)
        return command_forget(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], COMMAND_FAILOVER_STEP) == 0)
        return command_failover_step(argc - 1, argv + 1);
    return run_command(argc, argv);
}
