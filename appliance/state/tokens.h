/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* API tokens: for programs, with a role of their own. Known by their SHA-256. */

#include "appliance/state/state.h"

struct state_token {
    gint64 id;
    char *name;
    char *role; /* viewer or operator */
    gint64 added_us;
    char *added_by;
    gint64 expires_us; /* 0: never */
    gint64 seen_us;    /* last used, within a minute; 0: never */
};

void state_token_free(struct state_token *token);

/* All, by id. The caller owns the array, which owns the struct state_token. */
GPtrArray *state_token_list(struct state *state, GError **error);

/* By name, role, added_by and expires_us; sets id. Error config for a bad name or role, conflict
 * when there is one of that name. */
gboolean state_token_add(struct state *state, struct state_token *token, GBytes *hash,
                         GError **error);

/* *ret_token is NULL when there is none with that hash. The caller owns it. */
gboolean state_token_find(struct state *state, GBytes *hash, struct state_token **ret_token,
                          GError **error);

/* It is in use. */
gboolean state_token_touch(struct state *state, gint64 id, GError **error);

/* From now on it opens nothing. */
gboolean state_token_remove(struct state *state, const char *who, gint64 id, GError **error);
