/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Guessing is slow: after some failures in a row of one account, or from one address (of IPv6: from
 * one /64), further tries are refused for a time that doubles with each. It survives a restart.
 * Root on the unix socket needs no password, so nobody can lock him out. */

#include "appliance/api/request.h"

/* Counts a try, before its outcome is known, so that many at once do not count as one. Error
 * API_ERROR_TOO_MANY, with Retry-After, when the account or the address of the request is locked;
 * that is the same whether there is such an account or not. */
gboolean lockout_try(struct request *request, const char *account, GError **error);

/* It was the right password after all. */
gboolean lockout_succeeded(struct request *request, const char *account, GError **error);
