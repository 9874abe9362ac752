/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How long a machine will be off when it is moved, from its power-off to the first instruction at
 * the target: by what its cycles have sent and taken so far.
 *
 *     { "expected_s", "low_s", "high_s": N, "basis": TEXT,
 *       "parts": { "final_cycle_s", "switch_s", "start_s": N, "verify_s"?: N } }
 *
 * Without a cycle to go by there is only the basis, which says so. low and high are what it would
 * be at the calmest and at the busiest of the cycles. How long the guest takes to shut down is not
 * part of it: nobody can know. */

#include "appliance/steps/step-work.h"

/* "known".cycles of the work: [{interval_s, cycle_ms, sent_bytes, read_bytes}], the newest first.
 * disk_bytes: of all disks. The caller owns the object. */
JsonObject *downtime_expect(const struct step_work *work, guint64 disk_bytes);
