/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Accounts of people, with the hashes of their passwords; and the code that makes the first one. */

#include "appliance/state/state.h"

#define STATE_PASSWORD_BYTES 32u /* of salt and hash each */

/* A password as scrypt leaves it. */
struct state_password {
    guint8 salt[STATE_PASSWORD_BYTES];
    guint8 hash[STATE_PASSWORD_BYTES];
    guint64 n, r, p;
};

struct state_account {
    char *name;
    char *role; /* viewer or operator */
    struct state_password password;
    gint64 added_us;
    gint64 password_us; /* when it was set */
    gint64 seen_us;     /* the last login, 0: never */
};

void state_account_free(struct state_account *account);

/* All, by name. The caller owns the array, which owns the struct state_account. */
GPtrArray *state_account_list(struct state *state, GError **error);

/* The caller owns it; error missing when there is none. */
struct state_account *state_account_get(struct state *state, const char *name, GError **error);

/* Error config for a bad name, conflict when there is one of that name. The set-up code, if there
 * is one, is worth nothing from then on. */
gboolean state_account_add(struct state *state, const char *who, const char *name, const char *role,
                           const struct state_password *password, GError **error);

/* role or password may be NULL, to keep it. A new password ends the sessions of the account. Error
 * conflict when no operator would be left. */
gboolean state_account_change(struct state *state, const char *who, const char *name,
                              const char *role, const struct state_password *password,
                              GError **error);

/* Ends its sessions, too. Error conflict when no operator would be left. */
gboolean state_account_remove(struct state *state, const char *who, const char *name,
                              GError **error);

/* Keeps the SHA-256 of the code that the first account is made with. */
gboolean state_setup_code_set(struct state *state, GBytes *hash, GError **error);

/* *ret_hash is NULL when there is no code: never was, or an account has been made. */
gboolean state_setup_code_get(struct state *state, GBytes **ret_hash, GError **error);
