/* SPDX-License-Identifier: Apache-2.0 */
/* Folders and files on the host: where QEMU may put its socket and its scratch images, and how to
 * remove what is ours. The README tells how the defaults were found. */
#include "snapshot/snapshot-private.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/un.h>

#define SYSTEM_STATE_DIR "/var/lib/libvirt/qemu"
#define SYSTEM_IMAGE_DIR "/var/lib/libvirt/images"
#define SHORT_NAME_LENGTH 20 /* libvirt cuts machine names to this in names of folders */

/* libvirt's own folder of the running machine: QEMU may write there under AppArmor and SELinux
 * too, and the folder goes away with the machine. */
static char *machine_state_dir(const struct snapshot_machine *machine)
{
    unsigned id = virDomainGetID(machine->domain);
    if (id == (unsigned)-1)
        return NULL;
    g_autofree char *short_name =
        g_utf8_validate(machine->name, -1, NULL)
            ? g_utf8_substring(machine->name, 0,
                               MIN(g_utf8_strlen(machine->name, -1), SHORT_NAME_LENGTH))
            : g_strndup(machine->name, SHORT_NAME_LENGTH);
    g_autofree char *folder = g_strdup_printf(SYSTEM_STATE_DIR "/domain-%u-%s", id, short_name);
    if (machine->host->local && !g_file_test(folder, G_FILE_TEST_IS_DIR))
        return NULL;
    return g_steal_pointer(&folder);
}

char *snapshot_socket_dir(const struct snapshot_machine *machine, const char *socket_dir,
                          gsize name_length)
{
    if (socket_dir)
        return g_strdup(socket_dir);
    if (machine->host->session)
        return g_strdup(g_get_user_runtime_dir());
    g_autofree char *folder = machine_state_dir(machine);
    gsize path_length_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (folder && strlen(folder) + 1 + name_length <= path_length_max)
        return g_steal_pointer(&folder);
    return g_strdup(SYSTEM_STATE_DIR);
}

const char *snapshot_scratch_dir(const struct snapshot_machine *machine,
                                 const struct machine_disk *disk, const char *scratch_dir)
{
    if (scratch_dir)
        return scratch_dir;
    if (disk->image_dir)
        return disk->image_dir;
    return machine->host->session ? g_get_user_cache_dir() : SYSTEM_IMAGE_DIR;
}

/* A remote file goes by the same ssh that carries the blocks. */
static gboolean remove_remote(struct snapshot_host *host, const char *path, GError **error)
{
    g_autofree char *quoted = g_shell_quote(path);
    g_autofree char *command = g_strdup_printf("rm -f -- %s", quoted);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_addv(builder, (const char **)host->ssh);
    g_strv_builder_add(builder, command);
    g_auto(GStrv) argv = g_strv_builder_end(builder);
    g_autoptr(GError) reason = NULL;
    g_autoptr(GSubprocess) process = g_subprocess_newv(
        (const char *const *)argv,
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &reason);
    if (process && g_subprocess_wait_check(process, NULL, &reason))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "remove the file by hand; its name tells that it is Landfall's",
                       "cannot remove %s on host %s: %s", path, host->uri, reason->message);
    return FALSE;
}

gboolean snapshot_file_remove(struct snapshot_host *host, const char *path, gboolean *ret_removed,
                              GError **error)
{
    if (!host->local)
        return remove_remote(host, path, error);
    if (g_unlink(path) == 0) {
        if (ret_removed)
            *ret_removed = TRUE;
        return TRUE;
    }
    if (errno == ENOENT)
        return TRUE;
    landfall_error_set_errno(error, LANDFALL_ERROR_SOURCE, errno,
                             "remove the file by hand; its name tells that it is Landfall's",
                             "cannot remove %s", path);
    return FALSE;
}

gboolean snapshot_files_remove_stale(struct snapshot_machine *machine, const char *store_id,
                                     const char *folder, GPtrArray *removed, GError **error)
{
    /* A folder that is not there, or not ours to read, holds nothing we could remove. */
    g_autoptr(GDir) entries = g_dir_open(folder, 0, NULL);
    if (!entries)
        return TRUE;
    const char *name;
    while ((name = g_dir_read_name(entries))) {
        if (!snapshot_file_is_ours(machine, store_id, name))
            continue;
        g_autofree char *path = g_build_filename(folder, name, NULL);
        gboolean gone = FALSE;
        if (!snapshot_file_remove(machine->host, path, &gone, error))
            return FALSE;
        if (gone)
            g_ptr_array_add(removed, g_strdup_printf("removed %s", path));
    }
    return TRUE;
}
