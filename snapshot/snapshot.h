/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A snapshot: a consistent, frozen, readable state of all chosen disks of a machine at one instant,
 * each disk behind an NBD end point, with the dirty bitmap that says what changed since an earlier
 * checkpoint where one can be trusted. This header is the whole of what callers see; libvirt and
 * plain NBD exports are the two ways to get one.
 *
 * Order of calls: host_open → machine_lookup → machine_clean → begin → (read the disks) → end →
 * commit or abort. Not thread-safe: one thread owns a host and all that comes from it. */

#include <glib.h>

struct snapshot_host;    /* a connection to a host */
struct snapshot_machine; /* a machine found there */
struct snapshot;

/* One virtual disk of a machine, as its definition says. Owned by the machine, never changed. */
struct snapshot_machine_disk {
    char *name;               /* target device: "vda" */
    char *format;             /* "qcow2", "raw", … */
    char *source;             /* path, device or network name, for people */
    guint64 size_bytes;       /* virtual size; 0 when it cannot be known before the snapshot */
    char *unsupported_reason; /* why it cannot be snapshotted (cdrom, empty, passthrough), or NULL */
    gboolean removable;       /* an optical, floppy or empty drive: the machine is whole without it */
    char *no_bitmap_cause;    /* why it can have no persistent bitmap ("format-without-bitmaps"), or NULL */
};

struct snapshot_plan_disk {
    const char *name;
    guint64 replica_size_bytes;  /* size at the base checkpoint: another size now demotes; 0: no replica yet */
    const char *base_checkpoint; /* the checkpoint the replica's last recovery point was made at, or NULL */
};

/* What is wanted. All pointers are borrowed for the call. */
struct snapshot_plan {
    const struct snapshot_plan_disk *disks;
    gsize disk_count;
    const char *store_id;        /* names what is ours: "landfall-<store_id>-…" */
    guint64 number;              /* of the recovery point to be made: part of the checkpoint's name */
    const char *scratch_dir;     /* on the host; NULL: beside each disk's image */
    const char *socket_dir;      /* on the host; NULL: the room's default */
    gboolean checkpoint;         /* FALSE: leave no checkpoint; every disk will be a hash scan */
    gboolean freeze;             /* ask the guest agent, when there is one */
    unsigned freeze_deadline_ms; /* the guest is thawed no later than this after the freeze was asked */
};

enum snapshot_consistency {
    SNAPSHOT_CRASH,      /* as after a power cut */
    SNAPSHOT_FILESYSTEM, /* file systems were frozen */
    SNAPSHOT_SHUTDOWN,   /* the machine was off */
};

/* One disk of a running snapshot. Owned by the snapshot. */
struct snapshot_disk {
    char *name;
    char *nbd_uri;         /* as libnbd takes it */
    char **nbd_command;    /* transport by command (ssh), its arguments, or NULL; nbd_uri then names the export only */
    guint64 size_bytes;    /* 0 when only the NBD server knows */
    char *bitmap;          /* NBD meta context of what changed since the base checkpoint, or NULL: all blocks */
    char *demotion_cause;  /* why bitmap is NULL though the replica has content: stable token, or NULL */
    char *demotion_detail; /* the same for people, or NULL */
};

/* Causes of demotion, as stable tokens. */
#define SNAPSHOT_CAUSE_NO_BITMAP_FORMAT "format-without-bitmaps" /* raw, RBD, … */
#define SNAPSHOT_CAUSE_CHECKPOINT_MISSING "checkpoint-missing"   /* the host does not know it any more */
#define SNAPSHOT_CAUSE_BITMAP_BROKEN "bitmap-broken"             /* missing or inconsistent in the image */
#define SNAPSHOT_CAUSE_SIZE_CHANGED "size-changed"
#define SNAPSHOT_CAUSE_NO_CHECKPOINT "no-checkpoint" /* the last recovery point was made without */
#define SNAPSHOT_CAUSE_NBD_EXPORT "nbd-export"       /* a plain export has no checkpoints */

/* Connects to a libvirt host. Errors: config (bad URI), source (unreachable; names the host). */
struct snapshot_host *snapshot_host_open(const char *uri, GError **error);
void snapshot_host_free(struct snapshot_host *host);

/* Finds a machine by name or UUID. The host must outlive it. Errors: config (no such machine; the
 * hint lists some that exist), source. */
struct snapshot_machine *snapshot_machine_lookup(struct snapshot_host *host, const char *name_or_uuid,
                                                 GError **error);
void snapshot_machine_free(struct snapshot_machine *machine);

/* What is known of the machine; all borrowed. Disks: array of struct snapshot_machine_disk *. */
const char *snapshot_machine_uuid(const struct snapshot_machine *machine);
const char *snapshot_machine_name(const struct snapshot_machine *machine);
const char *snapshot_machine_xml(const struct snapshot_machine *machine);
const GPtrArray *snapshot_machine_disks(const struct snapshot_machine *machine);

/* Removes what earlier runs of the same store left on the host: our backup job, a freeze, a machine
 * started paused by us, checkpoints other than keep_checkpoint (may be NULL), scratch files and
 * sockets. The caller holds the machine's lock in the store, so what is ours is stale. Each removal
 * adds one sentence to *ret_removed (array of strings, owned by the caller). Foreign backup jobs and
 * foreign checkpoints are never touched: error conflict, naming them. allow_foreign_checkpoints
 * passes over the latter (a plan without a checkpoint does not meet them). */
gboolean snapshot_machine_clean(struct snapshot_machine *machine, const char *store_id,
                                const char *keep_checkpoint, const char *scratch_dir,
                                const char *socket_dir, gboolean allow_foreign_checkpoints,
                                GPtrArray **ret_removed, GError **error);

/* Takes the snapshot. On failure nothing of it is left on the host. */
struct snapshot *snapshot_begin(struct snapshot_machine *machine, const struct snapshot_plan *plan,
                                GError **error);

/* A snapshot over plain NBD exports: names[i] is served at uris[i]. No host, no checkpoint. */
struct snapshot *snapshot_begin_nbd(const char *const *names, const char *const *uris,
                                    gsize disk_count, GError **error);

/* What was taken; all borrowed from the snapshot. Disks: array of struct snapshot_disk *.
 * Warnings: array of strings (a failed freeze, say). The checkpoint is NULL when there is none. */
const GPtrArray *snapshot_disks(const struct snapshot *snapshot);
const GPtrArray *snapshot_warnings(const struct snapshot *snapshot);
const char *snapshot_checkpoint(const struct snapshot *snapshot);
enum snapshot_consistency snapshot_consistency(const struct snapshot *snapshot);

/* Lets go of the guest: the disks have been read. Ends the backup job, removes scratch files and
 * sockets, stops a machine that was started paused. Idempotent. */
gboolean snapshot_end(struct snapshot *snapshot, GError **error);

/* The recovery point is durable: the new checkpoint stays, the older ones of ours go. After end. */
gboolean snapshot_commit(struct snapshot *snapshot, GError **error);

/* The cycle failed: the new checkpoint goes, the older stays, so the next delta is a superset.
 * Calls end first where that has not happened. */
gboolean snapshot_abort(struct snapshot *snapshot, GError **error);

/* Frees memory; aborts first (errors ignored) when neither commit nor abort was called. NULL is fine. */
void snapshot_free(struct snapshot *snapshot);
