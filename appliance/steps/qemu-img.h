/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* qemu-img as a child process. */

#include "base/error.h"

/* Runs `qemu-img` with the arguments (NULL-terminated, without the program's name). *ret_output
 * (may be NULL) gets what it printed. Errors: config (it is not installed), conflict (another QEMU
 * has the image), replica with what it said. */
gboolean qemu_img_run(const char *const *arguments, char **ret_output, GError **error);
