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
};

int command_cycle(int argc, char **argv);
int command_store_list(int argc, char **argv);
int command_store_verify(int argc, char **argv);
int command_store_export(int argc, char **argv);

/* Of no use to people: in no list of commands. */
#define COMMAND_THAW_GUARD "thaw-guard"
int command_thaw_guard(int argc, char **argv);

/* Parses options into entries; what is left in argv are the command's arguments, from min to max of
 * them. parameters names them in --help; description (may be NULL) follows the options there. */
gboolean command_parse(int *argc, char ***argv, const GOptionEntry *entries, const char *parameters,
                       const char *description, int minimum, int maximum, GError **error);

/* Says what went wrong, with its hint: for people on standard error, as JSON on standard output
 * when as_json. Returns the exit code that fits. */
int command_failed(const GError *error, gboolean as_json);

/* Set once by SIGINT or SIGTERM. Signals are caught from the first call on. */
const gint *command_cancelled(void);

/* While pid is not 0, SIGINT and SIGTERM are passed on to it as SIGTERM. */
void command_forward_signals(int pid);
