/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The manifest of a recovery point: recovery-points/000007.json. Its rename into place is the
 * commit of all disks at once. The format stands at the head of manifest.c. */

#include "replicator/block-hash.h"

#include <json-glib/json-glib.h>

/* How the candidates of a disk were found. */
enum scan_mode {
    SCAN_INITIAL,   /* no replica yet: everything is read, and written where it is not zero */
    SCAN_BITMAP,    /* the dirty bitmap named the candidates */
    SCAN_HASH_SCAN, /* everything is read, and written where the hash differs */
};

/* What a cycle did to one disk. */
struct disk_figures {
    guint64 candidate_bytes; /* named by the bitmap, or the whole disk */
    guint64 read_bytes;      /* read from the source */
    guint64 sent_bytes;      /* written to the replica */
    guint64 changed_blocks;  /* whose content differs from the recovery point before */
    guint64 zero_blocks;     /* of those, became zero */
    guint64 audited_blocks;  /* clean blocks re-read as a sample */
    guint64 audit_misses;    /* of those, not what the replica holds */
};

/* What of a recovery point was read again, at the source and in the replica, before its commit. */
enum verify_mode {
    VERIFY_NONE,
    VERIFY_TRANSFERRED, /* the blocks that the cycle changed */
    VERIFY_FULL,        /* all */
};

struct disk_verified {
    enum verify_mode mode;
    guint64 blocks;
    guint64 bytes; /* zeros included */
    guint64 ms;
};

struct manifest_disk {
    char *name;
    guint64 size_bytes;
    guint64 seed;                /* of the block hashes */
    char *layer;                 /* top of the chain, a file of disks/NAME */
    guint64 layer_bytes;         /* size of that file */
    guint64 generation;          /* of the block map: the recovery point that wrote the layer */
    struct block_hash root_hash; /* over the block map */
    enum scan_mode mode;
    char *demotion_cause;  /* why not by bitmap: a stable token, or NULL */
    char *demotion_detail; /* the same for people, or NULL */
    char **images;         /* what the disk is made of on its host, for whoever plans, or NULL */
    struct disk_figures figures;
    struct disk_verified verified;
};

struct manifest {
    guint64 number;
    char *machine;      /* the folder's name: a UUID */
    char *machine_name; /* for people */
    char *created;      /* ISO 8601, UTC */
    char *consistency;  /* "crash", "filesystem" or "shutdown" */
    char *checkpoint;   /* on the source, from which the next bitmap counts; or NULL */
    guint64 duration_ms;
    GPtrArray *disks; /* struct manifest_disk, owned */
};

struct manifest *manifest_new(void);
struct manifest_disk *manifest_add_disk(struct manifest *manifest, const char *name);
void manifest_free(struct manifest *manifest);

/* The disk of that name, or NULL. Borrowed. */
struct manifest_disk *manifest_disk_find(const struct manifest *manifest, const char *name);

/* Stable names for JSON: "initial", "bitmap", "hash-scan". */
const char *scan_mode_name(enum scan_mode mode);

/* Stable names for JSON: "none", "transferred", "full". FALSE: text is none of them. */
const char *verify_mode_name(enum verify_mode mode);
gboolean verify_mode_from_name(const char *text, enum verify_mode *ret_mode);

/* Whether text is one of the three consistencies. */
gboolean consistency_is_known(const char *text);

/* The manifest as a JSON object without format, version and checksum: for output. The caller owns
 * it. */
JsonObject *manifest_to_json(const struct manifest *manifest);

/* Writes path atomically and durably: the commit. */
gboolean manifest_write(const struct manifest *manifest, const char *path, GError **error);

/* Errors: corrupt (not what was written: any changed byte), unsupported (later version). */
struct manifest *manifest_load(const char *path, GError **error);
