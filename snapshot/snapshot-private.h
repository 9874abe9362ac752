/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of this room share and callers never see: the structs behind the opaque pointers,
 * and one block of functions for each file. Functions follow the room's contract: they set *error
 * and return FALSE or NULL on failure, and leave ret_x outputs alone then. */

#include "snapshot/libvirt.h"
#include "snapshot/snapshot.h"
#include "snapshot/xml.h"

#include <gio/gio.h>
#include <glib.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomainCheckpoint, virDomainCheckpointFree)

struct snapshot_host {
    /* Set by open, never changed. */
    char *uri;        /* canonical, as libvirt says it */
    gboolean local;   /* QEMU runs here: its sockets and files are ours to see */
    gboolean session; /* an unprivileged libvirt: qemu:///session */
    GStrv ssh;        /* the ssh command up to and with the host, or NULL */
    char *netcat;     /* the program on the host that speaks to a unix socket */

    /* Replaced when the connection was lost. */
    virConnectPtr connection;
    gboolean silent; /* it did not answer when it was asked for another one */
};

/* The public disk with what only this room needs. The public part comes first, so that the array
 * of the machine serves both. */
struct machine_disk {
    struct snapshot_machine_disk public;
    char *image_dir;    /* the folder its image file lies in, or NULL when it is no file */
    GPtrArray *places;  /* char *: where its images are, the one that is written first */
    gboolean is_plain;  /* one file or block device, and nothing special about it */
    gboolean read_only; /* the guest cannot write it: libvirt keeps no checkpoint of it */
};

struct snapshot_machine {
    /* Set by lookup, never changed. */
    struct snapshot_host *host; /* borrowed */
    char *uuid;
    char *name;
    char *tag; /* tells this machine's files from those of other machines of the same store */

    /* Replaced when the machine was started or the connection renewed. */
    virDomainPtr domain;
    char *xml;        /* the persistent definition */
    GPtrArray *disks; /* struct machine_disk *, of the running definition when there is one */

    /* Found stale by clean while the machine was off: deleted at the next begin. */
    GPtrArray *stale_checkpoints;
};

struct snapshot {
    /* Set by begin, never changed. */
    struct snapshot_machine *machine; /* borrowed; NULL over plain NBD exports */
    char *store_id;
    GPtrArray *disks; /* struct snapshot_disk * */
    char *checkpoint; /* or NULL */
    GStrv lost;       /* checkpoints that images may have bitmaps of, unknown to libvirt; or NULL */
    char *socket_path;  /* on the host */
    GPtrArray *scratch; /* char *: paths on the host */
    gboolean started_paused;
    gboolean is_offline; /* the images are served as they lie there, and the checkpoint is an older
                            one that stays */
    guint paused_start_ms;
    enum snapshot_consistency consistency;

    /* Grows until the snapshot is freed. */
    GPtrArray *warnings; /* char * */

    struct offline *offline;             /* who serves those images, while the snapshot is held */
    struct scratch_watch *scratch_watch; /* while the snapshot is held */
    struct freeze *unthawed; /* the guest did not thaw: a thread goes on trying; or NULL */

    /* How far letting go has come. */
    gboolean ended;    /* the job is gone, its files too */
    gboolean finished; /* committed or aborted */
};

/* --- event-loop.c: libvirt's events, in a thread of their own
 * ----------------------------------------------------------------------------------- */

/* Once, before the first connection. */
void snapshot_event_loop_start(void);

/* --- host.c
 * ----------------------------------------------------------------------------------------- */

/* Opens the connection again when it was lost (a restarted libvirtd). */
gboolean snapshot_host_revive(struct snapshot_host *host, gboolean *ret_renewed, GError **error);

/* --- machine.c, machine-disks.c
 * -------------------------------------------------------------------- */

/* Renews the connection where needed, and reads the definition and the disks anew. */
gboolean snapshot_machine_refresh(struct snapshot_machine *machine, GError **error);

/* As refresh without reading the definition: for the way out, where only the handle is needed. */
gboolean snapshot_machine_revive(struct snapshot_machine *machine, GError **error);

/* Whether QEMU runs for it. A host that does not answer is an error, never a "no": files of a job
 * that runs on would be taken away from under it. A machine that is gone altogether is inactive. */
gboolean snapshot_machine_ask_active(struct snapshot_machine *machine, gboolean *ret_active,
                                     GError **error);
struct machine_disk *snapshot_machine_find_disk(const struct snapshot_machine *machine,
                                                const char *name);

#define SNAPSHOT_DISK_XPATH "/domain/devices/disk"

/* The disks of a domain definition: array of struct machine_disk *, sizes not yet filled. From the
 * document, in the order of SNAPSHOT_DISK_XPATH. */
GPtrArray *snapshot_machine_disks_parse(const char *domain_xml, GError **error);
GPtrArray *snapshot_machine_disks_read(xmlDocPtr document);

/* --- definition.c
 * ----------------------------------------------------------------------------------------- */

enum snapshot_agent { SNAPSHOT_AGENT_NONE, SNAPSHOT_AGENT_SILENT, SNAPSHOT_AGENT_CONNECTED };

/* Whether a domain definition has a guest agent, and whether that is there. */
enum snapshot_agent snapshot_agent_state(xmlDocPtr document);

/* --- names.c: what is ours, by its name
 * ------------------------------------------------------------ */

#define SNAPSHOT_STORE_ID_LENGTH_MAX 40

gboolean snapshot_store_id_check(const char *store_id, GError **error);
char *snapshot_machine_tag(const char *uuid);

/* "landfall-<store_id>-<number>-<tag>-<random>": the checkpoint's name and the scratch files' stem.
 */
char *snapshot_stem_new(const struct snapshot_machine *machine, const char *store_id,
                        guint64 number);
char *snapshot_socket_name(const struct snapshot_machine *machine, const char *store_id);

/* Whether a checkpoint was made by this store. */
gboolean snapshot_checkpoint_is_ours(const char *name, const char *store_id);

/* Whether a path names a scratch file or socket of this store's cycles of this machine. */
gboolean snapshot_file_is_ours(const struct snapshot_machine *machine, const char *store_id,
                               const char *path);

/* --- images.c: which images a disk is made of
 * ------------------------------------------------------- */

/* The identities of the disk's images, the one that is written first; for those that lie below it
 * and did so before, with the time of their last change. before: what this gave at the base
 * checkpoint, or NULL. The caller owns them. */
GStrv snapshot_images(const struct snapshot_machine *machine, const struct machine_disk *disk,
                      const char *const *before);

/* Whether a bitmap from when the disk was made of those images tells all that changed: NULL, or the
 * cause why not, with the image that it is about (borrowed). */
const char *snapshot_images_judge(const char *const *before, const char *const *now,
                                  const char **ret_image);

/* --- places.c: folders and files on the host
 * ------------------------------------------------------- */

/* The folder for the socket: socket_dir, or the room's default for this host and machine. */
char *snapshot_socket_dir(const struct snapshot_machine *machine, const char *socket_dir,
                          gsize name_length);
const char *snapshot_scratch_dir(const struct snapshot_machine *machine,
                                 const struct machine_disk *disk, const char *scratch_dir);

/* Removes one of our files on the host. A file that is not there is fine. *ret_removed may be NULL.
 */
gboolean snapshot_file_remove(struct snapshot_host *host, const char *path, gboolean *ret_removed,
                              GError **error);

/* Removes our files from a local folder; adds a sentence each to removed. */
gboolean snapshot_files_remove_stale(struct snapshot_machine *machine, const char *store_id,
                                     const char *folder, GPtrArray *removed, GError **error);

/* --- endpoint.c: how the caller reaches an export
 * --------------------------------------------------- */

/* Fills nbd_uri and nbd_command of a disk served at the unix socket. */
void snapshot_endpoint_fill(const struct snapshot_host *host, const char *socket_path,
                            struct snapshot_disk *disk);

/* Whether a socket of this name in this folder has a path that the kernel takes. */
gboolean snapshot_endpoint_fits(const char *folder, const char *name, GError **error);

/* Whether the socket can be connected to from here; always TRUE for a remote host. */
gboolean snapshot_endpoint_check(const struct snapshot_host *host, const char *socket_path,
                                 GError **error);

/* --- marker.c: notes to our later selves in the machine's metadata
 * ---------------------------------- */

#define SNAPSHOT_STARTED_PAUSED_URI "urn:landfall:started-paused:"

enum marker {
    MARKER_FROZEN,         /* live: the guest's file systems were frozen by us */
    MARKER_STARTED_PAUSED, /* persistent: the machine was off, and started paused by us */
};

gboolean snapshot_marker_set(struct snapshot_machine *machine, enum marker marker,
                             const char *store_id, GError **error);
gboolean snapshot_marker_present(struct snapshot_machine *machine, enum marker marker,
                                 const char *store_id);
gboolean snapshot_marker_remove(struct snapshot_machine *machine, enum marker marker,
                                const char *store_id, GError **error);

/* --- job.c: the backup job
 * --------------------------------------------------------------------------- */

enum job_owner { JOB_NONE, JOB_OURS, JOB_FOREIGN };

/* Looks for a backup job. Its files (array of char *) are filled for one of ours; ret_what
 * describes a foreign one. Both may be left as they are. */
gboolean snapshot_job_find(struct snapshot_machine *machine, const char *store_id,
                           enum job_owner *ret_owner, GPtrArray *files, char **ret_what,
                           GError **error);

/* The paths a job uses by its definition: scratch images, targets and the socket. */
GPtrArray *snapshot_job_paths(xmlDocPtr document);

/* Ends the backup job and waits until it is gone. No job is fine. The caller knows that it is ours.
 */
gboolean snapshot_job_end(struct snapshot_machine *machine, GError **error);

/* Fails with a conflict when a migration, save, dump or block job of others runs. */
gboolean snapshot_job_check_others(struct snapshot_machine *machine, GError **error);

/* --- checkpoint.c
 * ------------------------------------------------------------------------------------- */

/* The names of all checkpoints of the machine, parents first. */
GPtrArray *snapshot_checkpoint_list(struct snapshot_machine *machine, GError **error);

/* The disks whose bitmaps of this checkpoint are all there and sound: a set of names. NULL with
 * *ret_missing TRUE: the host has no such checkpoint. */
GHashTable *snapshot_checkpoint_usable_disks(struct snapshot_machine *machine, const char *name,
                                             gboolean *ret_missing, GError **error);

/* The same from the definition that libvirt gives when asked for sizes. */
GHashTable *snapshot_checkpoint_usable_parse(xmlDocPtr document);

/* Deletes a checkpoint with its bitmaps, also where some of these are gone. The machine is active.
 */
gboolean snapshot_checkpoint_delete(struct snapshot_machine *machine, const char *name,
                                    GError **error);

/* Deletes the bitmaps of a checkpoint that libvirt does not know (any more), where there are any.
 * The machine is active. */
gboolean snapshot_checkpoint_delete_lost(struct snapshot_machine *machine, const char *name,
                                         GError **error);

/* Tries whether a disk can carry a checkpoint, by making one and deleting it. NULL: it can. */
char *snapshot_checkpoint_probe(struct snapshot_machine *machine, const char *stem,
                                const char *disk_name);

/* --- backup-xml.c
 * -------------------------------------------------------------------------------------- */

/* What begin decided for one disk. */
struct disk_decision {
    const struct machine_disk *disk; /* borrowed */
    char *incremental; /* the base checkpoint whose bitmap is exported, or NULL: full */
    char *scratch_path;
    GStrv images;        /* what the disk is made of */
    gboolean checkpoint; /* the new checkpoint covers it */
    char *cause;         /* demotion, or NULL */
    char *detail;
    guint64 size_bytes;
};

#define SNAPSHOT_EXPORT_BITMAP "landfall-delta"

/* decisions: array of struct disk_decision *. Disks of the machine outside of it are left out. */
char *snapshot_backup_xml(const struct snapshot_machine *machine, const GPtrArray *decisions,
                          const char *socket_path);

/* NULL when no disk can carry a checkpoint. */
char *snapshot_checkpoint_xml(const struct snapshot_machine *machine, const GPtrArray *decisions,
                              const char *name);

/* --- decide.c
 * -------------------------------------------------------------------------------------------- */

/* What each disk of the plan gets: array of struct disk_decision *. The machine is active, the plan
 * was checked, and the host is only read from. Never fails: what cannot be judged is demoted. */
GPtrArray *snapshot_decide(struct snapshot_machine *machine, const struct snapshot_plan *plan,
                           const char *stem);

/* Why a disk can carry no bitmap, for people; owned by the caller. */
char *snapshot_no_bitmap_detail(const struct machine_disk *disk);

/* --- offline.c: the images of a machine that is off, without a start
 * ----------------------------------------------------------------------------------- */

/* Serves the disks of the plan as they lie there, and keeps writers away from them. FALSE: that
 * cannot be done here, or not without loss, and nothing has changed. The machine is off. */
gboolean snapshot_offline_begin(struct snapshot *snapshot, const struct snapshot_plan *plan);

/* Whether they are served still. */
gboolean snapshot_offline_serves(const struct snapshot *snapshot);

/* Lets go of the images; idempotent. The socket's file stays. */
void snapshot_offline_end(struct snapshot *snapshot);

/* --- scratch.c: room for scratch images
 * -------------------------------------------------------------------------------------------- */

struct scratch_watch;

/* Looks at the room in the scratch folders, and starts the thread that ends the job of the plan's
 * store when it runs low. NULL and error source when it is low already; little room, or a host
 * where it cannot be seen, is a warning. decisions has the disks of the plan in their order. */
struct scratch_watch *snapshot_scratch_watch_start(const struct snapshot_machine *machine,
                                                   const struct snapshot_plan *plan,
                                                   const GPtrArray *decisions, GPtrArray *warnings,
                                                   GError **error);

/* Whether the watch has let the job be; NULL is fine. Error source: it has ended it. */
gboolean snapshot_scratch_watch_check(struct scratch_watch *watch, GError **error);

/* Ends the thread; NULL is fine. */
void snapshot_scratch_watch_stop(struct scratch_watch *watch, GPtrArray *warnings);

/* --- begin.c, end.c
 * ---------------------------------------------------------------------------------- */

/* An empty snapshot of a machine (NULL: over plain exports), to be filled. */
struct snapshot *snapshot_new(struct snapshot_machine *machine, const char *store_id);

/* Ends our job where it is still there, and removes its files. What a lost connection, a dead QEMU
 * or a second call leave of that is fine. */
gboolean snapshot_let_go(struct snapshot *snapshot, GError **error);

/* --- freeze.c
 * --------------------------------------------------------------------------------------------- */

struct freeze;

/* Freezes the guest's file systems, and starts the watch that thaws them at the deadline. Never
 * fails: NULL means that the guest runs on, and a warning says why where an agent was there. */
struct freeze *snapshot_freeze(struct snapshot_machine *machine, const struct snapshot_plan *plan,
                               GPtrArray *warnings);

/* Thaws. TRUE when the guest stood still until this call. *freeze is freed and NULL afterwards,
 * unless the agent did not thaw: then a thread goes on trying until finish is called. */
gboolean snapshot_thaw(struct freeze **freeze, GPtrArray *warnings);

/* Ends what snapshot_thaw could not; NULL is fine. */
void snapshot_thaw_finish(struct freeze *freeze, GPtrArray *warnings);

/* Thaws the guest of an active machine that a dead owner left frozen, and says so, or why it could
 * not. */
void snapshot_thaw_stale(struct snapshot_machine *machine, const char *store_id,
                         GPtrArray *removed);

/* --- thaw-guard.c: a process that thaws when we cannot
 * ----------------------------------------------------------------------------------- */

/* Starts it; NULL when the plan names none, or with a warning. */
GSubprocess *snapshot_thaw_guard_start(const struct snapshot_machine *machine,
                                       const struct snapshot_plan *plan, GPtrArray *warnings);

/* The guest is thawed, or the note for the next clean is all that can be done; NULL is fine. */
void snapshot_thaw_guard_dismiss(GSubprocess *guard);

/* --- paused-start.c
 * ----------------------------------------------------------------------------------------- */

/* Starts an inactive machine with its CPUs stopped, and leaves the marker. */
gboolean snapshot_paused_start(struct snapshot_machine *machine, const char *store_id,
                               GError **error);

/* Stops it again if nobody let it run meanwhile; drops the marker either way. */
gboolean snapshot_paused_stop(struct snapshot_machine *machine, const char *store_id,
                              gboolean *ret_left_running, GError **error);
