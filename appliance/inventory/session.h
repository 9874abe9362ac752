/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A connection to a host in its lane: what libvirtd knows by itself, without asking QEMU or a
 * guest. It lists machines, reads them, and hears of changes by libvirt's events. A session ends
 * with its connection; what it finds is handed to the maker of the lane. */

#include "appliance/inventory/guest-lane.h"
#include "snapshot/libvirt.h"

/* Who gets what is found; each is a lane_receive. */
struct session_receivers {
    lane_receive connected; /* JsonObject: facts of the host, see below */
    lane_receive guests;    /* struct session_guests: the lane beside this one */
    lane_receive lost;      /* GError: could not connect, or the connection has ended */
    lane_receive listed;    /* GPtrArray of char *: the UUIDs of all machines that there are */
    lane_receive machine;   /* struct session_machine */
    lane_receive gone;      /* char *: the UUID of a machine that is no longer there */
    lane_receive passed;    /* NULL: all machines of the last list have been read */
    lane_receive looked;    /* char *: the UUID that session_look had, after the machine; or NULL */
    struct guest_receivers of_guests;
};

/* Facts of a host: driver ("QEMU", "ESX", …), hostname, libvirt_version, hypervisor_version,
 * architecture, cpus, memory_bytes, events (all changes are told at once), replication (supported,
 * why, hint). */

/* Whoever receives it takes the lane, and leaves NULL. The connection is never a reference of the
 * maker's: closing the last one may hang. */
struct session_guests {
    struct lane *lane;
};

struct session_machine {
    char *uuid;
    char *name;
    gboolean arrived;  /* it runs, and has come from another host while it did */
    const char *power; /* running, paused, off, shutting-down, crashed, suspended */
    JsonObject *facts; /* snapshot/definition.h, and: persistent, autostart, managed_save,
                          snapshots[] (names), checkpoints[] (names, of other tools),
                          usage.checkpoints[] (of ours: name, store); or just problem */
};

/* What a session needs to begin; all borrowed for the call, but the receivers for good. */
struct session_settings {
    const char *uri;
    const char *user;        /* or NULL */
    const char *password;    /* or NULL */
    guint deadline_ms;       /* of a call to libvirtd */
    guint guest_deadline_ms; /* of a call to QEMU or an agent */
    const struct session_receivers *receivers;
};

/* Opens a lane and connects; then there are the host's facts, and the lane of guests. */
struct lane *session_open(const struct session_settings *settings, struct lane_hung *hung,
                          gpointer receiver);

/* Lists the machines, and reads all of them. */
void session_pass(struct lane *lane);

/* Before all else: asks the host whether it is there, and reads the machine if uuid is not NULL. */
void session_look(struct lane *lane, const char *uuid);

/* The lane of guests hangs: another one. */
void session_renew_guests(struct lane *lane);
