/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/store-name.h"

#include <string.h>

#define NAME_BYTES_MAX 128u
#define NUMBER_DIGITS_MIN 6u

gboolean store_name_is_safe(const char *name)
{
    gsize length = strlen(name);
    if (length == 0 || length > NAME_BYTES_MAX || name[0] == '.')
        return FALSE;
    for (gsize i = 0; i < length; i++)
        if (!g_ascii_isalnum(name[i]) && !strchr("._-", name[i]))
            return FALSE;
    return TRUE;
}

char *store_name_number(guint64 number, const char *suffix)
{
    return g_strdup_printf("%06" G_GUINT64_FORMAT "%s", number, suffix);
}

gboolean store_name_parse_number(const char *name, const char *suffix, guint64 *ret_number)
{
    guint64 number;
    if (!g_str_has_suffix(name, suffix))
        return FALSE;
    g_autofree char *digits = g_strndup(name, strlen(name) - strlen(suffix));
    if (strlen(digits) < NUMBER_DIGITS_MIN ||
        !g_ascii_string_to_unsigned(digits, 10, 1, G_MAXINT64, &number, NULL))
        return FALSE;
    *ret_number = number;
    return TRUE;
}

gboolean store_name_is_layer(const char *name)
{
    guint64 number;
    return strcmp(name, BASE_NAME) == 0 || store_name_parse_number(name, ".qcow2", &number);
}
