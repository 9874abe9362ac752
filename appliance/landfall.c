/* SPDX-License-Identifier: Apache-2.0 */

/* landfall: the command line. Documented in landfall(1). */

#include "appliance/cli/command.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"cycle", "Replicate a machine once: snapshot, delta, commit", command_cycle},
    {"store list", "List the machines of a store, or the recovery points of one",
     command_store_list},
    {"store verify", "Prove a recovery point against its root hashes", command_store_verify},
    {"store export", "Write a disk of a recovery point as an image file", command_store_export},
};

static void print_help(FILE *to)
{
    fprintf(to, "Usage: landfall COMMAND [OPTION…] [ARGUMENT…]\n\nCommands:\n");
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        fprintf(to, "  %-14s  %s\n", commands[i].words, commands[i].summary);
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
        fprintf(stderr, "landfall %s: which of these: %s?\n\n", argv[1], following->str);
    else if (following->len > 0)
        fprintf(stderr, "landfall: there is no command '%s %s'\n\n", argv[1], argv[2]);
    else
        fprintf(stderr, "landfall: there is no command '%s'\n\n", argv[1]);
}

static gboolean is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int main(int argc, char **argv)
{
    /* The terminal's character set and nothing else: numbers and messages stay what scripts know.
     */
    setlocale(LC_CTYPE, "");
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("landfall %s\n", LANDFALL_VERSION);
        return EXIT_OK;
    }
    if (argc > 1 &&
        (is_help(argv[1]) || (argc == 3 && strcmp(argv[1], "store") == 0 && is_help(argv[2])))) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (argc > 1 && strcmp(argv[1], COMMAND_THAW_GUARD) == 0)
        return command_thaw_guard(argc - 1, argv + 1);
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
    print_help(stderr);
    return EXIT_USAGE;
}
