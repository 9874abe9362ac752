/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/store-retention.c: what goes, what is merged, who is waited for, and that it can be
 * done again from wherever a kill left it. */

#include "base/error.h"
#include "replicator/store-recover.h"
#include "replicator/store-retention.h"
#include "tests/unit/tiny-store.h"

static const gint not_cancelled;

struct fixture {
    char *folder;
    struct store *store;
    struct store_machine *machine;
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    (void)data;
    fixture->folder = temp_folder_new();
    fixture->store = store_open(fixture->folder, TRUE, &error);
    fixture->machine = store_machine_open(fixture->store, "m1", STORE_WRITE, NULL, &error);
    g_assert_no_error(error);
    tiny_first(fixture->machine);
    while (fixture->machine->manifests->len < 10)
        tiny_next(fixture->machine, TRUE);
}

static void reopen(struct fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    store_machine_free(fixture->machine);
    fixture->machine = store_machine_open(fixture->store, "m1", STORE_WRITE, NULL, &error);
    g_assert_no_error(error);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    store_machine_free(fixture->machine);
    store_free(fixture->store);
    temp_folder_free(fixture->folder);
}

static void retain(struct fixture *fixture, guint count)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(store_retain(fixture->machine, count, &not_cancelled, NULL, &error));
    g_assert_no_error(error);
}

/* The recovery points from oldest to 10 are there as they were made, in memory and on disk. */
static void expect_points(struct fixture *fixture, guint oldest)
{
    for (guint look = 0; look < 2; look++) {
        g_assert_cmpuint(fixture->machine->manifests->len, ==, 11 - oldest);
        for (guint number = oldest; number <= 10; number++)
            tiny_expect(fixture->machine, number);
        reopen(fixture);
    }
}

static void expect_merged_up_to(struct fixture *fixture, guint number)
{
    for (guint i = 2; i <= 10; i++) {
        g_autofree char *layer = store_name_number(i, ".qcow2");
        g_autofree char *journal = store_name_number(i, ".journal");
        g_assert_cmpint(tiny_has_file(fixture->machine, layer), ==, i > number);
        g_assert_cmpint(tiny_has_file(fixture->machine, journal), ==, i > number);
    }
}

static void test_steps(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    retain(fixture, 10);
    retain(fixture, 100);
    expect_points(fixture, 1);
    expect_merged_up_to(fixture, 1);
    for (guint keep = 9; keep >= 1; keep--) {
        retain(fixture, keep);
        expect_points(fixture, 11 - keep);
        expect_merged_up_to(fixture, 11 - keep);
    }
}

static void test_at_once(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    retain(fixture, 3);
    expect_points(fixture, 8);
    expect_merged_up_to(fixture, 8);
}

/* A pinned recovery point stays, and with it all that are younger; the files under any pinned one
 * keep their names. */
static void test_pins(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    (void)data;
    struct store_pin *pin = store_pin_take(fixture->machine, 4, &error);
    struct store_pin *second = store_pin_take(fixture->machine, 4, &error);
    g_assert_no_error(error);
    retain(fixture, 2);
    expect_points(fixture, 4);
    expect_merged_up_to(fixture, 1);
    store_pin_free(pin);
    retain(fixture, 2);
    expect_points(fixture, 4);
    store_pin_free(second);
    pin = store_pin_take(fixture->machine, 9, &error);
    retain(fixture, 2);
    expect_points(fixture, 9);
    expect_merged_up_to(fixture, 1);
    store_pin_free(pin);
    retain(fixture, 2);
    expect_points(fixture, 9);
    expect_merged_up_to(fixture, 9);
    g_assert_null(store_pin_take(fixture->machine, 4, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT);
    reopen(fixture); /* the pin of nothing that this left is gone */
    g_autofree char *manifest = store_machine_manifest_path(fixture->machine, 4);
    g_autofree char *left = g_strconcat(manifest, ".pin", NULL);
    g_assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
    store_pin_free(NULL);
}

static void test_cancel(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    gint cancelled = 1;
    (void)data;
    g_assert_false(store_retain(fixture->machine, 3, &cancelled, NULL, &error));
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CANCELLED);
    expect_points(fixture, 8);
    retain(fixture, 3);
    expect_points(fixture, 8);
    expect_merged_up_to(fixture, 8);
}

/* A journal that was not applied yet is needed by the map: it may not go with its layer. */
static void test_unsettled(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    (void)data;
    tiny_next(fixture->machine, FALSE);
    retain(fixture, 1);
    g_assert_cmpuint(fixture->machine->manifests->len, ==, 1);
    tiny_expect(fixture->machine, 11);
    reopen(fixture);
    const struct manifest *latest = store_machine_latest(fixture->machine);
    struct block_map *map =
        store_map_open(fixture->machine, manifest_disk_find(latest, "vda"), &error);
    g_assert_no_error(error);
    g_assert_cmpuint(block_map_generation(map), ==, 11);
    block_map_free(map);
}

/* Leaves of a kill, put there by hand: base written in part, layer above rebased, one of two
 * manifests renamed. */
static void test_again(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = store_machine_disk_folder(fixture->machine, "vda");
    g_autofree char *base = g_build_filename(folder, BASE_NAME, NULL);
    g_autofree guint8 *block = g_malloc(BLOCK_BYTES);
    (void)data;
    for (guint number = 1; number <= 3; number++) {
        g_autofree char *path = store_machine_manifest_path(fixture->machine, number);
        g_assert_true(store_file_remove(path, &error));
    }
    reopen(fixture);
    /* Layers 2 to 4 are below the oldest; layer 2 is in the base already. */
    int fd = store_file_open(base, O_RDWR, &error);
    tiny_fill(block, 2);
    g_assert_true(store_file_write(fd, base, block, BLOCK_BYTES, 2 * BLOCK_BYTES, &error));
    close(fd);
    expect_points(fixture, 4);
    g_assert_true(layer_rebase(folder, "000003.qcow2", BASE_NAME, "raw", &error));
    expect_points(fixture, 4);
    g_assert_false(tiny_has_file(fixture->machine, "000002.qcow2")); /* nobody needs it */
    retain(fixture, 7);
    expect_points(fixture, 4);
    expect_merged_up_to(fixture, 4);
    retain(fixture, 2);
    expect_points(fixture, 9);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct fixture *fixture, gconstpointer data);
    } tests[] = {{"/retention/steps", test_steps},         {"/retention/at-once", test_at_once},
                 {"/retention/R10: pins", test_pins},      {"/retention/cancel", test_cancel},
                 {"/retention/unsettled", test_unsettled}, {"/retention/again", test_again}};
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].run, tear_down);
    return g_test_run();
}
