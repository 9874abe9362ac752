/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What landfalld remembers: one SQLite database in a folder of its own. Hosts, machines and so on
 * have a header each in this folder; there is no SQL outside of it. One daemon at a time has a
 * folder, and the thread that opened it alone uses it.
 *
 * Errors of all functions here: config (a value is not allowed), missing (no such row), conflict
 * (it is there already, or still needed), corrupt (the file is not what was written), internal
 * (the database cannot be read or written). Nothing has changed when a function fails. */

#include <glib.h>

struct state;

/* Opens or creates the state in folder, which is created (not its parents); one that others may
 * look into is refused. Brings an older database up to date; a newer one is error unsupported. The
 * key that seals secrets is read from key_file and created there if there is neither key nor
 * database yet; NULL is "key" in folder. */
struct state *state_open(const char *folder, const char *key_file, GError **error);
void state_free(struct state *state);

/* A change of several parts. What stands between the two becomes durable as one or not at all:
 *
 *     if (!state_begin(state, error))
 *         return FALSE;
 *     gboolean ok = first(…, error) && second(…, error);
 *     return state_end(state, ok, error);
 *
 * Pairs may stand inside each other; a failure of an inner one undoes that one. state_end with ok
 * FALSE takes the changes back, leaves *error as it is, and returns FALSE. */
gboolean state_begin(struct state *state, GError **error);
gboolean state_end(struct state *state, gboolean ok, GError **error);

/* Microseconds since 1970, UTC: the time in all *_us of this folder. */
gint64 state_now_us(void);

/* Whether text can name a host, store or account: a to z, 0 to 9, '.', '_', '-', beginning with a
 * letter or digit, at most 63 characters. Otherwise error config; what is the word for the thing.
 */
gboolean state_check_name(const char *what, const char *text, GError **error);
