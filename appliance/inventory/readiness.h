/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether a machine can be replicated, and what will be missing of it: a list of checks over what
 * is known, each with a verdict. Nothing is asked of anyone here.
 *
 *     host            it answers, and machines of its kind can be replicated
 *     machine         it is there, answers, and outlives being switched off
 *     disks           each disk can be read in a snapshot
 *     bitmaps         changes are known without reading the whole disk
 *     checkpoints     no other tool's or store's stand in the way
 *     snapshots       they stay behind
 *     devices         passthrough, shared folders, TPM, firmware variables: no part of the disks
 *     scratch-space   room on the host for what the guest overwrites during a cycle
 *     freezing        file systems can be frozen for the snapshot
 *     store           there is one, it answers, and there is room for a first copy
 *     target          no machine on a target host has the name, UUID or a MAC address
 *
 * blocked: a cycle would fail, or a machine without some disk would be the result. warning: it
 * works, and somebody should know. A check has one entry with verdict ok, or one for each thing
 * found. */

#include <json-glib/json-glib.h>

/* A machine on a host that may run the copy. */
struct readiness_other {
    const char *host;
    const char *name;
    const char *uuid;
    JsonObject *facts; /* or NULL */
};

struct readiness_store {
    const char *name;
    const char *id;      /* what its checkpoints are called after; NULL: not known */
    const char *problem; /* why nothing is known, or NULL */
    guint64 free_bytes;
    guint64 size_bytes;
    gboolean has_copy; /* of this machine: what comes are deltas */
};

/* All borrowed. */
struct readiness_input {
    const char *host;
    const char *host_status; /* as host-watch.h says */
    const char *host_detail; /* or NULL */
    const char *name;
    const char *uuid;
    const char *power;
    gboolean gone;
    JsonObject *facts;                   /* of the machine, see facts.h; or NULL */
    const char *const *exclude_disks;    /* or NULL */
    const struct readiness_store *store; /* or NULL: there is none */
    const struct readiness_other *others;
    gsize other_count;
};

/* {"ready": nothing is blocked, "verdict": the worst, "checks": [{check, verdict, message, hint}]};
 * the caller owns it. */
JsonObject *readiness_judge(const struct readiness_input *input);
