/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt keeps its last error for each thread; here it becomes a GError that names our subject
 * first and carries a hint. */
#include "snapshot/snapshot-private.h"

const char *snapshot_libvirt_message(void)
{
    const char *message = virGetLastErrorMessage();
    return message && *message ? message : "no reason given";
}

void snapshot_libvirt_error_raise(virErrorPtr cause, GError **error, enum landfall_error_code code,
                                  const char *hint, const char *format, ...)
{
    const char *message = cause && cause->message ? cause->message : "no reason given";
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *subject = g_strdup_vprintf(format, arguments);
    va_end(arguments);

    switch (cause ? cause->code : VIR_ERR_OK) {
    case VIR_ERR_OPERATION_TIMEOUT:
        code = LANDFALL_ERROR_CONFLICT;
        hint = "another operation holds the machine: `virsh domjobinfo` on the host names it; "
               "the next cycle tries again";
        break;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
        hint = "the host refuses this user: add it to the group libvirt there, or check its key";
        break;
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_ACCESS_DENIED:
        code = LANDFALL_ERROR_CONFIG;
        hint = "the host's access rules refuse this user: it needs read-write access to libvirt";
        break;
    default:
        break;
    }
    landfall_error_set(error, code, hint, "%s: %s", subject, message);
    if (cause)
        virFreeError(cause);
}
