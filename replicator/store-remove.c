/* SPDX-License-Identifier: Apache-2.0 */

/* A machine leaves the store: its recovery points one by one, so that none is taken from a reader,
 * then all files, which nothing names any more, then its folder. */

#include "base/error.h"
#include "replicator/store-file.h"
#include "replicator/store-hold.h"
#include "replicator/store-retention.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders in the machine's folder, in those, and so on: a store has two levels. */
#define DEPTH_MAX 4u

static gboolean failed(const char *path, GError **error)
{
    landfall_error_set_errno(error, LANDFALL_ERROR_REPLICA, errno, NULL, "cannot remove %s", path);
    return FALSE;
}

static gboolean remove_tree(const char *path, unsigned depth, GError **error)
{
    struct stat about;
    if (lstat(path, &about) != 0)
        return errno == ENOENT || failed(path, error);
    if (!S_ISDIR(about.st_mode) || depth == 0)
        return unlink(path) == 0 || errno == ENOENT || failed(path, error);
    g_autoptr(GPtrArray) names = store_folder_list(path, error);
    for (guint i = 0; names && i < names->len; i++) {
        g_autofree char *inner = g_build_filename(path, names->pdata[i], NULL);
        if (!remove_tree(inner, depth - 1, error))
            return FALSE;
    }
    return names && (rmdir(path) == 0 || errno == ENOENT || failed(path, error));
}

gboolean store_machine_remove(struct store_machine *machine, GError **error)
{
    g_assert(machine->lock);
    g_autofree char *above = g_path_get_dirname(machine->path);
    return store_hold_check_none(machine, 0, error) && store_retire_all(machine, error) &&
           remove_tree(machine->path, DEPTH_MAX, error) && store_folder_sync(above, error);
}
