/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/qemu-img.h"

#include <gio/gio.h>
#include <string.h>

/* qemu-img knows the cause as a text alone. */
static const char *hint_for(const char *complaint)
{
    if (strstr(complaint, g_strerror(ENOSPC)))
        return "free some space in the store, then do it again";
    if (strstr(complaint, "lock"))
        return "another QEMU has the image: end the machine that runs on it";
    return NULL;
}

gboolean qemu_img_run(const char *const *arguments, char **ret_output, GError **error)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_autoptr(GError) cause = NULL;
    g_autofree char *output = NULL, *complaint = NULL;
    g_ptr_array_add(words, (char *)"qemu-img");
    for (gsize i = 0; arguments[i]; i++)
        g_ptr_array_add(words, (char *)arguments[i]);
    g_ptr_array_add(words, NULL);
    g_autoptr(GSubprocess) process =
        g_subprocess_newv((const char *const *)words->pdata,
                          G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &cause);
    if (!process) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "install qemu-utils",
                           "cannot start qemu-img: %s", cause->message);
        return FALSE;
    }
    gboolean ok = g_subprocess_communicate_utf8(process, NULL, NULL, &output, &complaint, &cause) &&
                  g_subprocess_get_successful(process);
    if (!ok)
        landfall_error_set(error, LANDFALL_ERROR_REPLICA, hint_for(complaint ? complaint : ""),
                           "qemu-img %s failed: %s", arguments[0],
                           complaint ? g_strstrip(complaint) : cause->message);
    else if (ret_output)
        *ret_output = g_steal_pointer(&output);
    return ok;
}
