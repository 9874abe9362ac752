/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Secrets, sealed by AES-256-GCM under the key of state_open. A sealed value opens only for the
 * owner and name it was sealed for: a row copied to another place is corrupt. */

#include "appliance/state/state.h"

#define STATE_SECRET_BYTES_MAX (64u * 1024)

/* owner is such as host/NAME. Replaces what was there; the audit learns that, not the value. */
gboolean state_secret_set(struct state *state, const char *who, const char *owner, const char *name,
                          const void *data, gsize length_bytes, GError **error);

/* *ret_secret is NULL when there is none; otherwise the caller owns it, and its memory is wiped
 * with the last reference. A 0 that is not counted follows the value. Error corrupt when it was
 * changed, or sealed by another key. */
gboolean state_secret_get(struct state *state, const char *owner, const char *name,
                          GBytes **ret_secret, GError **error);

/* That there is none is no error. */
gboolean state_secret_remove(struct state *state, const char *who, const char *owner,
                             const char *name, GError **error);
