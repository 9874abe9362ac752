/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is shared with others that speak to libvirt: errors, and connections. */

#include "base/error.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)

/* --- libvirt-error.c: what libvirt says, as an error of ours
 * -------------------------------------- */

/* Sets *error to the formatted text, ": " and libvirt's last message. A state change lock held by
 * somebody else becomes a conflict with its own hint, whatever code the caller thought of. The last
 * message is taken before the arguments are looked at: asking a machine for its name loses it. */
#define snapshot_libvirt_error_set(error, code, hint, ...)                                         \
    do {                                                                                           \
        virErrorPtr snapshot_libvirt_cause = virSaveLastError();                                   \
        snapshot_libvirt_error_raise(snapshot_libvirt_cause, error, code, hint, __VA_ARGS__);      \
    } while (0)

/* What that is made of: takes the cause, which may be NULL. */
void snapshot_libvirt_error_raise(virErrorPtr cause, GError **error, enum landfall_error_code code,
                                  const char *hint, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* The last libvirt error as a sentence part; never NULL. */
const char *snapshot_libvirt_message(void);

/* --- connection.c: connections that do not hang
 * ----------------------------------------------------------------------------------- */

/* Before anything else is asked of libvirt; as often as wanted. Its events come in a thread of
 * their own from then on, which a callback must not hold up. */
void snapshot_connection_prepare(void);

/* What to answer when a host asks who we are. */
struct snapshot_login {
    const char *user;     /* or NULL: as the URI says */
    const char *password; /* or NULL */
};

/* Connects; the caller closes. login may be NULL. This may hang, and so may any call over the
 * connection until keepalive messages have gone unanswered for long: not for a thread that is
 * waited for. Errors: config (the URI, a refused login), source. */
virConnectPtr snapshot_connection_make(const char *uri, const struct snapshot_login *login,
                                       GError **error);

/* As snapshot_connection_make, with a deadline: a host that says nothing for long is an error,
 * *ret_silent then, and so is any later call over the connection. */
virConnectPtr snapshot_connection_open(const char *uri, gboolean *ret_silent, GError **error);

/* --- host.c
 * ----------------------------------------------------------------------------------------- */

/* Whether snapshots of the host's machines can be taken over this connection, made with this URI;
 * *ret_local: QEMU runs here, its files are ours to see. Error unsupported (its hypervisor, the
 * transport) or config (the URI). */
gboolean snapshot_host_check(virConnectPtr connection, const char *uri, gboolean *ret_local,
                             GError **error);

/* --- paused-start.c
 * ----------------------------------------------------------------------------------------- */

/* Stops a machine that a cycle of ours, killed since, has left started paused, and ends its backup
 * job. A guest that has run meanwhile is left alone. *ret_stopped: it was so, and is off now. */
gboolean snapshot_paused_stop_stale(virDomainPtr domain, gboolean *ret_stopped, GError **error);

/* --- names.c
 * ----------------------------------------------------------------------------------------- */

/* The identity of the store whose cycles made the checkpoint, owned by the caller; NULL when it is
 * another tool's. */
char *snapshot_checkpoint_store(const char *name);
