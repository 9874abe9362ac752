/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Machines, asked for page by page. */

#include "appliance/cli/daemon-command.h"

/* All objects that the filter ("host", "name") with that value lets through, or simply all if it is
 * NULL, by host and name. The caller owns the array. */
JsonArray *machine_pages(struct daemon *daemon, const char *filter, const char *value,
                         GError **error);
