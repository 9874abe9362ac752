/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Passwords of people: what they must be like, and scrypt, which takes time and memory on purpose
 * and so runs in threads, a few at once. */

#include "appliance/api/request.h"
#include "appliance/state/accounts.h"

#include <gio/gio.h>

/* Long enough, and not the account's name. Error config. */
gboolean password_check(const char *password, const char *account, GError **error);

/* Whether another may be worked on now; error API_ERROR_TOO_MANY, with Retry-After. */
gboolean password_is_idle(struct request *request, GError **error);

/* Hashes with a new salt. */
void password_hash(const char *password, GAsyncReadyCallback callback, gpointer data);
gboolean password_hash_finish(GAsyncResult *result, struct state_password *ret_password,
                              GError **error);

/* Compares. expected NULL (there is no such account) takes as long and is never right. */
void password_verify(const char *password, const struct state_password *expected,
                     GAsyncReadyCallback callback, gpointer data);
gboolean password_verify_finish(GAsyncResult *result, gboolean *ret_right, GError **error);
