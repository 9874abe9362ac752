/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/qemu-img.h"

#include <gio/gio.h>
#include <string.h>

/* qemu-img knows the cause as a text alone. */
static void set_error(const char *verb, const char *complaint, GError **error)
{
    enum landfall_error_code code = LANDFALL_ERROR_REPLICA;
    const char *hint = NULL;
    if (strstr(complaint, g_strerror(ENOSPC)))
        hint = "free some space in the store, then do it again";
    if (strstr(complaint, "lock")) {
        code = LANDFALL_ERROR_CONFLICT;
        hint = "another QEMU has the image: end the machine that runs on it";
    }
    landfall_error_set(error, code, hint, "qemu-img %s failed: %s", verb, complaint);
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
        set_error(arguments[0], complaint ? g_strstrip(complaint) : cause->message, error);
    else if (ret_output)
        *ret_output = g_steal_pointer(&output);
    return ok;
}
