/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <string.h>

/* In /proc/PID/stat, counted from the process's state, which follows its name in brackets. */
#define START_TIME_FIELD 19u

char *process_find_program(const char *name, GError **error)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = self ? g_path_get_dirname(self) : NULL;
    g_autofree char *beside = folder ? g_build_filename(folder, name, NULL) : NULL;
    if (beside && g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
        return g_steal_pointer(&beside);
    char *found = g_find_program_in_path(name);
    if (!found)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "install all of Landfall's programs",
                           "the program %s was not found", name);
    return found;
}

guint64 process_start_time(int pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    const char *name_end = strrchr(text, ')');
    if (!name_end)
        return 0;
    g_auto(GStrv) fields = g_strsplit(name_end + 1, " ", 0);
    /* The text goes on with a space, so that the first field is empty. */
    if (g_strv_length(fields) <= START_TIME_FIELD + 1)
        return 0;
    return g_ascii_strtoull(fields[START_TIME_FIELD + 1], NULL, 10);
}
