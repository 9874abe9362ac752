/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Input of a fuzz target as a file in memory, for parsers that read files. */

#include <glib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A path that leads to the bytes, until close of *ret_fd. The caller owns the path. */
static inline char *scratch_file(const guint8 *data, gsize length, int *ret_fd)
{
    *ret_fd = memfd_create("fuzz", MFD_CLOEXEC);
    g_assert_cmpint(*ret_fd, >=, 0);
    g_assert_cmpint(write(*ret_fd, data, length), ==, (gssize)length);
    return g_strdup_printf("/proc/self/fd/%d", *ret_fd);
}
