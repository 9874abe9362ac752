/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sessions of people who have logged in, known by the SHA-256 of what their cookie holds; and who
 * has failed to log in how often. */

#include "appliance/state/state.h"

struct state_session {
    char *account;
    char *role; /* of the account, today */
    gint64 started_us;
    gint64 seen_us;
};

void state_session_free(struct state_session *session);

/* A login: noted at the account, and in the audit log. Sessions that are over by idle_us or life_us
 * are forgotten. */
gboolean state_session_add(struct state *state, GBytes *hash, const char *account,
                           const char *address, gint64 idle_us, gint64 life_us, GError **error);

/* *ret_session is NULL when there is none with that hash. The caller owns it. */
gboolean state_session_find(struct state *state, GBytes *hash, struct state_session **ret_session,
                            GError **error);

/* It is in use. */
gboolean state_session_touch(struct state *state, GBytes *hash, GError **error);

/* A logout; there may be no such session. */
gboolean state_session_remove(struct state *state, const char *who, GBytes *hash, GError **error);

/* How many logins as key failed in a row, and until when another is not even tried. Zeros: none. */
struct state_lockout {
    gint64 failures;
    gint64 last_us;
    gint64 until_us;
};

gboolean state_lockout_get(struct state *state, const char *key, struct state_lockout *ret_lockout,
                           GError **error);

/* Another failure, with an audit row when until_us is in the future. The oldest keys are forgotten
 * beyond some thousands. */
gboolean state_lockout_set(struct state *state, const char *who, const char *key,
                           const struct state_lockout *lockout, GError **error);

/* A success. */
gboolean state_lockout_clear(struct state *state, const char *key, GError **error);
