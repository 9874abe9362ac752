/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a cycle is to do. landfall-replicate takes it as options or as JSON on standard input; the
 * format of the JSON stands at the head of work.c. */

#include "replicator/manifest.h"
#include "replicator/nbd-source.h"

#include <json-glib/json-glib.h>

struct work_disk {
    struct nbd_source source;
    char *bitmap;          /* NBD meta context that names what changed since the replica, or NULL */
    char *demotion_cause;  /* why there is no bitmap though there could be: a token, or NULL */
    char *demotion_detail; /* the same for people, or NULL */
    char **images;         /* what the disk is made of on its host: goes to the manifest; or NULL */
};

struct work {
    char *store;             /* folder */
    char *machine;           /* key: the folder's name */
    char *machine_name;      /* for people; the key where none was given */
    JsonObject *describe;    /* goes to machine.json as it is, or NULL */
    char *consistency;       /* "crash", "filesystem", "shutdown" */
    char *checkpoint;        /* that the source made with this snapshot, or NULL */
    char *bitmap_since;      /* checkpoint that the bitmaps count from; NULL: the caller vouches */
    guint64 bandwidth;       /* bytes per second; 0: no limit */
    guint retain;            /* recovery points kept; 0: all */
    guint audit_blocks;      /* clean blocks re-read in a cycle by bitmap */
    guint reconnect_seconds; /* without a connection before a cycle gives up; 0: at once */
    gboolean full_scan;      /* pay no attention to bitmaps */
    enum verify_mode verify; /* what is proven before the commit */
    gboolean confirm;        /* commit only when told so after all has been read */
    GPtrArray *disks;        /* struct work_disk */
};

#define WORK_RECONNECT_SECONDS 20u
#define WORK_AUDIT_BLOCKS 16u
#define WORK_AUDIT_BLOCKS_MAX 65536u /* 4 GiB read */

struct work *work_new(void);
void work_free(struct work *work);
struct work_disk *work_add_disk(struct work *work, const char *name);
struct work_disk *work_find_disk(const struct work *work, const char *name);

/* From JSON text. Error config names what is wrong. */
struct work *work_parse(const char *text, gsize length_bytes, GError **error);

/* To JSON: what work_parse takes. The caller owns the object. */
JsonObject *work_to_json(const struct work *work);

/* Checks what can be checked without touching anything: names, URIs, presence. */
gboolean work_check(const struct work *work, GError **error);
