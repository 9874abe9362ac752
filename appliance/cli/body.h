/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The options of a command as members of a request's body. Options are kept as they were written;
 * NULL is one that was not given, and leaves the member out. Errors are config and name the option.
 */

#include <json-glib/json-glib.h>

/* A whole number from minimum on; word, if it is not NULL, stands for 0: "all". */
gboolean body_set_number(JsonObject *body, const char *option, const char *member, const char *text,
                         gint64 minimum, const char *word, GError **error);

/* A duration in seconds. */
gboolean body_set_duration(JsonObject *body, const char *option, const char *member,
                           const char *text, GError **error);

/* A size of at least 1 MiB, in MiB. */
gboolean body_set_mebibytes(JsonObject *body, const char *option, const char *member,
                            const char *text, GError **error);

/* A time to come, as ISO 8601 in UTC. */
gboolean body_set_time(JsonObject *body, const char *option, const char *member, const char *text,
                       GError **error);

/* The strings; "none" alone is the empty list: how else would one take back what was set? */
void body_set_strings(JsonObject *body, const char *member, char **strings);

/* "A=B" each, as an object {"A":"B"}; "none" alone is the empty object. */
gboolean body_set_pairs(JsonObject *body, const char *option, const char *member, char **strings,
                        GError **error);

/* Options that are passed on as they are. */
struct body_text {
    const char *member;
    const char *text;
};
void body_set_texts(JsonObject *body, const struct body_text *texts, gsize count);

/* What tells that a machine works: "power", "agent", "console=PATTERN", "tcp=PORT",
 * "tcp=ADDRESS:PORT", "http=URL", or an object of JSON as the API takes it. */
gboolean body_set_probes(JsonObject *body, char **strings, GError **error);
