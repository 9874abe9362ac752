/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a machine says on its first serial port: from the log that QEMU keeps of it from the first
 * byte on, or, where that cannot be read from here, from the port itself. */

#include "appliance/steps/host.h"

struct console;

/* log: the file's path here; NULL: there is none. Never fails: a machine may have no console, and
 * says nothing then; console_problem tells. */
struct console *console_open(const struct step_host *host, virDomainPtr domain, const char *log);
void console_free(struct console *console);

/* Takes what has come. */
void console_read(struct console *console);

/* All of that, or the end of it. Borrowed. */
const GString *console_text(const struct console *console);

/* Why there may be more that was not seen; or NULL. Borrowed. */
const char *console_problem(const struct console *console);
