/* SPDX-License-Identifier: Apache-2.0 */

/* landfall thaw-guard: not for people. A cycle starts it beside itself while a guest is frozen. */

#include "appliance/cli/command.h"
#include "snapshot/snapshot.h"

#define ARGUMENTS 4

int command_thaw_guard(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    guint64 deadline_ms;
    if (argc != ARGUMENTS + 1 ||
        !g_ascii_string_to_unsigned(argv[4], 10, 0, G_MAXUINT, &deadline_ms, &error))
        return EXIT_USAGE;
    if (snapshot_thaw_guard_run(argv[1], argv[2], argv[3], (unsigned)deadline_ms, &error))
        return EXIT_OK;
    return command_failed(error, FALSE);
}
