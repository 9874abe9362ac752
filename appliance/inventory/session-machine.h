/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What libvirtd knows of one machine, for session.c. */

#include "appliance/inventory/session.h"

/* NULL: it cannot be read, and libvirt's last error says why. */
struct session_machine *session_machine_read(virDomainPtr domain);
void session_machine_free(gpointer machine);
