/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A folder of a unit test's own, and files in it. Failures end the test: a test without its folder
 * proves nothing. */

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

static inline char *temp_folder_new(void)
{
    g_autoptr(GError) error = NULL;
    char *path = g_dir_make_tmp("landfall-unit-XXXXXX", &error);
    g_assert_no_error(error);
    return path;
}

static inline void temp_folder_remove(const char *path)
{
    GDir *folder = g_dir_open(path, 0, NULL);
    for (const char *name; folder && (name = g_dir_read_name(folder));) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        if (g_file_test(child, G_FILE_TEST_IS_DIR) && !g_file_test(child, G_FILE_TEST_IS_SYMLINK))
            temp_folder_remove(child);
        else
            g_assert_cmpint(g_unlink(child), ==, 0);
    }
    g_clear_pointer(&folder, g_dir_close);
    g_assert_cmpint(g_rmdir(path), ==, 0);
}

static inline void temp_folder_free(char *path)
{
    if (path)
        temp_folder_remove(path);
    g_free(path);
}

typedef char temp_folder;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(temp_folder, temp_folder_free)

/* The whole of a file; the caller owns it. */
static inline char *temp_file_load(const char *path, gsize *ret_length)
{
    char *bytes = NULL;
    g_autoptr(GError) error = NULL;
    g_assert_true(g_file_get_contents(path, &bytes, ret_length, &error));
    g_assert_no_error(error);
    return bytes;
}

/* In place: a file that is cut and written anew is flushed by ext4 each time, and tests of damage
 * do this thousands of times. */
static inline void temp_file_save(const char *path, const void *bytes, gsize length)
{
    int fd = g_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pwrite(fd, bytes, length, 0), ==, (gssize)length);
    g_assert_cmpint(ftruncate(fd, (off_t)length), ==, 0);
    g_assert_cmpint(close(fd), ==, 0);
}

/* Into a file that is there. */
static inline void temp_file_put(const char *path, const void *bytes, gsize length, guint64 offset)
{
    int fd = g_open(path, O_WRONLY | O_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pwrite(fd, bytes, length, (off_t)offset), ==, (gssize)length);
    g_assert_cmpint(close(fd), ==, 0);
}
