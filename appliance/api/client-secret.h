/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Secrets that this program makes up and gives to clients: of tokens, of sessions, the set-up code.
 * They are 256 (the code: 128) bits by chance, so one round of SHA-256 is all it takes to keep
 * them. */

#include <glib.h>

/* prefix and 43 characters that are safe in a header. NULL: no random numbers. */
char *client_secret_new(const char *prefix, GError **error);

/* Eight groups of four hexadecimal digits: to be typed. */
char *client_secret_new_code(GError **error);

/* What is kept of it. Of a code, case and what stands between the digits do not matter. */
GBytes *client_secret_hash(const char *secret);
GBytes *client_secret_hash_code(const char *code);

/* What a page has to show beside the session's cookie: it follows from the cookie, and the cookie
 * does not follow from it. */
char *client_secret_csrf(const char *session_secret);

/* In a time that does not tell how much is the same. */
gboolean client_secret_equal(const char *one, const char *other);
gboolean client_secret_hash_equal(GBytes *one, GBytes *other);
