/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The commands of landfall: each has a name of one or two words, a summary, and a function that
 * parses its own options. */

#include <glib.h>

#define EXIT_OK 0
#define EXIT_FAILED 1 /* the work failed */
#define EXIT_USAGE 2  /* what was asked for is wrong */

struct command {
    const char *words;   /* "store list" */
    const char *summary; /* one line for --help */

    /* argv[0] is the command's words; the exit code. */
    int (*run)(int argc, char **argv);
    gboolean daemon; /* it asks a daemon */
};

/* On a daemon. */
int command_host_add(int argc, char **argv);
int command_host_change(int argc, char **argv);
int command_host_list(int argc, char **argv);
int command_host_show(int argc, char **argv);
int command_host_refresh(int argc, char **argv);
int command_host_remove(int argc, char **argv);
int command_store_add(int argc, char **argv);
int command_store_remove(int argc, char **argv);
int command_machine_list(int argc, char **argv);
int command_machine_show(int argc, char **argv);
int command_machine_readiness(int argc, char **argv);
int command_replicate(int argc, char **argv);
int command_settings(int argc, char **argv);
int command_sync(int argc, char **argv);
int command_pause(int argc, char **argv);
int command_resume(int argc, char **argv);
int command_stop(int argc, char **argv);
int command_recovery_point_list(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_target_set(int argc, char **argv);
int command_target_list(int argc, char **argv);
int command_target_show(int argc, char **argv);
int command_target_remove(int argc, char **argv);
int command_test_migrate(int argc, char **argv);
int command_test_cleanup(int argc, char **argv);
int command_test_list(int argc, char **argv);
int command_rehearsal_set(int argc, char **argv);
int command_rehearsal_show(int argc, char **argv);
int command_rehearsal_remove(int argc, char **argv);
int command_migrate(int argc, char **argv);
int command_confirm(int argc, char **argv);
int command_rollback(int argc, char **argv);
int command_complete(int argc, char **argv);
int command_reverse(int argc, char **argv);
int command_report(int argc, char **argv);
int command_operation_list(int argc, char **argv);
int command_operation_show(int argc, char **argv);
int command_job_list(int argc, char **argv);
int command_job_show(int argc, char **argv);
int command_job_follow(int argc, char **argv);
int command_job_cancel(int argc, char **argv);
int command_alert_list(int argc, char **argv);
int command_audit_list(int argc, char **argv);
int command_account_add(int argc, char **argv);
int command_account_list(int argc, char **argv);
int command_account_password(int argc, char **argv);
int command_account_remove(int argc, char **argv);
int command_token_add(int argc, char **argv);
int command_token_list(int argc, char **argv);
int command_token_remove(int argc, char **argv);
int command_setting_list(int argc, char **argv);
int command_setting_set(int argc, char **argv);

/* On a store, without one; the list without a folder is that of the daemon. */
int command_cycle(int argc, char **argv);
int command_store_list(int argc, char **argv);
int command_store_verify(int argc, char **argv);
int command_store_export(int argc, char **argv);

/* Of no use to people: in no list of commands. */
#define COMMAND_THAW_GUARD "thaw-guard"
int command_thaw_guard(int argc, char **argv);
#define COMMAND_FORGET "forget"
int command_forget(int argc, char **argv);
#define COMMAND_FAILOVER_STEP "failover-step"
int command_failover_step(int argc, char **argv);

/* Parses options into entries, and into group (taken; may be NULL), which has a help of its own;
 * what is left in argv are the command's arguments, from minimum to maximum of them. parameters
 * names them in --help. */
gboolean command_parse(int *argc, char ***argv, const GOptionEntry *entries, GOptionGroup *group,
                       const char *parameters, int minimum, int maximum, GError **error);

/* Frees the texts that were parsed to where entries (may be NULL) point. */
void command_clear(const GOptionEntry *entries);

/* Says what went wrong, with its hint: for people on standard error, as JSON on standard output
 * when as_json. Returns the exit code that fits. */
int command_failed(const GError *error, gboolean as_json);

/* Set once by SIGINT or SIGTERM. Signals are caught from the first call on. */
const gint *command_cancelled(void);

/* While pid is not 0, SIGINT and SIGTERM are passed on to it as SIGTERM. */
void command_forward_signals(int pid);
