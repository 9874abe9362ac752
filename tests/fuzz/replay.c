/* SPDX-License-Identifier: Apache-2.0 */

/* The main of a fuzz target inside `make test`: feeds it each file of its corpus, one TAP point
 * per file, so that an input that once broke a parser keeps being tried by whatever compiler and
 * sanitizer the suite is built with. `make fuzz` links libFuzzer's main instead. Runs in the root
 * of the tree: the program fuzz-NAME reads tests/fuzz/corpus/NAME. */

#include <glib.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

static void replay(gconstpointer user_data)
{
    g_autofree char *data = NULL;
    gsize length = 0;
    g_autoptr(GError) error = NULL;
    g_assert_true(g_file_get_contents(user_data, &data, &length, &error));
    /* An exact heap copy, so that a read one past the end is seen by ASan and valgrind. */
    g_autofree guint8 *exact = g_memdup2(data, length);
    g_assert_cmpint(LLVMFuzzerTestOneInput(exact, length), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_autofree char *program = g_path_get_basename(argv[0]);
    g_assert_true(g_str_has_prefix(program, "fuzz-"));
    g_autofree char *folder = g_build_filename("tests/fuzz/corpus", program + 5, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) corpus = g_dir_open(folder, 0, &error);
    g_assert_no_error(error);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    while ((name = g_dir_read_name(corpus))) {
        g_autofree char *test = g_strdup_printf("/%s/%s", program, name);
        g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
        g_test_add_data_func(test, g_ptr_array_index(paths, paths->len - 1), replay);
    }
    g_assert_cmpuint(paths->len, >, 0);
    return g_test_run();
}
