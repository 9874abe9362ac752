/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Our own programs, and other processes as the kernel knows them. */

#include "base/error.h"

/* The path of one of our programs: beside this one where it lies there (a build tree, an installed
 * one), else from PATH. The caller owns it. Error config. */
char *process_find_program(const char *name, GError **error);

/* When a process started, in the kernel's own count: with the number it names one process for as
 * long as the machine is up. 0: there is no such process. */
guint64 process_start_time(int pid);
