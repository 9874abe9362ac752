/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who moves a machine: a file beside its recovery points, which stays over restarts of everybody
 * until the move is over. Its text alone decides, for the lock that orders writers ends with a
 * process. While it is there, nobody else replicates the machine or moves it. */

#include "replicator/store.h"

/* Who takes it; borrowed. */
struct store_lease {
    const char *token; /* by which the holder is known again */
    const char *who;   /* in words: "migrate (operation 12) of landfalld on alpha, by ann" */
};

/* Takes the machine's lease; the holder may do so again. The machine's folder is there. Errors:
 * conflict (somebody else has it: says who), corrupt, replica. */
gboolean store_lease_take(const struct store *store, const char *key,
                          const struct store_lease *lease, GError **error);

/* Whether whoever comes with the token (NULL: with none) may work on the machine: nobody has the
 * lease, or he has. Error conflict says who has it. */
gboolean store_lease_check(const struct store *store, const char *key, const char *token,
                           GError **error);

/* Gives it back; that it is not there is no error, nor that somebody else has it. */
gboolean store_lease_release(const struct store *store, const char *key, const char *token,
                             GError **error);
