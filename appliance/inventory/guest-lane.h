/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What QEMU, an image's file system or a guest's agent has to answer: sizes of disks, room for
 * scratch images, what the agent tells. Any of these may hang without its host being to blame, so
 * they are asked in a lane of their own beside the host's, over the same connection. */

#include "appliance/inventory/lane.h"

#include <json-glib/json-glib.h>
#include <libvirt/libvirt.h>

struct guest_receivers {
    lane_receive sizes; /* struct guest_answer */
    lane_receive agent; /* struct guest_answer */
};

struct guest_answer {
    char *uuid;

    /* Of sizes: capacities has disk names and bytes; usage has disks.NAME.allocation_bytes and
     * folders.PATH.free_bytes. Of the agent: hostname, os (id, name, version, kernel),
     * file_systems[] (mount, type, total_bytes, disks[]), or problem; usage has none. */
    JsonObject *facts;
    JsonObject *usage;
};

/* connection: the lane takes a reference. local: the host's files can be seen from here. The
 * receivers are borrowed for good. */
struct lane *guest_lane_open(virConnectPtr connection, gboolean local, guint deadline_ms,
                             const struct guest_receivers *receivers, struct lane_hung *hung,
                             gpointer receiver);

void guest_lane_ask_sizes(struct lane *lane, const char *uuid);
void guest_lane_ask_agent(struct lane *lane, const char *uuid);
