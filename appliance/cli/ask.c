/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/ask.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static gboolean answer_is_yes(void)
{
    char answer[16] = "";
    if (!fgets(answer, sizeof answer, stdin))
        return FALSE;
    g_strstrip(answer);
    return g_ascii_strcasecmp(answer, "y") == 0 || g_ascii_strcasecmp(answer, "yes") == 0;
}

gboolean ask_whether(gboolean yes, const char *what_happens, GError **error)
{
    if (yes)
        return TRUE;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "say --yes if that is what you want",
                           "there is no terminal to ask on: %s", what_happens);
        return FALSE;
    }
    fprintf(stderr, "%s\nGo on? [y/N] ", what_happens);
    fflush(stderr);
    if (answer_is_yes())
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "nothing has been done");
    return FALSE;
}
