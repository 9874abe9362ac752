/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A pass over blocks of one disk: as many lanes as the work is worth, each with a connection, and
 * who waits for them and tells what they do. One pass copies, another one checks the copy. */

#include "replicator/disk-cycle.h"

struct pass_plan {
    const struct extent_list *extents;     /* borrowed, sealed */
    struct lane_counters *counters;        /* borrowed */
    const struct check_expected *expected; /* what blocks must be; NULL: the pass copies */
    gboolean in_place;                     /* of a pass that copies: see struct lane_job */
};

/* Runs the lanes to their end. Takes over disk->handle, which is connected. Copying adds what
 * differed to disk->changes, ascending. Errors: source, replica, cancelled; corrupt of a check. */
gboolean disk_pass_run(struct disk_cycle *disk, const struct cycle_context *context,
                       const struct pass_plan *plan, GError **error);
