/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which daemon a command talks to: options before the command or after it, or the environment. */

#include "appliance/cli/client.h"

/* --socket, --url and so on as a group with a help of its own; for g_option_context_add_group,
 * which takes it. May be had more than once: what is parsed later wins. */
GOptionGroup *connection_options(void);

/* A client for what the options and LANDFALL_… in the environment say. */
struct client *connection_open(GError **error);
