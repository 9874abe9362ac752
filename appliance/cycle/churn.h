/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How much a guest can be expected to overwrite while a snapshot is held, by what earlier cycles
 * measured. */

#include "replicator/store.h"

/* In bytes, for one disk; 0 when no cycle has measured it. */
guint64 churn_expect(const struct store_machine *replicas, const char *disk);
