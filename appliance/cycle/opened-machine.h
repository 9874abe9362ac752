/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the store commands have in common. */

#include "replicator/store.h"

/* A machine of a store, open for reading or writing, found by name or UUID. */
struct opened_machine {
    struct store *store;
    struct store_machine *machine;
};

gboolean opened_machine_open(struct opened_machine *opened, const char *folder, const char *name,
                             enum store_mode mode, GError **error);
void opened_machine_close(struct opened_machine *opened);

/* The recovery point of that number, 0: the latest. Error config names the ones there are. */
struct manifest *opened_machine_point(const struct opened_machine *opened, guint64 number,
                                      GError **error);
