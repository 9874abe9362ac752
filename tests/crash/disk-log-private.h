/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of a disk log, shared by what records (disk-log.c) and what builds (disk-build.c). */

#include <glib.h>

enum op_kind { /* in the order of disk_log_describe's words */
               OP_CREATE,
               OP_WRITE,
               OP_ZERO,
               OP_RESIZE, /* also zeros what it cuts off */
               OP_RENAME, /* within one folder */
               OP_REMOVE,
               OP_SYNC_DATA,
               OP_SYNC,
};

struct op {
    enum op_kind kind;
    int node;  /* of the file; for names, of the folder */
    int child; /* for names: what is named, or -1 */
    char *name;
    char *to;
    guint64 offset; /* of the content that changes */
    guint64 length;
    guint8 *data;
    gboolean changes_size;
    guint64 size_after;
};

struct node {
    gboolean folder;
    char *start_path;    /* its content when the log began, or NULL */
    guint64 start_bytes; /* its size then */
    guint64 size_bytes;  /* now */
};

struct disk_log {
    char *root;
    GPtrArray *nodes;        /* struct node; 0 is root */
    GPtrArray *ops;          /* struct op */
    GHashTable *names_start; /* "FOLDER-NODE/NAME" → node, when the log began */
    GHashTable *names_now;
};

struct node *node_at(const struct disk_log *log, int node);
struct op *op_at(const struct disk_log *log, guint position);
GHashTable *names_copy(GHashTable *names);
void names_apply(GHashTable *names, const struct op *op);

/* Makes a new file; copies one into an empty one, holes as holes. */
int file_make(const char *path);
void file_copy(const char *from, int to);
