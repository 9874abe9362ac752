/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The facts of a machine, put together from what libvirtd tells at once and what QEMU and the agent
 * answer later, in one JSON object:
 *
 *     what snapshot/definition.h names, of which
 *     disks[]              has also capacity_bytes, once it is known
 *     agent                has also report: hostname, os (id, name, version, kernel),
 *                          file_systems[] (mount, type, total_bytes, disks[]); and problem
 *     persistent, autostart, managed_save
 *     snapshots[]          names
 *     checkpoints[]        names, of those that are not ours
 *     replication          supported, why, hint: whether machines of this host can be replicated
 *     unresponsive         what was asked without an answer, if so
 *     problem              why nothing but this is known, if so
 *     usage                what changes all the time, and is no change of the machine:
 *                          checkpoints[] (of ours: name, store), disks.NAME.allocation_bytes,
 *                          folders.PATH.free_bytes
 *
 * All functions work on objects that nobody else holds. */

#include "appliance/inventory/guest-lane.h"

/* fresh was just read: takes over from before (may be NULL) what only QEMU and the agent know. */
void facts_carry_over(JsonObject *fresh, JsonObject *before);

void facts_add_sizes(JsonObject *facts, const struct guest_answer *answer);
/* Whether there is no disk whose size is to be learnt; of machines that cannot be replicated there
 * is none. */
gboolean facts_sizes_known(JsonObject *facts);

void facts_add_agent(JsonObject *facts, const struct guest_answer *answer);
void facts_add_unresponsive(JsonObject *facts, const char *what); /* NULL: it answers */

/* As text, without usage: what differs in it is a change that anyone would want to hear of. The
 * caller owns it; NULL for NULL. */
char *facts_lasting_text(JsonObject *facts);

/* A copy that shares nothing with facts. */
JsonObject *facts_copy(JsonObject *facts);
