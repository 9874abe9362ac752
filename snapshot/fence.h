/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fence of a machine that is moved away, a note in its persistent definition that any Landfall
 * reads: first that it is leaving (autostart is off, so that its host does not start it), then that
 * it is gone (it may not be started or replicated, and its title says so to people). The note
 * remembers what was changed; dropping the fence puts that back. */

#include "snapshot/libvirt.h"

struct snapshot_fence {
    char *owner;   /* of the move: names one operation of one appliance */
    char *target;  /* the host that it goes to */
    char *since;   /* ISO 8601, UTC */
    gboolean gone; /* FALSE: it is leaving */
    /* As they were before. */
    gboolean autostart;
    char *title; /* or NULL */

    /* What its disks hold; see snapshot_fence_note_disks. */
    guint64 point; /* 0: not known */
    char *disks;   /* or NULL */
};

void snapshot_fence_free(struct snapshot_fence *fence);

/* The machine's fence; *ret_fence is NULL where it has none. The caller owns it. Error source. */
gboolean snapshot_fence_read(virDomainPtr domain, struct snapshot_fence **ret_fence,
                             GError **error);

/* Notes that the machine is leaving and switches autostart off (gone FALSE), and that it is gone,
 * with a title that says so (gone TRUE). Idempotent; a note of an earlier move that came to nothing
 * is taken over with what it remembers. *ret_fence is what the note says now. Errors: conflict
 * (gone with another owner), unsupported (no persistent definition), source. */
gboolean snapshot_fence_raise(virDomainPtr domain, const char *owner, const char *target,
                              gboolean gone, struct snapshot_fence **ret_fence, GError **error);

/* Notes at a machine that is gone which recovery point its disks hold, and the word for their state
 * (snapshot_machine_state, or another of the caller's; NULL: not known). Errors: conflict (it is
 * not gone), source. */
gboolean snapshot_fence_note_disks(virDomainPtr domain, guint64 point, const char *disks,
                                   GError **error);

/* Puts title and autostart back and removes the note. No fence is fine; *ret_fence is what there
 * was, or NULL. Error source. */
gboolean snapshot_fence_drop(virDomainPtr domain, struct snapshot_fence **ret_fence,
                             GError **error);

/* Error conflict when the machine is gone; source. name is for the message. */
gboolean snapshot_fence_check(virDomainPtr domain, const char *name, GError **error);
