/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A guest is asked to shut down until it does, or until the time is up. */

#include "appliance/steps/step.h"
#include "snapshot/libvirt.h"

struct power_off_plan {
    guint64 deadline_s;
    gboolean force; /* when the time is up, or the guest cannot hear: pull the plug */
};

struct power_off_result {
    const char *how;  /* "already-off", "agent", "acpi", "forced" */
    guint64 ms;       /* from the first asking until it was off */
    gint64 off_at_us; /* when the guest turned itself off, by our clock; 0: before we came */
};

/* As results of steps have it: how, ms, off_at_us. The caller owns it. */
JsonObject *power_off_to_json(const struct power_off_result *result);

/* Asks by the guest agent where one is connected, else, and when that does not help, by the power
 * button, pressed again from time to time: guests that are still booting do not hear it. Ends as
 * soon as QEMU is gone. Errors: source (the time is up and the plug was not to be pulled: the guest
 * runs on), conflict (it is paused, and cannot hear), cancelled. run says whether it is cancelled,
 * and hears what happens. */
gboolean power_off(virDomainPtr domain, const struct power_off_plan *plan,
                   const struct step_run *run, struct power_off_result *ret_result, GError **error);
