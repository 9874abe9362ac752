/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The host that a step works on, and the machine there that is ours. */

#include "appliance/steps/step-work.h"
#include "snapshot/libvirt.h"

#include <sys/types.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virConnect, virConnectClose)

struct step_host {
    virConnectPtr connection;
    const char *name; /* borrowed from the work */
    gboolean local;
};

/* Connects to the target. Errors: config, source, unsupported; each names the host. */
gboolean step_host_open_target(const struct step_work *work, struct step_host *host,
                               GError **error);
void step_host_close(struct step_host *host);

/* The user and group that QEMU runs as there. *ret_known FALSE: the user that libvirtd runs as. */
gboolean step_host_qemu_user(const struct step_host *host, gboolean *ret_known, uid_t *ret_user,
                             gid_t *ret_group, GError **error);

/* Whether the note in its metadata says that the operation of the work defined it. */
gboolean step_host_is_ours(virDomainPtr domain, const struct step_work *work);

/* The machine that the operation defined there, told by that note; owned by the caller, *ret_domain
 * NULL when there is none. Errors: conflict (the one that step define made bears no note of ours
 * any more), source. */
gboolean step_host_find_machine(const struct step_host *host, const struct step_work *work,
                                virDomainPtr *ret_domain, GError **error);

/* The machine that the operation lets run there, for those who cannot do without: that one, or what
 * it was before where it goes home. Error missing. */
gboolean step_host_need_moved(const struct step_host *host, const struct step_work *work,
                              virDomainPtr *ret_domain, GError **error);

/* The same of what it defined. */
gboolean step_host_need_machine(const struct step_host *host, const struct step_work *work,
                                virDomainPtr *ret_domain, GError **error);
