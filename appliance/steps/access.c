/* SPDX-License-Identifier: Apache-2.0 */

/* Left alone, libvirt gives each image of a chain to QEMU's user when a machine is started, and the
 * layers not back: a daemon that is not root would lose its own store. So definitions tell it to
 * leave the owners (relabel='no'), and the group is changed here. */

#include "appliance/steps/access.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

gboolean step_access_of(const struct step_host *host, struct step_access *ret_access,
                        GError **error)
{
    return step_host_qemu_user(host, &ret_access->needed, &ret_access->user, &ret_access->group,
                               error);
}

static gboolean is_allowed(const struct step_access *access, const struct stat *about,
                           unsigned rights)
{
    unsigned shift = about->st_uid == access->user ? 6 : about->st_gid == access->group ? 3 : 0;
    return access->user == 0 || (about->st_mode >> shift & rights) == rights;
}

/* Another group gets what is needed and not what the former had. */
static mode_t new_mode(const struct step_access *access, const struct stat *about, unsigned rights)
{
    mode_t mode = about->st_mode & 07777;
    if (about->st_gid != access->group)
        mode &= ~(mode_t)S_IRWXG;
    return mode | rights << 3;
}

gboolean step_access_grant(const struct step_access *access, const char *path, unsigned rights,
                           GError **error)
{
    struct stat about;
    if (!access->needed)
        return TRUE;
    gboolean there = stat(path, &about) == 0;
    if (there && is_allowed(access, &about, rights))
        return TRUE;
    if (there && chown(path, (uid_t)-1, access->group) == 0 &&
        chmod(path, new_mode(access, &about, rights)) == 0)
        return TRUE;
    gboolean forbidden = errno == EPERM || errno == EACCES;
    g_autofree char *hint = g_strdup_printf(
        "run landfalld as root, or make its user a member of group %u", (unsigned)access->group);
    landfall_error_set_errno(error, forbidden ? LANDFALL_ERROR_CONFIG : LANDFALL_ERROR_REPLICA,
                             errno, forbidden ? hint : NULL,
                             "cannot let QEMU's user at the target have %s", path);
    return FALSE;
}
