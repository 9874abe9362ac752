/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is looked at before a machine is moved. Nothing is changed, on either host or in the store.
 *
 *     source          the host answers and has the machine
 *     fence           no other move has taken it away
 *     shutdown        the guest can be asked to shut down
 *     readiness       nothing stands in the way of the last cycle, by what the daemon knows
 *     test            a test has passed lately, where that is required
 *     recovery-point  it is there, and its files open
 *     target          the host answers
 *     definition      it offers what the machine needs
 *     conflicts       no machine there has its name, UUID or a MAC address
 *     networks        those that are mapped are there, and up
 *     resources       processors and memory
 *     store           it sees the replica
 *     space           there is room for what the machine writes
 *     home            what it was before is there, and can be brought up to date
 *
 * blocked: the move would fail, or do harm. */

#include "appliance/cycle/opened-machine.h"
#include "appliance/steps/host.h"
#include "appliance/steps/source-machine.h"
#include "appliance/steps/translate-work.h"
#include "base/checks.h"

struct preflight {
    const struct step_work *work; /* borrowed */
    struct checks checks;

    /* What was reached; NULL where it was not. */
    struct opened_machine opened;
    const struct manifest *point;
    struct source_machine source;
    struct step_host target;
    struct translation *translation;
};

/* Makes all checks. The caller clears it. */
void preflight_run(struct preflight *preflight, const struct step_work *work);
void preflight_clear(struct preflight *preflight);

/* --- one file each --- */
void preflight_source(struct preflight *preflight);
void preflight_store(struct preflight *preflight);
void preflight_target(struct preflight *preflight);
void preflight_reach(struct preflight *preflight);
void preflight_home(struct preflight *preflight); /* instead of the two before */

/* Adds an error as what is found: its message and hint. */
void preflight_add_error(struct preflight *preflight, enum verdict verdict, const GError *error);

/* Of all disks of the recovery point; 0 when there is none. */
guint64 preflight_disk_bytes(const struct preflight *preflight);

/* Whether the source is shut down for this move: it is unless the operator said otherwise. */
gboolean preflight_shuts_down(const struct preflight *preflight);
