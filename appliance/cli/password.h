/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Passwords come from a file or from the terminal, never from the command line, where others see
 * them. */

#include <glib.h>

/* The first line of the file, "-" for standard input; without a file, asks twice on the terminal
 * without echo. The caller clears and frees it by password_free. */
char *password_read(const char *file, const char *prompt, GError **error);
void password_free(char *password);
