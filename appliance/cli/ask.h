/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Asking before something is done that a slip of the hand should not do. */

#include <glib.h>

/* Says on the terminal what is going to happen, and asks whether to go on; only "y" or "yes" does.
 * Error cancelled: the answer was another one. Without a terminal nobody can be asked: error
 * config, whose hint names --yes. yes: not asked, TRUE. */
gboolean ask_whether(gboolean yes, const char *what_happens, GError **error);

/* The option that says so beforehand. */
#define ASK_ENTRY(yes)                                                                             \
    {                                                                                              \
        "yes", 0, 0, G_OPTION_ARG_NONE, yes, "Do not ask", NULL                                    \
    }
