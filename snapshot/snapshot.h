/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A snapshot: a consistent, frozen, readable state of all chosen disks of a machine at one instant,
 * each disk behind an NBD end point, with the dirty bitmap that says what changed since an earlier
 * checkpoint where one can be trusted. This header is the whole of what callers see; libvirt and
 * plain NBD exports are the two ways to get one.
 *
 * Order of calls: host_open → machine_lookup → machine_clean → begin → (read the disks) → check →
 * end → commit or abort. Not thread-safe: one thread owns a host and all that comes from it. */

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
    char *unsupported_reason; /* why it cannot be snapshotted (cdrom, passthrough), or NULL */
    gboolean removable;    /* an optical, floppy or empty drive: the machine is whole without it */
    char *no_bitmap_cause; /* token: why it can have no persistent bitmap, or NULL */
};

struct snapshot_plan_disk {
    const char *name;
    guint64 replica_size_bytes;  /* at the base checkpoint: another size demotes; 0: no replica */
    const char *base_checkpoint; /* that of the replica's last recovery point, or NULL */
    guint64 churn_bytes; /* what the guest can be expected to overwrite while the snapshot is held;
                            0: unknown */
    const char *const *base_images; /* snapshot_disk.images at that time; NULL: not known */
};

/* What is wanted. All pointers are borrowed for the call. */
struct snapshot_plan {
    const struct snapshot_plan_disk *disks;
    gsize disk_count;
    const char *store_id;    /* names what is ours, "landfall-<store_id>-…": up to 40 of
                                letters, digits, '-', '_' and '.' */
    const char *const *past; /* checkpoints of earlier recovery points, the latest first; or NULL.
                                What an image that is not the expected one has of them goes. */
    guint64 number;          /* of the recovery point to be made: part of the checkpoint's name */
    const char *scratch_dir; /* on the host; NULL: beside each disk's image */
    const char *socket_dir;  /* on the host; NULL: the room's default */
    gboolean checkpoint;     /* FALSE: leave no checkpoint; every disk will be a hash scan */
    gboolean off;            /* the machine must be off: a last cycle misses nothing */
    gboolean freeze;         /* ask the guest agent, when there is one */
    unsigned freeze_deadline_ms; /* the guest is thawed no later than this after asking to freeze */
    const char *const *thaw_guard; /* command that calls snapshot_thaw_guard_run with the arguments
                                      it is given; NULL: if we are killed while the guest is frozen,
                                      it stays so until the next clean */
};

enum snapshot_consistency {
    SNAPSHOT_CRASH,      /* as after a power cut */
    SNAPSHOT_FILESYSTEM, /* file systems were frozen */
    SNAPSHOT_SHUTDOWN,   /* the machine was off, and its guest had shut down */
    SNAPSHOT_OFF,        /* the machine was off: it was killed, or nobody knows how it went off */
};

/* One disk of a running snapshot. Owned by the snapshot. */
struct snapshot_disk {
    char *name;
    char *nbd_uri;        /* as libnbd takes it; "nbd:///NAME" names just the export of a command */
    char **nbd_command;   /* transport by command (ssh … nc -U …), or NULL */
    guint64 size_bytes;   /* 0 when only the NBD server knows */
    char *bitmap;         /* meta context of the changes since the base checkpoint; NULL: all */
    char *demotion_cause; /* stable token: why bitmap is NULL (a first copy needs none), or NULL */
    char *demotion_detail; /* the same for people, or NULL */
    char **images; /* what the disk is made of, for the next plan: opaque; NULL: not known */
};

/* Causes of demotion, as stable tokens: raw, RBD and the like; the host has forgotten the base
 * checkpoint; its bitmap is missing or inconsistent in the image; the disk was resized; the disk
 * has another image; an image below it was written to; the last recovery point was made without a
 * checkpoint; a plain export has none. */
#define SNAPSHOT_CAUSE_NO_BITMAP_FORMAT "format-without-bitmaps"
#define SNAPSHOT_CAUSE_CHECKPOINT_MISSING "checkpoint-missing"
#define SNAPSHOT_CAUSE_BITMAP_BROKEN "bitmap-broken"
#define SNAPSHOT_CAUSE_SIZE_CHANGED "size-changed"
#define SNAPSHOT_CAUSE_IMAGE_REPLACED "image-replaced"
#define SNAPSHOT_CAUSE_BACKING_ALTERED "backing-altered"
#define SNAPSHOT_CAUSE_NO_CHECKPOINT "no-checkpoint"
#define SNAPSHOT_CAUSE_NBD_EXPORT "nbd-export"

/* Connects to a libvirt host; uri NULL is libvirt's default. Errors: config (bad URI), source
 * (unreachable; names the host), unsupported (no QEMU there; a transport other than local and ssh).
 */
struct snapshot_host *snapshot_host_open(const char *uri, GError **error);
void snapshot_host_free(struct snapshot_host *host);

/* Finds a machine by name or UUID. The host must outlive it. Errors: config (no such machine; the
 * hint lists some that exist), source. */
struct snapshot_machine *snapshot_machine_lookup(struct snapshot_host *host,
                                                 const char *name_or_uuid, GError **error);
void snapshot_machine_free(struct snapshot_machine *machine);

/* What is known of the machine; all borrowed. Disks: array of struct snapshot_machine_disk *. */
const char *snapshot_machine_uuid(const struct snapshot_machine *machine);
const char *snapshot_machine_name(const struct snapshot_machine *machine);
const char *snapshot_machine_xml(const struct snapshot_machine *machine);
const GPtrArray *snapshot_machine_disks(const struct snapshot_machine *machine);

/* Removes what earlier runs of the same store left on the host: our backup job, a freeze, a machine
 * started paused by us, checkpoints other than keep_checkpoint (may be NULL), scratch files and
 * sockets. The caller holds the machine's lock in the store, so what is ours is stale. Each removal
 * adds one sentence to *ret_removed (array of strings, owned by the caller). Foreign backup jobs
 * and foreign checkpoints are never touched: error conflict, naming them. allow_foreign_checkpoints
 * passes over the latter (a plan without a checkpoint does not meet them). */
gboolean snapshot_machine_clean(struct snapshot_machine *machine, const char *store_id,
                                const char *keep_checkpoint, const char *scratch_dir,
                                const char *socket_dir, gboolean allow_foreign_checkpoints,
                                GPtrArray **ret_removed, GError **error);

/* Removes all that the store has on the host, the checkpoint of its last recovery point included; a
 * machine that is off is started paused for it where it has any. Otherwise as clean; foreign
 * checkpoints are passed over. */
gboolean snapshot_machine_forget(struct snapshot_machine *machine, const char *store_id,
                                 const char *scratch_dir, const char *socket_dir,
                                 GPtrArray **ret_removed, GError **error);

/* Takes the snapshot. On failure nothing of it is left on the host. Error conflict, among others:
 * the machine was moved away, or runs though the plan wants it off. */
struct snapshot *snapshot_begin(struct snapshot_machine *machine, const struct snapshot_plan *plan,
                                GError **error);

/* The body of the process that thaws a guest when the one that froze it is killed or hangs, on
 * standard input: see thaw-guard.c. */
gboolean snapshot_thaw_guard_run(const char *uri, const char *uuid, const char *store_id,
                                 unsigned deadline_ms, GError **error);

/* A snapshot over plain NBD exports: names[i] is served at uris[i]. No host, no checkpoint. */
struct snapshot *snapshot_begin_nbd(const char *const *names, const char *const *uris,
                                    gsize disk_count, GError **error);

/* Serves the disks of a machine that is off, on this host, for writing, and keeps it from being
 * started meanwhile. Of the plan, names, store_id and socket_dir count. snapshot_end ends it. As
 * for clean, the caller holds the machine's lock in the store. Errors: unsupported (another host, a
 * disk that is no simple image), conflict (it runs), source (its images are in use). */
struct snapshot *snapshot_begin_write(struct snapshot_machine *machine,
                                      const struct snapshot_plan *plan, GError **error);

/* A word for the state of the machine's disks that changes when somebody writes to them; owned by
 * the caller. NULL: it cannot be told from here (devices, another host). */
char *snapshot_machine_state(const struct snapshot_machine *machine);

/* What was taken; all borrowed from the snapshot. Disks: array of struct snapshot_disk *.
 * Warnings: array of strings (a failed freeze, say). The checkpoint is NULL when there is none. */
const GPtrArray *snapshot_disks(const struct snapshot *snapshot);
const GPtrArray *snapshot_warnings(const struct snapshot *snapshot);
const char *snapshot_checkpoint(const struct snapshot *snapshot);
enum snapshot_consistency snapshot_consistency(const struct snapshot *snapshot);

/* How long a machine that was off took to be started paused, of the whole begin. */
guint snapshot_paused_start_ms(const struct snapshot *snapshot);

/* Whether the disks have been those of the snapshot until now: to be asked when all has been read,
 * before the data count. Error source: the job was ended, by somebody else or to keep its scratch
 * space from running out, and what was read last may be newer than the snapshot. */
gboolean snapshot_check(struct snapshot *snapshot, GError **error);

/* Reading failed with *error: puts before it what has become of the machine, the job or the host,
 * where that can be told. Takes up to two seconds, more for a host that does not answer. */
void snapshot_explain(struct snapshot *snapshot, GError **error);

/* Lets go of the guest: the disks have been read. Ends the backup job, removes scratch files and
 * sockets. Idempotent. A machine that was started paused is stopped by commit or abort: libvirt can
 * delete a checkpoint with its bitmaps as long as QEMU runs, and not after. */
gboolean snapshot_end(struct snapshot *snapshot, GError **error);

/* The recovery point is durable: the new checkpoint stays, the older ones of ours go. Calls end
 * first where that has not happened. An error leaves work for the next clean, and changes nothing
 * about the recovery point. */
gboolean snapshot_commit(struct snapshot *snapshot, GError **error);

/* The cycle failed: the new checkpoint goes, the older stays, so the next delta is a superset.
 * Calls end first where that has not happened. */
gboolean snapshot_abort(struct snapshot *snapshot, GError **error);

/* Frees memory; aborts first, errors ignored, when neither commit nor abort was called. NULL is
 * fine. */
void snapshot_free(struct snapshot *snapshot);
