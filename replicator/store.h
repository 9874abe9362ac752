/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The store: a folder of machines, each with its recovery points. The layout stands in this room's
 * README. Opening for writing takes the machine's lock and recovers: it ends at the last committed
 * recovery point, whatever happened before. Opening for reading changes nothing. */

#include "replicator/manifest.h"

struct store {
    char *path; /* set once */
    char *id;   /* set once: 12 hexadecimal digits that name what is this store's on a host */
};

/* Opens the folder at path. create: makes the folder (not its parents) and the store's file when
 * they are missing. Errors: config (not a folder, not a store), replica, unsupported. */
struct store *store_open(const char *path, gboolean create, GError **error);
void store_free(struct store *store);

/* Folder names of the machines with at least one recovery point or machine.json, sorted. The
 * caller owns the array of strings. */
GPtrArray *store_list_machines(const struct store *store, GError **error);

/* Who holds a lock; taken until freed or the process ends. */
struct store_lock;

/* Takes the lock file at path, waiting at most wait_ms for a holder to let go. Error conflict names
 * the holder. */
struct store_lock *store_lock_take(const char *path, unsigned wait_ms, GError **error);
void store_lock_free(struct store_lock *lock);

/* Whether the text in the lock file, if there is any, is one that a holder left. Error corrupt. */
gboolean store_lock_check(const char *path, GError **error);

struct store_machine {
    char *key;               /* set once: folder name */
    char *path;              /* set once */
    GPtrArray *manifests;    /* struct manifest, ascending by number */
    struct store_lock *lock; /* NULL when open for reading */
};

enum store_mode {
    STORE_READ,
    STORE_WRITE,     /* creates the machine's folder, takes the lock, recovers */
    STORE_HAND_OVER, /* takes the lock and changes nothing: see store-hand-over.h */
};

/* Opens a machine by folder name. recovered (may be NULL) gets a sentence for each thing that
 * recovery removed or finished. Errors: config (bad name, no such machine when reading), corrupt,
 * conflict (locked, or handed over: that is no error when reading), replica. */
struct store_machine *store_machine_open(const struct store *store, const char *key,
                                         enum store_mode mode, GPtrArray *recovered,
                                         GError **error);
void store_machine_free(struct store_machine *machine);

/* The folder name of the machine called name_or_key: a folder name, or the name in its
 * machine.json. Errors: config (none, or several of that name), corrupt (none, and there is a
 * machine.json that cannot be read). The caller owns the name. */
char *store_machine_resolve(const struct store *store, const char *name_or_key, GError **error);

/* The latest manifest; the one of that number; the latest that has the disk. NULL: none. Borrowed.
 */
struct manifest *store_machine_latest(const struct store_machine *machine);
struct manifest *store_machine_find(const struct store_machine *machine, guint64 number);
struct manifest *store_machine_latest_with_disk(const struct store_machine *machine,
                                                const char *disk);

/* Whether recovery points were committed since the machine was opened for reading. */
gboolean store_machine_is_outdated(const struct store_machine *machine);

/* Paths; the caller owns them. */
char *store_machine_disk_folder(const struct store_machine *machine, const char *disk);
char *store_machine_disk_file(const struct store_machine *machine, const char *disk,
                              const char *file);
char *store_machine_manifest_path(const struct store_machine *machine, guint64 number);

/* Writes machine.json: what is needed to define the machine again. object is borrowed. */
gboolean store_machine_describe(const struct store_machine *machine, JsonObject *object,
                                GError **error);

/* What machine.json holds. The caller owns it. Errors: corrupt, unsupported, replica. */
JsonObject *store_machine_description(const struct store_machine *machine, GError **error);

/* Whether the machine's files that belong to no recovery point, machine.json, pins and the locks,
 * are what was written. Errors: corrupt, unsupported, replica. */
gboolean store_machine_check_files(const struct store_machine *machine, GError **error);
