/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <string.h>

typedef struct {
    char *hint; /* owned, may be NULL */
} LandfallErrorPrivate;

static void landfall_error_private_init(LandfallErrorPrivate *private)
{
    private->hint = NULL;
}

static void landfall_error_private_copy(const LandfallErrorPrivate *from, LandfallErrorPrivate *to)
{
    to->hint = g_strdup(from->hint);
}

static void landfall_error_private_clear(LandfallErrorPrivate *private)
{
    g_free(private->hint);
}

G_DEFINE_EXTENDED_ERROR(LandfallError, landfall_error)

static const char *const code_names[] = {
    [LANDFALL_ERROR_CONFIG] = "config",           [LANDFALL_ERROR_SOURCE] = "source",
    [LANDFALL_ERROR_REPLICA] = "replica",         [LANDFALL_ERROR_CORRUPT] = "corrupt",
    [LANDFALL_ERROR_CANCELLED] = "cancelled",     [LANDFALL_ERROR_CONFLICT] = "conflict",
    [LANDFALL_ERROR_UNSUPPORTED] = "unsupported", [LANDFALL_ERROR_MISSING] = "missing",
    [LANDFALL_ERROR_INTERNAL] = "internal",
};

static void error_set_valist(GError **error, enum landfall_error_code code, const char *hint,
                             const char *format, va_list arguments)
{
    if (!error)
        return;
    GError *fresh = g_error_new_valist(LANDFALL_ERROR, (gint)code, format, arguments);
    landfall_error_get_private(fresh)->hint = g_strdup(hint);
    g_propagate_error(error, fresh);
}

void landfall_error_set(GError **error, enum landfall_error_code code, const char *hint,
                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_set_valist(error, code, hint, format, arguments);
    va_end(arguments);
}

static const char *errno_hint(int errnum)
{
    switch (errnum) {
    case ENOSPC:
        return "free space in the store, then run the cycle again: older recovery points are whole";
    case EDQUOT:
        return "raise the quota or free space in the store, then run the cycle again";
    case EROFS:
        return "remount the store's file system read-write; the kernel log says why it is not";
    case EACCES:
    case EPERM:
        return "give the user that runs this the right to read and write the store";
    case EIO:
        return "look at the disk under the store and at the kernel log; landfall store verify "
               "tells "
               "which recovery points are whole";
    default:
        return "look at the store's file system and at the kernel log, then run the cycle again";
    }
}

void landfall_error_set_errno(GError **error, enum landfall_error_code code, int errnum,
                              const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (!hint && code == LANDFALL_ERROR_REPLICA)
        hint = errno_hint(errnum);
    landfall_error_set(error, code, hint, "%s: %s", message, g_strerror(errnum));
}

const char *landfall_error_hint(const GError *error)
{
    if (!error || error->domain != LANDFALL_ERROR)
        return NULL;
    return landfall_error_get_private((GError *)error)->hint;
}

const char *landfall_error_name(const GError *error)
{
    if (error->domain == LANDFALL_ERROR && error->code >= 0 &&
        (gsize)error->code < G_N_ELEMENTS(code_names))
        return code_names[error->code];
    if (error->domain == G_OPTION_ERROR)
        return "config";
    return "internal";
}

enum landfall_error_code landfall_error_code_from_name(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(code_names); i++)
        if (g_strcmp0(name, code_names[i]) == 0)
            return (enum landfall_error_code)i;
    return LANDFALL_ERROR_SOURCE;
}
