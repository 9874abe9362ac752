/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the commands on a daemon have in common: parse, ask, and print the answer, for people or as
 * the API gives it. */

#include "appliance/cli/client.h"
#include "appliance/cli/listing.h"

#include <glib.h>

struct daemon {
    struct client *client;
    gboolean as_json;
    char **arguments; /* as many as were asked for, NULL-terminated */
    void *options;    /* the command's own */
};

/* A command on a daemon. */
struct daemon_command {
    const GOptionEntry
        *entries;           /* may be NULL; --json is there anyway; texts are freed after work */
    const char *parameters; /* "NAME URI - add a host", for --help */
    int minimum, maximum;   /* of arguments */
    void *options;

    /* FALSE without an error: failed, and what was printed tells why. */
    gboolean (*work)(struct daemon *daemon, GError **error);
};

/* Returns the exit code. */
int daemon_command_run(int argc, char **argv, const struct daemon_command *command);

/* One with exactly one argument, such as a machine. entries and options may be NULL. */
int daemon_command_on_one(int argc, char **argv, const char *parameters,
                          const GOptionEntry *entries, void *options,
                          gboolean (*work)(struct daemon *daemon, GError **error));

/* before + name + after, the name escaped as a part of a path. The caller owns it. */
char *daemon_path(const char *before, const char *name, const char *after);

/* Objects: all machines of that name, UUID or HOST/NAME, of which there is at least one. */
JsonArray *daemon_machines(struct daemon *daemon, const char *name, GError **error);

/* The id of the machine that a name, a UUID or HOST/NAME means, as text; and the machine itself, if
 * ret_machine is not NULL. The caller owns both. */
char *daemon_machine(struct daemon *daemon, const char *name, JsonObject **ret_machine,
                     GError **error);

/* A request for the machine that the first argument names: of /machines/ID followed by after, such
 * as "/sync". body may be NULL. */
JsonObject *daemon_machine_call(struct daemon *daemon, const char *method, const char *after,
                                JsonObject *body, GError **error);

/* The number of what ("a job"), for a path: error config when it is none. */
gboolean daemon_check_number(const char *text, const char *what, GError **error);

/* GET a list and print it. */
gboolean daemon_list(struct daemon *daemon, const char *path, const struct listing_column *columns,
                     GError **error);

/* The same of the machine that the first argument names, as in daemon_machine_call. */
gboolean daemon_machine_list(struct daemon *daemon, const char *after,
                             const struct listing_column *columns, GError **error);

/* A list that may be long: the newest of it. */
struct daemon_newest {
    const char *path;
    const char *machine;   /* only those of this one, or NULL */
    const char *parameter; /* only those with this query parameter … */
    const char *value;     /* … of this value; NULL: all */
    int limit;             /* as it was asked for by --limit; 0: 50 */
};

/* GET it and print it. */
gboolean daemon_list_newest(struct daemon *daemon, const struct daemon_newest *newest,
                            const struct listing_column *columns, GError **error);

/* GET one thing and print it. */
gboolean daemon_show(struct daemon *daemon, const char *path, const struct listing_column *columns,
                     GError **error);

/* The answer as JSON with --json; else nothing, and FALSE: the caller has words for it. */
gboolean daemon_printed(const struct daemon *daemon, JsonObject *answer);

/* landfall store list without a folder. */
gboolean store_list_of_daemon(gboolean as_json, GError **error);
