/* SPDX-License-Identifier: Apache-2.0 */

/* From a log to one of the states that a disk may be found in. */

#include "tests/crash/disk-log-private.h"
#include "tests/crash/disk-log.h"
#include "tests/unit/temp-folder.h"

#include <string.h>

#define SECTOR_SMALL 512u
#define SECTOR_LARGE 4096u

struct build {
    const struct disk_log *log;
    guint count;
    enum disk_fate fate;
    guint64 seed;
    guint sector_bytes;
    gboolean spoils;           /* longer writes may leave garbage */
    gboolean *content_durable; /* for each operation */
    gboolean *size_durable;
};

/* The same numbers from the same seed, whatever else is asked (splitmix64's finish). */
static guint64 chance(const struct build *build, guint64 a, guint64 b, guint64 c)
{
    guint64 x = build->seed + a * 0x9e3779b97f4a7c15u + b * 0xc2b2ae3d27d4eb4fu + c * 0x165667b1u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* How many of n in a row are kept. */
static guint kept_of(const struct build *build, guint64 what, guint64 which, guint n)
{
    if (build->fate == DISK_FATE_LOST)
        return 0;
    if (build->fate == DISK_FATE_KEPT)
        return n;
    return (guint)(chance(build, what, which, n) % (n + 1));
}

/* What the syncs among the first count operations made last. Of sizes that nobody synced the kernel
 * may have kept any, and fdatasync need not make a larger one smaller. */
static void find_durable(struct build *build)
{
    const struct disk_log *log = build->log;
    g_autofree guint64 *size_now = g_new0(guint64, log->nodes->len);
    g_autofree guint64 *size_most = g_new0(guint64, log->nodes->len);
    for (guint i = 0; i < log->nodes->len; i++)
        size_now[i] = size_most[i] = node_at(log, (int)i)->start_bytes;
    for (guint i = 0; i < build->count; i++) {
        const struct op *op = op_at(log, i);
        if (op->changes_size) {
            size_now[op->node] = op->size_after;
            size_most[op->node] = MAX(size_most[op->node], op->size_after);
        }
        if (op->kind != OP_SYNC && op->kind != OP_SYNC_DATA)
            continue;
        gboolean size = op->kind == OP_SYNC || size_now[op->node] >= size_most[op->node];
        for (guint k = 0; k < i; k++) {
            if (op_at(log, k)->node != op->node)
                continue;
            build->content_durable[k] = TRUE;
            build->size_durable[k] |= size;
        }
        if (size)
            size_most[op->node] = size_now[op->node];
    }
}

/* --- names ---------------------------------------------------------------------------------------
 */

static gboolean is_name_op(const struct op *op)
{
    return op->kind == OP_CREATE || op->kind == OP_RENAME || op->kind == OP_REMOVE;
}

/* Name operations with the same number stay in order: those of one folder; where they are shuffled,
 * those of one name, and its .tmp goes with it. */
static guint order_of(const struct build *build, const struct op *op)
{
    const char *name = op->to ? op->to : op->name;
    if (build->fate != DISK_FATE_SHUFFLE)
        return (guint)op->node;
    g_autofree char *stem =
        g_str_has_suffix(name, ".tmp") ? g_strndup(name, strlen(name) - 4) : g_strdup(name);
    return g_str_hash(stem) * 31 + (guint)op->node;
}

static GHashTable *build_names(const struct build *build)
{
    GHashTable *names = names_copy(build->log->names_start);
    g_autoptr(GHashTable) pending = g_hash_table_new(NULL, NULL); /* order → how many */
    for (guint i = 0; i < build->count; i++) {
        const struct op *op = op_at(build->log, i);
        if (!is_name_op(op))
            continue;
        gpointer order = GUINT_TO_POINTER(order_of(build, op));
        if (build->content_durable[i])
            names_apply(names, op);
        else
            g_hash_table_insert(
                pending, order,
                GUINT_TO_POINTER(GPOINTER_TO_UINT(g_hash_table_lookup(pending, order)) + 1));
    }
    g_autoptr(GHashTable) left = g_hash_table_new(NULL, NULL); /* order → how many are kept */
    GHashTableIter iterator;
    gpointer order, n;
    g_hash_table_iter_init(&iterator, pending);
    while (g_hash_table_iter_next(&iterator, &order, &n))
        g_hash_table_insert(
            left, order,
            GUINT_TO_POINTER(kept_of(build, 1, GPOINTER_TO_UINT(order), GPOINTER_TO_UINT(n))));
    for (guint i = 0; i < build->count; i++) {
        const struct op *op = op_at(build->log, i);
        if (!is_name_op(op) || build->content_durable[i])
            continue;
        order = GUINT_TO_POINTER(order_of(build, op));
        guint kept = GPOINTER_TO_UINT(g_hash_table_lookup(left, order));
        if (kept > 0) {
            names_apply(names, op);
            g_hash_table_insert(left, order, GUINT_TO_POINTER(kept - 1));
        }
    }
    return names;
}

/* --- content -------------------------------------------------------------------------------------
 */

static void file_put(int fd, const struct op *op, guint64 from, guint64 to, const guint8 *garbage)
{
    static const guint8 zeros[SECTOR_LARGE];
    for (guint64 at = from; at < to;) {
        gsize n = (gsize)(to - at);
        const guint8 *data = op->data ? op->data + (at - op->offset) : zeros;
        if (garbage || !op->data)
            n = MIN(n, SECTOR_LARGE);
        g_assert_cmpint(pwrite(fd, garbage ? garbage : data, n, (off_t)at), ==, (gssize)n);
        at += n;
    }
}

/* Whether a sector got as far as the operation. */
static gboolean sector_kept(const struct build *build, guint position, guint64 sector)
{
    const struct op *op = op_at(build->log, position);
    if (build->fate == DISK_FATE_LOST || build->fate == DISK_FATE_KEPT)
        return build->fate == DISK_FATE_KEPT;
    switch (chance(build, 2, (guint64)op->node, 0) % 4) { /* the way of the file */
    case 0:
        return TRUE;
    case 1:
        return FALSE;
    case 2:
        return chance(build, 3, position, 0) % 2; /* each operation as a whole */
    default:
        return chance(build, 4, position, sector) % 2;
    }
}

static gboolean sector_spoiled(const struct build *build, const struct op *op, guint position,
                               guint64 sector)
{
    guint64 start = sector * build->sector_bytes;
    return build->spoils && op->kind == OP_WRITE && op->length > SECTOR_SMALL &&
           start >= op->offset && start + build->sector_bytes <= op->offset + op->length &&
           chance(build, 5, position, sector) % 8 == 0;
}

static guint64 sectors_end(const struct build *build, const struct op *op)
{
    return (op->offset + op->length + build->sector_bytes - 1) / build->sector_bytes;
}

static gboolean is_pending(const struct build *build, guint position, int node)
{
    const struct op *op = op_at(build->log, position);
    return op->node == node && op->length > 0 && !build->content_durable[position];
}

/* The last operation that each sector got as far as: a sector has all that came before, too. */
static GHashTable *find_last_kept(const struct build *build, int node)
{
    GHashTable *last = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    for (guint i = 0; i < build->count; i++) {
        if (!is_pending(build, i, node))
            continue;
        const struct op *op = op_at(build->log, i);
        for (guint64 s = op->offset / build->sector_bytes; s < sectors_end(build, op); s++)
            if (sector_kept(build, i, s))
                g_hash_table_replace(last, g_memdup2(&s, sizeof s), GUINT_TO_POINTER(i + 1));
    }
    return last;
}

static void put_pending(const struct build *build, int fd, int node)
{
    g_autoptr(GHashTable) last = find_last_kept(build, node);
    guint8 garbage[SECTOR_LARGE];
    for (guint i = 0; i < sizeof garbage; i++)
        garbage[i] = (guint8)chance(build, 6, i, 0);
    for (guint i = 0; i < build->count && g_hash_table_size(last) > 0; i++) {
        if (!is_pending(build, i, node))
            continue;
        const struct op *op = op_at(build->log, i);
        for (guint64 s = op->offset / build->sector_bytes; s < sectors_end(build, op); s++) {
            guint kept_end = GPOINTER_TO_UINT(g_hash_table_lookup(last, &s));
            if (i >= kept_end)
                continue;
            gboolean spoiled = i + 1 == kept_end && sector_spoiled(build, op, i, s);
            file_put(fd, op, MAX(op->offset, s * build->sector_bytes),
                     MIN(op->offset + op->length, (s + 1) * build->sector_bytes),
                     spoiled ? garbage : NULL);
        }
    }
}

static guint64 choose_size(const struct build *build, int node)
{
    guint pending = 0;
    guint64 size = node_at(build->log, node)->start_bytes;
    for (guint i = 0; i < build->count; i++) {
        const struct op *op = op_at(build->log, i);
        if (op->node == node && op->changes_size && !build->size_durable[i])
            pending++;
    }
    guint kept = kept_of(build, 7, (guint64)node, pending);
    for (guint i = 0; i < build->count; i++) {
        const struct op *op = op_at(build->log, i);
        if (op->node != node || !op->changes_size)
            continue;
        if (build->size_durable[i])
            size = op->size_after;
        else if (kept > 0 && kept--)
            size = op->size_after;
    }
    return size;
}

static void build_file(const struct build *build, int node, const char *path)
{
    const struct node *file = node_at(build->log, node);
    int fd = file_make(path);
    if (file->start_path)
        file_copy(file->start_path, fd);
    for (guint i = 0; i < build->count; i++) {
        const struct op *op = op_at(build->log, i);
        if (op->node == node && op->length > 0 && build->content_durable[i])
            file_put(fd, op, op->offset, op->offset + op->length, NULL);
    }
    put_pending(build, fd, node);
    g_assert_cmpint(ftruncate(fd, (off_t)choose_size(build, node)), ==, 0);
    g_assert_cmpint(close(fd), ==, 0);
}

static void build_folder(const struct build *build, GHashTable *names, int folder, const char *path)
{
    GHashTableIter iterator;
    gpointer key, value;
    g_autofree char *prefix = g_strdup_printf("%d/", folder);
    g_assert_cmpint(g_mkdir(path, 0750), ==, 0);
    g_hash_table_iter_init(&iterator, names);
    while (g_hash_table_iter_next(&iterator, &key, &value)) {
        int node = GPOINTER_TO_INT(value);
        if (!g_str_has_prefix(key, prefix))
            continue;
        g_autofree char *child = g_build_filename(path, (char *)key + strlen(prefix), NULL);
        if (node_at(build->log, node)->folder)
            build_folder(build, names, node, child);
        else
            build_file(build, node, child);
    }
}

void disk_log_build(const struct disk_log *log, guint count, enum disk_fate fate, guint64 seed,
                    const char *path)
{
    g_autofree gboolean *content_durable = g_new0(gboolean, count + 1);
    g_autofree gboolean *size_durable = g_new0(gboolean, count + 1);
    struct build build = {.log = log,
                          .count = count,
                          .fate = fate,
                          .seed = seed,
                          .content_durable = content_durable,
                          .size_durable = size_durable};
    g_assert_cmpuint(count, <=, log->ops->len);
    build.sector_bytes = chance(&build, 8, 0, 0) % 2 ? SECTOR_SMALL : SECTOR_LARGE;
    build.spoils = fate >= DISK_FATE_CHANCE && chance(&build, 9, 0, 0) % 2;
    find_durable(&build);
    g_autoptr(GHashTable) names = build_names(&build);
    build_folder(&build, names, 0, path);
}
