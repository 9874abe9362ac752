/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The process that serves an operation's disks: qemu-storage-daemon, one for all disks. A machine
 * runs on what it serves, so it outlives the step, the daemon, and the daemon's restart; started
 * again, it has the address it had. What is to be known of it lies with the disks:
 *
 *   CLONE-FOLDER/nbd.json   where it is reached: chosen once
 *   CLONE-FOLDER/nbd.pid    its process, which has the path of this file among its arguments */

#include "appliance/steps/nbd-address.h"
#include "appliance/steps/nbd-credentials.h"

#include <sys/types.h>

/* What is served, all borrowed. */
struct nbd_serving {
    const char *folder; /* of the clone: has DISK.qcow2 for each */
    const char *const *disks;
    const struct nbd_credentials *credentials; /* NULL: a socket's owner and mode keep others out */
    uid_t user;                                /* QEMU's at the target, of a socket */
    gid_t group;
    const char *bind_host; /* address to listen at; NULL: all */
};

/* Serves, unless that is done. wanted: transport and host of a first time; *ret_address is filled
 * with what was chosen then or earlier. *ret_started (may be NULL): it did not run. Errors: config
 * (not installed, no such address), conflict (the port is taken by another process, an image is in
 * use), replica. */
gboolean nbd_server_ensure(const struct nbd_serving *serving, const struct nbd_address *wanted,
                           struct nbd_address *ret_address, gboolean *ret_started, GError **error);

/* Its process; 0: it does not run. */
pid_t nbd_server_find(const char *folder);

/* Ends it, and forgets its address. That it does not run is no error. Error source: it does not
 * end. */
gboolean nbd_server_stop(const char *folder, gboolean *ret_stopped, GError **error);
