/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Serving an operation's disks to its target, for the steps that need it done. */

#include "appliance/steps/host.h"
#include "appliance/steps/nbd-server.h"

/* The folder of the operation's overlays, owned by the caller. *ret_gone: the machine has left the
 * store; NULL then, without an error. */
char *serve_folder(const struct step_work *work, gboolean *ret_gone, GError **error);

/* The disks that step clone made: array of objects, borrowed. Error config: it was not done. */
JsonArray *serve_disks(const struct step_work *work, GError **error);

/* A machine that stands still since its disks were not served goes on: one try, which fails as long
 * as QEMU has not found the server again. TRUE: it does not stand still for that, or not any more.
 */
gboolean serve_let_go_on(virDomainPtr domain);

/* Serves them in folder unless that is done. *ret_address is the caller's to clear; *ret_started as
 * nbd_server_ensure. */
gboolean serve_ensure(const struct step_work *work, const struct step_host *host,
                      const char *folder, struct nbd_address *ret_address, gboolean *ret_started,
                      GError **error);
