/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may read the replica: QEMU at the target runs as a user of its own, and the store's files are
 * closed to others. */

#include "appliance/steps/host.h"

struct step_access {
    gboolean needed; /* FALSE: QEMU runs as the user who manages it, whose business that is */
    uid_t user;
    gid_t group;
};

#define ACCESS_READ 04u
#define ACCESS_WRITE 02u
#define ACCESS_ENTER 01u

gboolean step_access_of(const struct step_host *host, struct step_access *ret_access,
                        GError **error);

/* Lets that user do so with the file or folder, by its group, unless he may already. The owner and
 * what he may do stay. Error config: this process may not do that. */
gboolean step_access_grant(const struct step_access *access, const char *path, unsigned rights,
                           GError **error);
