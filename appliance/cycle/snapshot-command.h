/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The operator's own command, run while a snapshot is held. */

#include <glib.h>

/* Runs command (words as a shell splits them) and waits for its end. Its environment has
 * LANDFALL_NBD_<DISK>, the NBD URI of each disk (struct snapshot_disk *) in upper case; its output
 * goes to standard error. Errors: config (cannot be started), source (it failed). */
gboolean snapshot_command_run(const char *command, const GPtrArray *disks, GError **error);
