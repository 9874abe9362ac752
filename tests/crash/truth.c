/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/truth.h"
#include "replicator/layer-reader.h"
#include "replicator/store-name.h"
#include "replicator/store-recover.h"
#include "replicator/verify.h"
#include "tests/unit/temp-folder.h"

#include <string.h>

#define NUMBER G_GUINT64_FORMAT

static void point_free(struct truth_point *point)
{
    g_hash_table_unref(point->disks);
    g_free(point);
}

struct truth *truth_new(void)
{
    struct truth *truth = g_new0(struct truth, 1);
    truth->points = g_ptr_array_new_with_free_func((GDestroyNotify)point_free);
    return truth;
}

void truth_free(struct truth *truth)
{
    if (!truth)
        return;
    g_ptr_array_unref(truth->points);
    g_free(truth);
}

struct truth_point *truth_add(struct truth *truth, guint64 number)
{
    struct truth_point *point = g_new0(struct truth_point, 1);
    point->number = number;
    point->required = TRUE;
    point->disks =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    g_ptr_array_add(truth->points, point);
    return point;
}

void truth_add_disk(struct truth_point *point, const char *disk, const guint8 *content,
                    guint64 size_bytes)
{
    g_hash_table_insert(point->disks, g_strdup(disk), g_bytes_new(content, size_bytes));
}

struct truth *truth_copy(const struct truth *truth)
{
    struct truth *copy = truth_new();
    for (guint i = 0; i < truth->points->len; i++) {
        const struct truth_point *point = truth->points->pdata[i];
        struct truth_point *twin = truth_add(copy, point->number);
        twin->required = point->required;
        g_hash_table_unref(twin->disks);
        twin->disks = g_hash_table_ref(point->disks);
    }
    return copy;
}

static const struct truth_point *find(const struct truth *truth, guint64 number)
{
    for (guint i = 0; i < truth->points->len; i++) {
        const struct truth_point *point = truth->points->pdata[i];
        if (point->number == number)
            return point;
    }
    return NULL;
}

static struct store_machine *open_machine(const char *path, enum store_mode mode,
                                          char **ret_problem)
{
    g_autoptr(GError) error = NULL;
    struct store *store = store_open(path, mode == STORE_WRITE, &error);
    struct store_machine *machine =
        store ? store_machine_open(store, MACHINE_KEY, mode, NULL, &error) : NULL;
    store_free(store);
    if (!machine)
        *ret_problem = g_strdup(error->message);
    return machine;
}

void truth_follow(struct truth *truth, const char *store)
{
    char *problem = NULL;
    struct store_machine *machine = open_machine(store, STORE_READ, &problem);
    for (guint i = truth->points->len; i > 0; i--) {
        struct truth_point *point = truth->points->pdata[i - 1];
        if (machine && store_machine_find(machine, point->number))
            point->required = TRUE;
        else
            g_ptr_array_remove_index(truth->points, i - 1);
    }
    store_machine_free(machine);
    g_free(problem);
}

void truth_drop_unmade(struct truth *truth, const char *store)
{
    char *problem = NULL;
    struct store_machine *machine = open_machine(store, STORE_READ, &problem);
    const struct truth_point *last = truth->points->pdata[truth->points->len - 1];
    if (!machine || !store_machine_find(machine, last->number))
        g_ptr_array_remove_index(truth->points, truth->points->len - 1);
    store_machine_free(machine);
    g_free(problem);
}

/* --- recovery points -----------------------------------------------------------------------------
 */

static char *check_disk(const struct store_machine *machine, const struct manifest_disk *disk,
                        GBytes *content)
{
    g_autoptr(GError) error = NULL;
    gsize size;
    const guint8 *expected = g_bytes_get_data(content, &size);
    g_autofree char *folder = store_machine_disk_folder(machine, disk->name);
    static guint8 block_found[BLOCK_BYTES];
    if (disk->size_bytes != size)
        return g_strdup_printf("has %" NUMBER " bytes, not %" G_GSIZE_FORMAT, disk->size_bytes,
                               size);
    struct layer_chain *chain = layer_chain_open(folder, disk->layer, &error);
    if (!chain)
        return g_strdup(error->message);
    char *problem = layer_chain_disk_bytes(chain) == size ? NULL : g_strdup("its layer is cut");
    for (guint64 block = 0; !problem && block < block_count(size); block++) {
        gboolean zero;
        gsize length = block_length(size, block);
        const guint8 *wanted = expected + block * BLOCK_BYTES;
        if (!layer_chain_read_block(chain, block, block_found, &zero, &error))
            problem = g_strdup(error->message);
        else if (zero ? !bytes_are_zero(wanted, length) : memcmp(block_found, wanted, length) != 0)
            problem = g_strdup_printf("block %" NUMBER " is wrong", block);
    }
    layer_chain_free(chain);
    return problem;
}

static char *check_point(const struct store_machine *machine, const struct manifest *manifest,
                         const struct truth *truth)
{
    const struct truth_point *point = find(truth, manifest->number);
    if (!point)
        return g_strdup_printf("recovery point %" NUMBER " was never made", manifest->number);
    if (manifest->disks->len != g_hash_table_size(point->disks))
        return g_strdup_printf("recovery point %" NUMBER " has %u disks (R3)", manifest->number,
                               manifest->disks->len);
    for (guint i = 0; i < manifest->disks->len; i++) {
        const struct manifest_disk *disk = manifest->disks->pdata[i];
        GBytes *content = g_hash_table_lookup(point->disks, disk->name);
        g_autofree char *problem =
            content ? check_disk(machine, disk, content) : g_strdup("should not be there");
        if (problem)
            return g_strdup_printf("recovery point %" NUMBER ", disk %s: %s", manifest->number,
                                   disk->name, problem);
    }
    return NULL;
}

static char *check_points(const struct store_machine *machine, const struct truth *truth)
{
    for (guint i = 0; i < machine->manifests->len; i++) {
        char *problem = check_point(machine, machine->manifests->pdata[i], truth);
        if (problem)
            return problem;
    }
    for (guint i = 0; i < truth->points->len; i++) {
        const struct truth_point *point = truth->points->pdata[i];
        if (point->required && !store_machine_find(machine, point->number))
            return g_strdup_printf("recovery point %" NUMBER " is lost", point->number);
    }
    return NULL;
}

static gboolean any_required(const struct truth *truth)
{
    for (guint i = 0; i < truth->points->len; i++)
        if (((struct truth_point *)truth->points->pdata[i])->required)
            return TRUE;
    return FALSE;
}

/* --- proofs --------------------------------------------------------------------------------------
 */

static void no_progress(void *data, const char *disk, guint64 done, guint64 total)
{
    (void)data, (void)disk, (void)done, (void)total;
}

static char *check_proof(const struct store_machine *machine, const struct manifest *manifest)
{
    static const struct verify_observer observer = {.progress = no_progress};
    static const gint not_cancelled;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) results =
        verify_recovery_point(machine, manifest, &observer, NULL, &not_cancelled, &error);
    if (!results)
        return g_strdup_printf("verify %" NUMBER ": %s", manifest->number, error->message);
    for (guint i = 0; i < results->len; i++) {
        const struct verify_disk *disk = results->pdata[i];
        if (!disk->proven || disk->fault_count || disk->file_problem || disk->map_problem)
            return g_strdup_printf("verify %" NUMBER ", disk %s: %s, %" NUMBER " faults, %s, %s",
                                   manifest->number, disk->name,
                                   disk->proven ? "proven" : "not proven", disk->fault_count,
                                   disk->file_problem ? disk->file_problem : "files whole",
                                   disk->map_problem ? disk->map_problem : "map whole");
    }
    return NULL;
}

/* The latest two and the oldest: the others are made of the same layers. */
static char *check_proofs(const struct store_machine *machine)
{
    guint n = machine->manifests->len;
    char *problem = NULL;
    for (guint i = 0; !problem && i < n; i++)
        if (i == 0 || i + 2 >= n)
            problem = check_proof(machine, machine->manifests->pdata[i]);
    return problem;
}

char *truth_check_reading(const struct truth *truth, const char *store)
{
    g_autofree char *refusal = NULL;
    struct store_machine *machine = open_machine(store, STORE_READ, &refusal);
    if (!machine && any_required(truth))
        return g_strdup_printf("reading: %s", refusal);
    g_autofree char *problem = machine ? check_points(machine, truth) : NULL;
    if (machine && !problem)
        problem = check_proofs(machine);
    store_machine_free(machine);
    return problem ? g_strdup_printf("before recovery: %s", problem) : NULL;
}

/* --- block maps ----------------------------------------------------------------------------------
 */

/* The map as a cycle opens it has the hashes of the latest state (R5). */
static char *check_map(const struct store_machine *machine, const char *disk,
                       const struct truth *truth)
{
    g_autoptr(GError) error = NULL;
    const struct manifest *latest = store_machine_latest_with_disk(machine, disk);
    if (!latest)
        return NULL;
    gsize size;
    const guint8 *content =
        g_bytes_get_data(g_hash_table_lookup(find(truth, latest->number)->disks, disk), &size);
    struct block_map *map = store_map_open(machine, manifest_disk_find(latest, disk), &error);
    if (!map)
        return g_strdup_printf("R5: %s", error->message);
    char *problem = NULL;
    for (guint64 block = 0; !problem && block < block_count(size); block++) {
        struct block_hash hash,
            expected = block_hash_compute(content + block * BLOCK_BYTES, block_length(size, block),
                                          block_map_seed(map));
        g_assert_true(block_map_read(map, block, 1, &hash, NULL));
        if (!block_hash_equal(&hash, &expected))
            problem = g_strdup_printf("R4, R5: disk %s, block %" NUMBER ": the map is wrong", disk,
                                      block);
    }
    block_map_free(map);
    return problem;
}

/* --- files ---------------------------------------------------------------------------------------
 */

/* Files of a disk that its recovery points need. */
static GHashTable *named_files(const struct store_machine *machine, const char *disk)
{
    GHashTable *named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *folder = store_machine_disk_folder(machine, disk);
    g_hash_table_add(named, g_strdup(BASE_NAME)); /* also of a first cycle that did not end */
    for (guint i = 0; i < machine->manifests->len; i++) {
        const struct manifest_disk *entry = manifest_disk_find(machine->manifests->pdata[i], disk);
        struct layer_chain *chain = entry ? layer_chain_open(folder, entry->layer, NULL) : NULL;
        const GPtrArray *names = chain ? layer_chain_names(chain) : NULL;
        for (guint k = 0; names && k < names->len; k++) {
            guint64 number;
            g_hash_table_add(named, g_strdup(names->pdata[k]));
            if (store_name_parse_number(names->pdata[k], ".qcow2", &number))
                g_hash_table_add(named, store_name_number(number, ".journal"));
        }
        if (chain)
            g_hash_table_add(named, g_strdup(BLOCK_MAP_NAME));
        layer_chain_free(chain);
    }
    return named;
}

/* A file in the folder that is not in named. */
static char *find_stray(const char *path, GHashTable *named)
{
    GDir *folder = g_dir_open(path, 0, NULL);
    char *stray = NULL;
    for (const char *name; !stray && folder && (name = g_dir_read_name(folder));)
        if (!g_hash_table_contains(named, name))
            stray = g_strdup_printf("%s/%s is left over", path, name);
    g_clear_pointer(&folder, g_dir_close);
    return stray;
}

static GHashTable *set_of(const char *const *words)
{
    GHashTable *set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (; *words; words++)
        g_hash_table_add(set, g_strdup(*words));
    return set;
}

static char *check_files(const struct store_machine *machine, const char *store)
{
    static const char *const of_store[] = {"store.json", MACHINE_KEY, NULL};
    static const char *const of_machine[] = {
        "machine.json", "lock", "recovery-points", "disks", "pins", "clones", NULL};
    g_autoptr(GHashTable) in_store = set_of(of_store), in_machine = set_of(of_machine);
    g_autoptr(GHashTable) points = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *points_path = g_build_filename(machine->path, "recovery-points", NULL);
    g_autoptr(GPtrArray) disks = store_disk_folders(machine, NULL);
    for (guint i = 0; i < machine->manifests->len; i++) {
        guint64 number = ((struct manifest *)machine->manifests->pdata[i])->number;
        g_hash_table_add(points, store_name_number(number, ".json"));
        g_hash_table_add(points, store_name_number(number, ".json.pin"));
    }
    char *stray = find_stray(store, in_store);
    if (!stray)
        stray = find_stray(machine->path, in_machine);
    if (!stray)
        stray = find_stray(points_path, points);
    for (guint i = 0; !stray && i < disks->len; i++) {
        g_autoptr(GHashTable) named = named_files(machine, disks->pdata[i]);
        g_autofree char *folder = store_machine_disk_folder(machine, disks->pdata[i]);
        stray = find_stray(folder, named);
    }
    return stray;
}

char *truth_check_writing(const struct truth *truth, const char *store)
{
    g_autofree char *problem = NULL;
    struct store_machine *machine = open_machine(store, STORE_WRITE, &problem);
    if (!machine)
        return g_strdup_printf("R2: recovery failed: %s", problem);
    g_autoptr(GPtrArray) disks = store_disk_folders(machine, NULL);
    problem = check_points(machine, truth);
    if (!problem)
        problem = check_files(machine, store);
    for (guint i = 0; !problem && i < disks->len; i++)
        problem = check_map(machine, disks->pdata[i], truth);
    if (!problem)
        problem = check_proofs(machine);
    store_machine_free(machine);
    return problem ? g_strdup_printf("after recovery: %s", problem) : NULL;
}

/* --- stock tools ---------------------------------------------------------------------------------
 */

static char *run_qemu_img(const char *const *arguments)
{
    g_autofree char *output = NULL, *errors = NULL;
    int status;
    g_assert_true(g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                               &output, &errors, &status, NULL));
    if (g_spawn_check_wait_status(status, NULL) && !strstr(output, "size mismatch"))
        return NULL;
    return g_strdup_printf("R7: qemu-img %s %s: %s%s", arguments[1], arguments[4], output, errors);
}

char *truth_check_qemu(const struct truth *truth, const char *store, const char *folder)
{
    g_autofree char *problem = NULL;
    g_autofree char *copy = g_build_filename(folder, "copy.raw", NULL);
    struct store_machine *machine = open_machine(store, STORE_READ, &problem);
    for (guint i = 0; machine && !problem && i < machine->manifests->len; i++) {
        const struct manifest *manifest = machine->manifests->pdata[i];
        for (guint k = 0; !problem && k < manifest->disks->len; k++) {
            const struct manifest_disk *disk = manifest->disks->pdata[k];
            g_autofree char *path = store_machine_disk_file(machine, disk->name, disk->layer);
            const char *format = g_str_has_suffix(path, ".raw") ? "raw" : "qcow2";
            const char *compare[] = {"qemu-img", "compare", "-f", format, path,
                                     "-F",       "raw",     copy, NULL};
            const char *check[] = {"qemu-img", "check", "-q", "-f", format, path, NULL};
            gsize size;
            gconstpointer content = g_bytes_get_data(
                g_hash_table_lookup(find(truth, manifest->number)->disks, disk->name), &size);
            temp_file_save(copy, content, size);
            problem = run_qemu_img(compare);
            if (!problem && g_str_equal(format, "qcow2"))
                problem = run_qemu_img(check);
        }
    }
    store_machine_free(machine);
    unlink(copy);
    return g_steal_pointer(&problem);
}
