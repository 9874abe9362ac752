/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/store.c, store-lock.c, store-recover.c, store-file.c: opening, locking, finding by
 * name, and recovery that removes what is not needed and nothing else. */

#include "base/error.h"
#include "replicator/store-recover.h"
#include "tests/unit/tiny-store.h"

static struct store_machine *open_tiny(const char *folder, struct store **ret_store, guint points)
{
    g_autoptr(GError) error = NULL;
    *ret_store = store_open(folder, TRUE, &error);
    struct store_machine *machine = store_machine_open(*ret_store, "m1", STORE_WRITE, NULL, &error);
    g_assert_no_error(error);
    tiny_first(machine);
    while (machine->manifests->len < points)
        tiny_next(machine, TRUE);
    return machine;
}

static void test_identity(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *inner = g_build_filename(folder, "store", NULL);
    g_assert_null(store_open(inner, FALSE, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    g_clear_error(&error);
    g_assert_false(g_file_test(inner, G_FILE_TEST_EXISTS));
    struct store *store = store_open(inner, TRUE, &error);
    g_assert_no_error(error);
    struct store *again = store_open(inner, TRUE, &error);
    g_assert_cmpstr(store->id, ==, again->id);
    g_assert_cmpuint(strlen(store->id), ==, 12);
    store_free(again);
    store_free(store);
    store_free(NULL);
}

static void test_names(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    static const char *const wrong[] = {"../m1", "", ".", "..", "a/b", "/tmp", ".m1", "m 1"};
    g_autoptr(GError) error = NULL;
    struct store *store = store_open(folder, TRUE, &error);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        for (int mode = STORE_READ; mode <= STORE_WRITE; mode++) {
            g_assert_null(store_machine_open(store, wrong[i], (enum store_mode)mode, NULL, &error));
            g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
            g_clear_error(&error);
        }
    }
    store_free(store);
}

static void test_lock(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    struct store *store;
    struct store_machine *machine = open_tiny(folder, &store, 1);
    g_assert_null(store_machine_open(store, "m1", STORE_WRITE, NULL, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT);
    g_autofree char *holder = g_strdup_printf("process %d ", (int)getpid());
    g_assert_nonnull(strstr(error->message, holder));
    g_clear_error(&error);
    struct store_machine *reader = store_machine_open(store, "m1", STORE_READ, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(reader->manifests->len, ==, 1);
    store_machine_free(reader);
    store_machine_free(machine);
    machine = store_machine_open(store, "m1", STORE_WRITE, NULL, &error);
    g_assert_no_error(error);
    store_machine_free(machine);
    store_free(store);
}

/* Opens the store at data, and makes it if need be; its id, or NULL. */
static gpointer open_and_name(gpointer data)
{
    struct store *store = store_open(data, TRUE, NULL);
    char *id = store ? g_strdup(store->id) : NULL;
    store_free(store);
    return id;
}

/* Several first cycles at once: all get the same store. */
static void test_made_together(void)
{
    for (guint round = 0; round < 20; round++) {
        g_autoptr(temp_folder) folder = temp_folder_new();
        g_autoptr(GError) error = NULL;
        g_autofree char *path = g_build_filename(folder, "store", NULL);
        GThread *openers[4];
        for (guint i = 0; i < G_N_ELEMENTS(openers); i++)
            openers[i] = g_thread_new("opener", open_and_name, path);
        g_autofree char *first = g_thread_join(openers[0]);
        for (guint i = 1; i < G_N_ELEMENTS(openers); i++) {
            g_autofree char *id = g_thread_join(openers[i]);
            g_assert_cmpstr(id, ==, first);
        }
        struct store *store = store_open(path, FALSE, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(store->id, ==, first);
        store_free(store);
    }
}

static void test_resolve(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    struct store *store = store_open(folder, TRUE, &error);
    static const char *const machines[][2] = {{"m1", "Web"}, {"m2", "Mail"}, {"m3", "Mail"}};
    for (gsize i = 0; i < G_N_ELEMENTS(machines); i++) {
        g_autoptr(JsonObject) object = json_object_new();
        struct store_machine *machine =
            store_machine_open(store, machines[i][0], STORE_WRITE, NULL, &error);
        json_object_set_string_member(object, "name", machines[i][1]);
        g_assert_true(store_machine_describe(machine, object, &error));
        store_machine_free(machine);
    }
    g_autofree char *web = store_machine_resolve(store, "Web", &error);
    g_assert_cmpstr(web, ==, "m1");
    g_autofree char *key = store_machine_resolve(store, "m3", &error);
    g_assert_cmpstr(key, ==, "m3");
    g_assert_null(store_machine_resolve(store, "Mail", &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    g_clear_error(&error);
    g_assert_null(store_machine_resolve(store, "../m1", &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
    g_autoptr(GPtrArray) keys = store_list_machines(store, NULL);
    g_assert_cmpuint(keys->len, ==, 3);
    g_assert_cmpstr(keys->pdata[2], ==, "m3");
    store_free(store);
}

/* Whoever asks for a machine by a name that cannot be read is told why it is not found. */
static void test_damaged_description(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    gsize length;
    struct store *store;
    struct store_machine *machine = open_tiny(folder, &store, 1);
    g_autoptr(JsonObject) object = json_object_new();
    g_assert_false(store_machine_check_files(machine, &error));
    g_clear_error(&error);
    json_object_set_string_member(object, "machine", "m1");
    json_object_set_string_member(object, "name", "Web");
    g_assert_true(store_machine_describe(machine, object, &error));
    g_assert_true(store_machine_check_files(machine, &error));
    g_autofree char *path = g_build_filename(machine->path, "machine.json", NULL);
    g_autofree char *text = temp_file_load(path, &length);
    text[length / 2] ^= 1;
    temp_file_save(path, text, length);
    g_assert_false(store_machine_check_files(machine, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    g_clear_error(&error);
    g_assert_null(store_machine_resolve(store, "Web", &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    g_autofree char *key = store_machine_resolve(store, "m1", &error);
    g_assert_cmpstr(key, ==, "m1");
    json_object_set_string_member(object, "machine", "m2");
    g_assert_true(store_machine_describe(machine, object, &error));
    g_assert_false(store_machine_check_files(machine, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    store_machine_free(machine);
    store_free(store);
}

/* The text of a lock is for people, and all of it counts. */
static void test_lock_text(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = g_build_filename(folder, "lock", NULL);
    g_autoptr(GError) error = NULL;
    gsize length;
    g_assert_true(store_lock_check(path, &error)); /* nobody ever held it */
    store_lock_free(store_lock_take(path, 0, &error));
    g_assert_true(store_lock_check(path, &error));
    g_autofree char *text = temp_file_load(path, &length);
    for (gsize at = 0; at < length; at++) {
        text[at] ^= 1;
        temp_file_save(path, text, length);
        g_assert_false(store_lock_check(path, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
        g_clear_error(&error);
        text[at] ^= 1;
    }
    temp_file_save(path, text, 0);
    g_assert_true(store_lock_check(path, &error));
}

static void touch(const struct store_machine *machine, const char *name)
{
    g_autofree char *path = g_build_filename(machine->path, name, NULL);
    temp_file_save(path, "x", 1);
}

static gboolean exists(const struct store_machine *machine, const char *name)
{
    g_autofree char *path = g_build_filename(machine->path, name, NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void test_recover(void)
{
    static const char *const ours[] = {
        "disks/vda/000004.qcow2",          "disks/vda/000004.journal",
        "disks/vda/block-map.tmp",         "recovery-points/000004.json.tmp",
        "recovery-points/000009.json.pin", "machine.json.tmp"};
    static const char *const theirs[] = {"disks/vda/notes",
                                         "disks/vda/copy.qcow2",
                                         "recovery-points/notes.json",
                                         "disks/notes",
                                         "recovery-points/000003.json.pin",
                                         "notes.tmp.txt"};
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    struct store *store;
    struct store_machine *machine = open_tiny(folder, &store, 3);
    for (gsize i = 0; i < G_N_ELEMENTS(ours); i++)
        touch(machine, ours[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(theirs); i++)
        touch(machine, theirs[i]);
    store_machine_free(machine);
    machine = store_machine_open(store, "m1", STORE_READ, NULL, &error); /* changes nothing */
    for (gsize i = 0; i < G_N_ELEMENTS(ours); i++)
        g_assert_true(exists(machine, ours[i]));
    store_machine_free(machine);
    machine = store_machine_open(store, "m1", STORE_WRITE, notes, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(notes->len, ==, G_N_ELEMENTS(ours));
    for (gsize i = 0; i < G_N_ELEMENTS(ours); i++)
        g_assert_false(exists(machine, ours[i]));
    for (gsize i = 0; i < G_N_ELEMENTS(theirs); i++)
        g_assert_true(exists(machine, theirs[i]));
    for (guint number = 1; number <= 3; number++)
        tiny_expect(machine, number);
    store_machine_free(machine);
    store_free(store);
}

/* Something that a manifest needs is missing: then nothing is removed, not even what nobody needs.
 */
static void test_recover_refuses(void)
{
    static const char *const needed[] = {"disks/vda/base.raw", "disks/vda/000002.qcow2",
                                         "disks/vda/000003.qcow2"};
    for (gsize i = 0; i < G_N_ELEMENTS(needed); i++) {
        g_autoptr(temp_folder) folder = temp_folder_new();
        g_autoptr(GError) error = NULL;
        struct store *store;
        struct store_machine *machine = open_tiny(folder, &store, 3);
        g_autofree char *path = g_build_filename(machine->path, needed[i], NULL);
        g_autofree char *left = g_build_filename(machine->path, "disks/vda/000007.qcow2", NULL);
        g_assert_cmpint(g_unlink(path), ==, 0);
        temp_file_save(left, "x", 1);
        store_machine_free(machine);
        g_assert_null(store_machine_open(store, "m1", STORE_WRITE, NULL, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
        g_assert_nonnull(strstr(error->message, path));
        g_assert_true(g_file_test(left, G_FILE_TEST_EXISTS));
        store_free(store);
    }
}

/* A map that is some recovery points behind catches up; one that is ahead is refused. */
static void test_map(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    struct store *store;
    struct store_machine *machine = open_tiny(folder, &store, 2);
    tiny_next(machine, FALSE);
    g_assert_cmpuint(machine->manifests->len, ==, 3);
    const struct manifest_disk *second = manifest_disk_find(store_machine_find(machine, 2), "vda");
    const struct manifest_disk *third = manifest_disk_find(store_machine_find(machine, 3), "vda");
    struct block_map *map = store_map_open(machine, second, &error);
    g_assert_no_error(error);
    block_map_free(map);
    map = store_map_open(machine, third, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(block_map_generation(map), ==, 3);
    block_map_free(map);
    g_assert_null(store_map_open(machine, second, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CORRUPT);
    store_machine_free(machine);
    store_free(store);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/identity", test_identity);
    g_test_add_func("/store/R13: names", test_names);
    g_test_add_func("/store/lock", test_lock);
    g_test_add_func("/store/made-together", test_made_together);
    g_test_add_func("/store/resolve", test_resolve);
    g_test_add_func("/store/damaged-description", test_damaged_description);
    g_test_add_func("/store/lock-text", test_lock_text);
    g_test_add_func("/store/recover", test_recover);
    g_test_add_func("/store/R2: recovery refuses", test_recover_refuses);
    g_test_add_func("/store/map", test_map);
    return g_test_run();
}
