/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The translation that a step's work asks for: what is planned and what is defined are made here,
 * from the same. */

#include "appliance/steps/step-work.h"
#include "appliance/steps/translate.h"

/* The definition of the machine at the source, as its replica has it. The caller owns it. Errors:
 * config (no such replica, or one of no libvirt machine), corrupt, replica. */
char *translate_work_source(const struct step_work *work, GError **error);

/* The definition for the target. Where the disks lie is what steps clone and serve have found, or,
 * before them, what they will find. Errors: those of translate_for, and of the store. */
struct translation *translate_work(virConnectPtr connection, const struct step_work *work,
                                   GError **error);
