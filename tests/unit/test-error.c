/* SPDX-License-Identifier: Apache-2.0 */

/* base/error.c: invariants B1 to B4 of base/README.md. */

#include "base/error.h"

#include <errno.h>
#include <gio/gio.h>

static const struct {
    enum landfall_error_code code;
    const char *name;
} all_codes[] = {
    {LANDFALL_ERROR_CONFIG, "config"},           {LANDFALL_ERROR_SOURCE, "source"},
    {LANDFALL_ERROR_REPLICA, "replica"},         {LANDFALL_ERROR_CORRUPT, "corrupt"},
    {LANDFALL_ERROR_CANCELLED, "cancelled"},     {LANDFALL_ERROR_CONFLICT, "conflict"},
    {LANDFALL_ERROR_UNSUPPORTED, "unsupported"}, {LANDFALL_ERROR_MISSING, "missing"},
    {LANDFALL_ERROR_INTERNAL, "internal"},
};

static void test_set(void)
{
    g_autoptr(GError) error = NULL;
    char hint[] = "start it";
    landfall_error_set(&error, LANDFALL_ERROR_SOURCE, hint, "host %s, port %d", "alpha", 22);
    hint[0] = 'S'; /* the hint is a copy: what happens to ours later is not seen */
    g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_SOURCE);
    g_assert_cmpstr(error->message, ==, "host alpha, port 22");
    g_assert_cmpstr(landfall_error_hint(error), ==, "start it");
}

static void test_set_without_place(void)
{
    landfall_error_set(NULL, LANDFALL_ERROR_CONFIG, "hint", "%s", "nobody asks");
    landfall_error_set_errno(NULL, LANDFALL_ERROR_REPLICA, ENOSPC, NULL, "%s", "nobody asks");
}

static void test_no_hint(void)
{
    g_autoptr(GError) error = NULL;
    landfall_error_set(&error, LANDFALL_ERROR_CONFIG, NULL, "no hint here");
    g_assert_null(landfall_error_hint(error));
    g_assert_null(landfall_error_hint(NULL));
}

/* B1 */
static void test_travel(void)
{
    g_autoptr(GError) first = NULL;
    landfall_error_set(&first, LANDFALL_ERROR_CONFLICT, "end the other job", "a job is running");
    g_prefix_error(&first, "disk vda: ");
    g_prefix_error(&first, "machine %s: ", "web");
    g_autoptr(GError) copy = g_error_copy(first);
    g_clear_error(&first);
    g_autoptr(GError) arrived = NULL;
    g_propagate_error(&arrived, g_steal_pointer(&copy));
    g_assert_error(arrived, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT);
    g_assert_cmpstr(arrived->message, ==, "machine web: disk vda: a job is running");
    g_assert_cmpstr(landfall_error_hint(arrived), ==, "end the other job");
}

/* B2 */
static void test_errno(void)
{
    static const int with_hint[] = {ENOSPC, EDQUOT, EROFS, EACCES, EIO, ENFILE};
    for (gsize i = 0; i < G_N_ELEMENTS(with_hint); i++) {
        g_autoptr(GError) error = NULL;
        landfall_error_set_errno(&error, LANDFALL_ERROR_REPLICA, with_hint[i], NULL, "write %d", 7);
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_REPLICA);
        g_autofree char *expected = g_strdup_printf("write 7: %s", g_strerror(with_hint[i]));
        g_assert_cmpstr(error->message, ==, expected);
        g_assert_nonnull(landfall_error_hint(error));
    }
}

static void test_errno_hint_of_caller(void)
{
    g_autoptr(GError) own = NULL;
    landfall_error_set_errno(&own, LANDFALL_ERROR_REPLICA, ENOSPC, "prune", "write");
    g_assert_cmpstr(landfall_error_hint(own), ==, "prune");
    /* No room in the store is one thing, no room on the source host another. */
    g_autoptr(GError) source = NULL;
    landfall_error_set_errno(&source, LANDFALL_ERROR_SOURCE, ENOSPC, NULL, "scratch image");
    g_assert_null(landfall_error_hint(source));
}

/* A percent sign in the text of a message is text when it comes out again. */
static void test_errno_percent(void)
{
    g_autoptr(GError) error = NULL;
    landfall_error_set_errno(&error, LANDFALL_ERROR_REPLICA, EIO, NULL, "file %s", "100%s%n");
    g_autofree char *expected = g_strdup_printf("file 100%%s%%n: %s", g_strerror(EIO));
    g_assert_cmpstr(error->message, ==, expected);
}

/* B3 */
static void test_names(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(all_codes); i++) {
        g_autoptr(GError) error = NULL;
        landfall_error_set(&error, all_codes[i].code, NULL, "x");
        g_assert_cmpstr(landfall_error_name(error), ==, all_codes[i].name);
        g_assert_cmpint(landfall_error_code_from_name(all_codes[i].name), ==, all_codes[i].code);
    }
}

/* B4 */
static void test_foreign(void)
{
    g_autoptr(GError) io = g_error_new(G_IO_ERROR, G_IO_ERROR_NO_SPACE, "x");
    g_assert_cmpstr(landfall_error_name(io), ==, "internal");
    g_assert_null(landfall_error_hint(io));
    g_autoptr(GError) option = g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, "x");
    g_assert_cmpstr(landfall_error_name(option), ==, "config");
    static const int no_codes[] = {-1, G_N_ELEMENTS(all_codes), G_MAXINT, G_MININT};
    for (gsize i = 0; i < G_N_ELEMENTS(no_codes); i++) {
        g_autoptr(GError) error = g_error_new(LANDFALL_ERROR, no_codes[i], "x");
        g_assert_cmpstr(landfall_error_name(error), ==, "internal");
    }
}

static void test_unknown_names(void)
{
    static const char *const names[] = {"", "Config", "config ", "confi", "gone", NULL};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_cmpint(landfall_error_code_from_name(names[i]), ==, LANDFALL_ERROR_SOURCE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/set", test_set);
    g_test_add_func("/error/set-without-place", test_set_without_place);
    g_test_add_func("/error/no-hint", test_no_hint);
    g_test_add_func("/error/B1: travel", test_travel);
    g_test_add_func("/error/B2: errno", test_errno);
    g_test_add_func("/error/errno-hint-of-caller", test_errno_hint_of_caller);
    g_test_add_func("/error/errno-percent", test_errno_percent);
    g_test_add_func("/error/B3: names", test_names);
    g_test_add_func("/error/foreign", test_foreign);
    g_test_add_func("/error/B4: unknown names", test_unknown_names);
    return g_test_run();
}
