/* SPDX-License-Identifier: Apache-2.0 */

/* replicator/manifest.c and store-name.c: a manifest comes back as it was written, and any byte
 * that changed is found out. */

#include "base/error.h"
#include "replicator/manifest.h"
#include "replicator/store-name.h"
#include "tests/unit/temp-folder.h"

#include <string.h>

static struct manifest *example(void)
{
    struct manifest *manifest = manifest_new();
    manifest->number = 7;
    manifest->machine = g_strdup("3f2c");
    manifest->machine_name = g_strdup("Wëb \"checksum\": \"00000000000000000000000000000000\"");
    manifest->created = g_strdup("2026-01-02T03:04:05Z");
    manifest->consistency = g_strdup("filesystem");
    manifest->checkpoint = g_strdup("landfall-7");
    manifest->duration_ms = 1234;
    for (guint i = 0; i < 2; i++) {
        struct manifest_disk *disk = manifest_add_disk(manifest, i ? "vdb" : "vda");
        disk->size_bytes = 64ull << 40;
        disk->seed = G_MAXUINT64 - i;
        disk->layer = g_strdup(i ? "base.raw" : "1234567.qcow2");
        disk->layer_bytes = 1ull << 50;
        disk->generation = 6 + i;
        disk->root_hash = block_hash_bytes("x", 1, i);
        disk->mode = i ? SCAN_BITMAP : SCAN_HASH_SCAN;
        disk->demotion_cause = g_strdup(i ? NULL : "no-bitmap");
        disk->demotion_detail = g_strdup(i ? NULL : "why\n\t\\");
        disk->images = i ? NULL : g_strsplit("/a/top.qcow2 inode 7|/a/base \"q\"", "|", 0);
        disk->figures = (struct disk_figures){1, 2, 3, 4, 5, 6, 7 + i};
        if (i)
            disk->verified = (struct disk_verified){VERIFY_FULL, 8, 9, 10};
    }
    return manifest;
}

static char *write_example(const char *folder)
{
    g_autoptr(GError) error = NULL;
    char *path = g_build_filename(folder, "000007.json", NULL);
    struct manifest *manifest = example();
    g_assert_true(manifest_write(manifest, path, &error));
    g_assert_no_error(error);
    manifest_free(manifest);
    return path;
}

static void test_round_trip(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *path = write_example(folder);
    struct manifest *manifest = example(), *loaded = manifest_load(path, &error);
    g_assert_no_error(error);
    g_autoptr(JsonObject) before = manifest_to_json(manifest);
    g_autoptr(JsonObject) after = manifest_to_json(loaded);
    g_autoptr(JsonNode) before_node = json_node_init_object(json_node_alloc(), before);
    g_autoptr(JsonNode) after_node = json_node_init_object(json_node_alloc(), after);
    g_assert_true(json_node_equal(before_node, after_node));
    const struct manifest_disk *disk = manifest_disk_find(loaded, "vda");
    g_assert_cmpuint(disk->seed, ==, G_MAXUINT64);
    g_assert_cmpuint(disk->size_bytes, ==, 64ull << 40);
    g_assert_cmpint(disk->mode, ==, SCAN_HASH_SCAN);
    g_assert_cmpstr(disk->demotion_detail, ==, "why\n\t\\");
    g_assert_null(manifest_disk_find(loaded, "vdb")->demotion_cause);
    g_assert_cmpint(disk->verified.mode, ==, VERIFY_NONE);
    g_assert_cmpint(manifest_disk_find(loaded, "vdb")->verified.mode, ==, VERIFY_FULL);
    g_assert_null(manifest_disk_find(loaded, "vdc"));
    g_assert_cmpstr(loaded->machine_name, ==, manifest->machine_name);
    manifest_free(manifest);
    manifest_free(loaded);
    g_autofree char *half = g_strconcat(path, ".tmp", NULL);
    g_assert_false(g_file_test(half, G_FILE_TEST_EXISTS));
}

static void expect_refused(const char *path)
{
    g_autoptr(GError) error = NULL;
    struct manifest *manifest = manifest_load(path, &error);
    g_assert_null(manifest);
    g_assert_cmpint((gint)error->domain, ==, (gint)LANDFALL_ERROR);
    g_assert_true(error->code == LANDFALL_ERROR_CORRUPT ||
                  error->code == LANDFALL_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, path));
    g_assert_nonnull(landfall_error_hint(error));
}

/* Every byte, every bit; one byte less, from either end; one more. */
static void test_damage(void)
{
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = write_example(folder);
    gsize length;
    g_autofree char *bytes = temp_file_load(path, &length);
    for (gsize bit = 0; bit < length * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        temp_file_save(path, bytes, length);
        expect_refused(path);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (gsize at = 0; at < length; at++) {
        static const char others[] = {' ', '\0', '"', '0', '\n', '\xff', '}'};
        char byte = bytes[at];
        for (gsize i = 0; i < sizeof others; i++) {
            if (others[i] == byte)
                continue;
            bytes[at] = others[i];
            temp_file_save(path, bytes, length);
            expect_refused(path);
        }
        bytes[at] = byte;
    }
    for (gsize cut = 0; cut < length; cut++) {
        temp_file_save(path, bytes, cut);
        expect_refused(path);
        temp_file_save(path, bytes + cut + 1, length - cut - 1);
        expect_refused(path);
    }
    g_autofree char *longer = g_strconcat(bytes, " ", NULL);
    temp_file_save(path, longer, length + 1);
    expect_refused(path);
    g_autoptr(GError) error = NULL;
    temp_file_save(path, bytes, length);
    struct manifest *manifest = manifest_load(path, &error);
    g_assert_no_error(error);
    manifest_free(manifest);
}

/* Replaces text and makes the checksum anew: what only the second look can refuse. */
static void save_changed(const char *path, const char *bytes, const char *from, const char *to)
{
    static const char zeros[] = "00000000000000000000000000000000";
    g_auto(GStrv) parts = g_strsplit(bytes, from, 2);
    g_assert_nonnull(parts[1]);
    g_autofree char *text = g_strjoinv(to, parts);
    char *digits = strchr(strstr(text, "\"checksum\"") + 10, '"') + 1;
    memcpy(digits, zeros, 32);
    struct block_hash checksum = block_hash_bytes(text, strlen(text), 0);
    g_autofree char *hex = block_hash_to_hex(&checksum);
    memcpy(digits, hex, 32);
    temp_file_save(path, text, strlen(text));
}

static void test_values(void)
{
    static const char *const changes[][2] = {
        {"\"landfall-recovery-point\"", "\"landfall-store\""},
        {"\"version\" : 1", "\"version\" : 2"},
        {"\"version\" : 1", "\"version\" : \"1\""},
        {"\"name\" : \"vda\"", "\"name\" : \"../vda\""},
        {"\"name\" : \"vda\"", "\"name\" : \"\""},
        {"\"name\" : \"vda\"", "\"name\" : \"vdb\""},
        {"\"name\" : \"vda\"", "\"name\" : \".vda\""},
        {"\"layer\" : \"base.raw\"", "\"layer\" : \"../base.raw\""},
        {"\"layer\" : \"base.raw\"", "\"layer\" : \"block-map\""},
        {"\"layer\" : \"base.raw\"", "\"layer\" : null"},
        {"\"size_bytes\" : 70368744177664", "\"size_bytes\" : 0"},
        {"\"size_bytes\" : 70368744177664", "\"size_bytes\" : -512"},
        {"\"size_bytes\" : 70368744177664", "\"size_bytes\" : 70368744178176"},
        {"\"size_bytes\" : 70368744177664", "\"size_bytes\" : 1.5"},
        {"\"seed\" : \"ffffffffffffffff\"", "\"seed\" : \"fffffffffffffff\""},
        {"\"seed\" : \"ffffffffffffffff\"", "\"seed\" : \"-ffffffffffffff1\""},
        {"\"mode\" : \"bitmap\"", "\"mode\" : \"guess\""},
        {"\"generation\"", "\"regeneration\""},
        {"\"root_hash\" : \"", "\"root_hash\" : \"0"},
        {"\"audit_misses\" : 7", "\"audit_misses\" : true"},
        {"\"consistency\" : \"filesystem\"", "\"consistency\" : \"none\""},
        {"\"number\" : 7", "\"number\" : -7"},
    };
    g_autoptr(temp_folder) folder = temp_folder_new();
    g_autofree char *path = write_example(folder);
    gsize length;
    g_autofree char *bytes = temp_file_load(path, &length);
    g_autoptr(GError) error = NULL;
    save_changed(path, bytes, "landfall-7", "landfall-8"); /* the tool is right */
    struct manifest *manifest = manifest_load(path, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(manifest->checkpoint, ==, "landfall-8");
    manifest_free(manifest);
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_test_message("%s", changes[i][1]);
        save_changed(path, bytes, changes[i][0], changes[i][1]);
        expect_refused(path);
    }
    g_autofree char *missing = g_build_filename(folder, "none", NULL);
    g_assert_null(manifest_load(missing, &error));
    g_assert_nonnull(strstr(error->message, missing));
}

static void test_names(void)
{
    static const char *const safe[] = {"vda", "a", "A-z_0.9", "sda1", "x.qcow2"};
    static const char *const unsafe[] = {"",    ".",   "..",  "../x", "a/b", "/",  ".hidden", "a b",
                                         "a\n", "a\\", "a:b", "ä",    "*",   "a;", "a\"",     "$x"};
    for (gsize i = 0; i < G_N_ELEMENTS(safe); i++)
        g_assert_true(store_name_is_safe(safe[i]));
    for (gsize i = 0; i < G_N_ELEMENTS(unsafe); i++)
        g_assert_false(store_name_is_safe(unsafe[i]));
    g_autofree char *longest = g_strnfill(128, 'a'), *longer = g_strnfill(129, 'a');
    g_assert_true(store_name_is_safe(longest));
    g_assert_false(store_name_is_safe(longer));
    guint64 number = 0;
    g_assert_true(store_name_parse_number("000007.json", ".json", &number));
    g_assert_cmpuint(number, ==, 7);
    g_assert_true(store_name_parse_number("1234567.json", ".json", &number));
    static const char *const wrong[] = {
        "00007.json",  "000000.json", "000007.jso", "000007.json.tmp",           "-00007.json",
        "0x0007.json", " 00007.json", ".json",      "99999999999999999999.json", "00000a.json",
        "000007"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_false(store_name_parse_number(wrong[i], ".json", &number));
    g_assert_cmpuint(number, ==, 1234567);
    g_assert_true(store_name_is_layer("base.raw") && store_name_is_layer("000001.qcow2"));
    g_assert_false(store_name_is_layer("../base.raw") || store_name_is_layer("x.qcow2"));
    g_autofree char *name = store_name_number(12345678, ".qcow2");
    g_assert_cmpstr(name, ==, "12345678.qcow2");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/manifest/round-trip", test_round_trip);
    g_test_add_func("/manifest/damage", test_damage);
    g_test_add_func("/manifest/R13: values", test_values);
    g_test_add_func("/manifest/R13: names", test_names);
    return g_test_run();
}
