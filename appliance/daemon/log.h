/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where the daemon's g_info, g_message, g_warning and g_critical go: the journal, with their
 * fields, when standard error is connected to it; otherwise standard error, a line each. */

#include <glib.h>

/* level is error, warning, message, info or debug; less important ones are not written. An unknown
 * level is error config. */
gboolean log_init(const char *level, GError **error);
