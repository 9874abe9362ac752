/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cycle/snapshot-command.h"
#include "base/error.h"
#include "snapshot/snapshot.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <unistd.h>

static void add_disk(GSubprocessLauncher *launcher, const struct snapshot_disk *disk)
{
    g_autofree char *upper = g_ascii_strup(disk->name, -1);
    g_autofree char *variable = g_strconcat("LANDFALL_NBD_", upper, NULL);
    g_strcanon(variable, G_CSET_A_2_Z G_CSET_DIGITS "_", '_');
    g_subprocess_launcher_setenv(launcher, variable, disk->nbd_uri, TRUE);
}

gboolean snapshot_command_run(const char *command, const GPtrArray *disks, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(GStrv) words = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_INHERIT);
    for (guint i = 0; i < disks->len; i++)
        add_disk(launcher, disks->pdata[i]);
    /* Standard output is for the cycle's own events. */
    g_subprocess_launcher_take_stdout_fd(launcher, fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    g_autoptr(GSubprocess) process = NULL;
    if (g_shell_parse_argv(command, NULL, &words, &cause))
        process = g_subprocess_launcher_spawnv(launcher, (const char *const *)words, &cause);
    if (!process) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "--on-snapshot: %s", cause->message);
        return FALSE;
    }
    if (g_subprocess_wait_check(process, NULL, &cause))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE, "the cycle ends when this command fails",
                       "--on-snapshot: %s: %s", words[0], cause->message);
    return FALSE;
}
