/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The options of a test of a machine: the same for one that begins now and for rehearsals. */

#include <json-glib/json-glib.h>

/* As they were written; NULL: not given. */
struct test_options {
    char *target, *network, *name_suffix, *wait, *cleanup_after, *memory, *recovery_point;
    char **probes;
};

/* more, a table that ends with G_OPTION_ENTRY_NULL, and after it those of a test. The caller frees
 * the table; what it points to is borrowed from options. */
GOptionEntry *test_options_entries(struct test_options *options, const GOptionEntry *more);

/* What the API takes; owned by the caller. Error config. */
JsonObject *test_options_body(const struct test_options *options, GError **error);
