/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a machine's screen shows, as a PNG file. */

#include "appliance/steps/host.h"

/* Writes it to path, whole or not at all. *ret_taken FALSE: the machine has no screen. Errors:
 * source, internal. */
gboolean screenshot_take(const struct step_host *host, virDomainPtr domain, const char *path,
                         gboolean *ret_taken, GError **error);
