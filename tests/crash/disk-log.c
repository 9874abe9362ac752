/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/disk-log.h"
#include "tests/crash/disk-log-private.h"
#include "tests/unit/temp-folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_BYTES (1u << 20)

/* --- copies --------------------------------------------------------------------------------------
 */

void file_copy(const char *from, int to)
{
    static guint8 buffer[COPY_BYTES];
    int fd = g_open(from, O_RDONLY | O_CLOEXEC, 0);
    struct stat status;
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fstat(fd, &status), ==, 0);
    for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
        off_t end = lseek(fd, at, SEEK_HOLE);
        while (at < end) {
            gssize n = pread(fd, buffer, MIN(COPY_BYTES, (gsize)(end - at)), at);
            g_assert_cmpint(n, >, 0);
            g_assert_cmpint(pwrite(to, buffer, (gsize)n, at), ==, n);
            at += n;
        }
    }
    g_assert_cmpint(ftruncate(to, status.st_size), ==, 0);
    g_assert_cmpint(close(fd), ==, 0);
}

int file_make(const char *path)
{
    int fd = g_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

void tree_copy(const char *from, const char *to)
{
    g_assert_cmpint(g_mkdir(to, 0750), ==, 0);
    GDir *folder = g_dir_open(from, 0, NULL);
    g_assert_nonnull(folder);
    for (const char *name; (name = g_dir_read_name(folder));) {
        g_autofree char *source = g_build_filename(from, name, NULL);
        g_autofree char *target = g_build_filename(to, name, NULL);
        if (g_file_test(source, G_FILE_TEST_IS_DIR)) {
            tree_copy(source, target);
        } else {
            int fd = file_make(target);
            file_copy(source, fd);
            g_assert_cmpint(close(fd), ==, 0);
        }
    }
    g_dir_close(folder);
}

/* --- the log -------------------------------------------------------------------------------------
 */

static void node_free(struct node *node)
{
    g_free(node->start_path);
    g_free(node);
}

static void op_free(struct op *op)
{
    g_free(op->name);
    g_free(op->to);
    g_free(op->data);
    g_free(op);
}

static int add_node(struct disk_log *log, gboolean folder)
{
    struct node *node = g_new0(struct node, 1);
    node->folder = folder;
    g_ptr_array_add(log->nodes, node);
    return (int)log->nodes->len - 1;
}

struct node *node_at(const struct disk_log *log, int node)
{
    return log->nodes->pdata[node];
}

struct op *op_at(const struct disk_log *log, guint position)
{
    return log->ops->pdata[position];
}

/* A name in a folder, as a key. The caller owns it. */
static char *name_key(int folder, const char *name)
{
    return g_strdup_printf("%d/%s", folder, name);
}

static void load_folder(struct disk_log *log, int folder, const char *path)
{
    GDir *names = g_dir_open(path, 0, NULL);
    g_assert_nonnull(names);
    for (const char *name; (name = g_dir_read_name(names));) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        struct stat status;
        g_assert_cmpint(stat(child, &status), ==, 0);
        int node = add_node(log, S_ISDIR(status.st_mode));
        node_at(log, node)->size_bytes = node_at(log, node)->start_bytes = (guint64)status.st_size;
        g_hash_table_insert(log->names_start, name_key(folder, name), GINT_TO_POINTER(node));
        if (S_ISDIR(status.st_mode))
            load_folder(log, node, child);
        node_at(log, node)->start_path = g_steal_pointer(&child);
    }
    g_dir_close(names);
}

GHashTable *names_copy(GHashTable *names)
{
    GHashTable *copy = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iterator;
    gpointer key, node;
    g_hash_table_iter_init(&iterator, names);
    while (g_hash_table_iter_next(&iterator, &key, &node))
        g_hash_table_insert(copy, g_strdup(key), node);
    return copy;
}

struct disk_log *disk_log_new(const char *root, const char *start)
{
    struct disk_log *log = g_new0(struct disk_log, 1);
    log->root = g_strdup(root);
    log->nodes = g_ptr_array_new_with_free_func((GDestroyNotify)node_free);
    log->ops = g_ptr_array_new_with_free_func((GDestroyNotify)op_free);
    log->names_start = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    add_node(log, TRUE);
    tree_copy(root, start);
    load_folder(log, 0, start);
    log->names_now = names_copy(log->names_start);
    return log;
}

void disk_log_free(struct disk_log *log)
{
    if (!log)
        return;
    g_free(log->root);
    g_ptr_array_unref(log->nodes);
    g_ptr_array_unref(log->ops);
    g_hash_table_unref(log->names_start);
    g_hash_table_unref(log->names_now);
    g_free(log);
}

void disk_log_cut(struct disk_log *log, guint count)
{
    g_ptr_array_set_size(log->ops, (gint)count);
    g_hash_table_unref(log->names_now);
    log->names_now = names_copy(log->names_start);
    for (guint i = 0; i < log->nodes->len; i++)
        node_at(log, (int)i)->size_bytes = node_at(log, (int)i)->start_bytes;
    for (guint i = 0; i < count; i++) {
        const struct op *op = op_at(log, i);
        if (op->name)
            names_apply(log->names_now, op);
        if (op->changes_size)
            node_at(log, op->node)->size_bytes = op->size_after;
    }
}

guint disk_log_length(const struct disk_log *log)
{
    return log->ops->len;
}

gboolean disk_log_is_sync(const struct disk_log *log, guint position)
{
    return position > 0 && (op_at(log, position - 1)->kind == OP_SYNC ||
                            op_at(log, position - 1)->kind == OP_SYNC_DATA);
}

char *disk_log_describe(const struct disk_log *log, guint position)
{
    static const char *const kinds[] = {"create", "write",  "zero",      "resize",
                                        "rename", "remove", "fdatasync", "fsync"};
    const struct op *op = position < log->ops->len ? op_at(log, position) : NULL;
    if (!op)
        return g_strdup("the end");
    return g_strdup_printf("%s node %d %s%s%s at %" G_GUINT64_FORMAT " +%" G_GUINT64_FORMAT,
                           kinds[op->kind], op->node, op->name ? op->name : "",
                           op->to ? " to " : "", op->to ? op->to : "", op->offset, op->length);
}

/* The node of the folder that path is in; *ret_name is a part of path. */
static int find_folder(const struct disk_log *log, const char *path, const char **ret_name)
{
    gsize length = strlen(log->root);
    int folder = 0;
    if (strncmp(path, log->root, length) != 0 || path[length] != '/')
        return -1;
    const char *name = path + length + 1;
    for (const char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        g_autofree char *part = g_strndup(name, (gsize)(slash - name));
        g_autofree char *key = name_key(folder, part);
        gpointer node;
        if (!g_hash_table_lookup_extended(log->names_now, key, NULL, &node))
            return -1;
        folder = GPOINTER_TO_INT(node);
    }
    *ret_name = name;
    return folder;
}

int disk_log_find(const struct disk_log *log, const char *path)
{
    const char *name;
    gpointer node;
    if (strcmp(path, log->root) == 0)
        return 0;
    int folder = find_folder(log, path, &name);
    g_autofree char *key = folder < 0 ? NULL : name_key(folder, name);
    if (!key || !g_hash_table_lookup_extended(log->names_now, key, NULL, &node))
        return -1;
    return GPOINTER_TO_INT(node);
}

static struct op *add_op(struct disk_log *log, enum op_kind kind, int node)
{
    struct op *op = g_new0(struct op, 1);
    op->kind = kind;
    op->node = node;
    op->child = -1;
    g_ptr_array_add(log->ops, op);
    return op;
}

/* Changes names as op says; passes over what is not there. */
void names_apply(GHashTable *names, const struct op *op)
{
    g_autofree char *key = name_key(op->node, op->name);
    if (op->kind == OP_CREATE)
        g_hash_table_insert(names, g_steal_pointer(&key), GINT_TO_POINTER(op->child));
    else
        g_hash_table_remove(names, key);
    if (op->kind == OP_RENAME)
        g_hash_table_insert(names, name_key(op->node, op->to), GINT_TO_POINTER(op->child));
}

static struct op *add_name_op(struct disk_log *log, enum op_kind kind, const char *path)
{
    const char *name;
    int folder = find_folder(log, path, &name);
    g_assert_cmpint(folder, >=, 0);
    struct op *op = add_op(log, kind, folder);
    op->name = g_strdup(name);
    return op;
}

int disk_log_create(struct disk_log *log, const char *path, gboolean folder)
{
    struct op *op = add_name_op(log, OP_CREATE, path);
    op->child = add_node(log, folder);
    names_apply(log->names_now, op);
    return op->child;
}

void disk_log_remove(struct disk_log *log, const char *path)
{
    names_apply(log->names_now, add_name_op(log, OP_REMOVE, path));
}

void disk_log_rename(struct disk_log *log, const char *from, const char *to)
{
    const char *name;
    int child = disk_log_find(log, from);
    struct op *op = add_name_op(log, OP_RENAME, from);
    int folder = find_folder(log, to, &name);
    g_assert_cmpint(folder, ==, op->node); /* all that the store does */
    op->child = child;
    op->to = g_strdup(name);
    names_apply(log->names_now, op);
}

static void note_size(struct op *op, struct node *node, guint64 size_bytes)
{
    op->changes_size = size_bytes != node->size_bytes;
    op->size_after = node->size_bytes = size_bytes;
}

void disk_log_write(struct disk_log *log, int node, guint64 offset, const void *data, gsize length)
{
    struct op *op = add_op(log, OP_WRITE, node);
    op->offset = offset;
    op->length = length;
    op->data = g_memdup2(data, length);
    note_size(op, node_at(log, node), MAX(node_at(log, node)->size_bytes, offset + length));
}

void disk_log_zero(struct disk_log *log, int node, guint64 offset, guint64 length)
{
    struct op *op = add_op(log, OP_ZERO, node);
    guint64 end = MIN(offset + length, node_at(log, node)->size_bytes); /* the size stays */
    op->offset = offset;
    op->length = end > offset ? end - offset : 0;
}

void disk_log_resize(struct disk_log *log, int node, guint64 size_bytes)
{
    struct op *op = add_op(log, OP_RESIZE, node);
    guint64 before = node_at(log, node)->size_bytes;
    op->offset = size_bytes;
    op->length = before > size_bytes ? before - size_bytes : 0; /* zeros, should it grow again */
    note_size(op, node_at(log, node), size_bytes);
}

void disk_log_sync(struct disk_log *log, int node, gboolean data_only)
{
    add_op(log, data_only ? OP_SYNC_DATA : OP_SYNC, node);
}
