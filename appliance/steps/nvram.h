/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The variables of a machine's UEFI: entries to boot from, keys. They lie in a file of the source
 * host, and are in no recovery point: an overlay's folder gets those that the source has now. */

#include "appliance/steps/access.h"
#include "appliance/steps/step.h"

#define NVRAM_FILE "nvram.fd"

/* Copies them into the folder, unless they are there. *ret_copied FALSE: the machine has none, or
 * they cannot be had, which is a warning. Errors: those of the replica and its description. */
gboolean nvram_copy(const struct step_run *run, const struct step_access *access,
                    const char *folder, gboolean *ret_copied, GError **error);
