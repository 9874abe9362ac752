/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The machine that a step works on, where it comes from. */

#include "appliance/steps/step-work.h"
#include "snapshot/libvirt.h"

struct source_machine {
    virConnectPtr connection;
    virDomainPtr domain;
};

/* Connects to the source and finds the machine by its UUID. Errors: config, source, unsupported;
 * missing when the host does not have it. */
gboolean source_machine_open(const struct step_work *work, struct source_machine *machine,
                             GError **error);

/* A machine that runs is not gone. Errors: source, conflict. */
gboolean source_machine_check_off(const struct source_machine *machine,
                                  const struct step_work *work, GError **error);
void source_machine_close(struct source_machine *machine);
