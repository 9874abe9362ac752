/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/body.h"
#include "appliance/cli/quantity.h"
#include "base/json.h"

#include <string.h>

gboolean body_set_number(JsonObject *body, const char *option, const char *member, const char *text,
                         gint64 minimum, const char *word, GError **error)
{
    gint64 number = 0;
    if (!text)
        return TRUE;
    if (g_strcmp0(text, word) != 0 &&
        !g_ascii_string_to_signed(text, 10, minimum, G_MAXINT32, &number, NULL)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "--%s: '%s' is no number from %" G_GINT64_FORMAT "%s%s", option, text,
                           minimum, word ? ", nor " : "", word ? word : "");
        return FALSE;
    }
    json_object_set_int_member(body, member, number);
    return TRUE;
}

gboolean body_set_duration(JsonObject *body, const char *option, const char *member,
                           const char *text, GError **error)
{
    guint64 seconds;
    if (!text)
        return TRUE;
    if (!quantity_parse_duration(text, &seconds, error)) {
        g_prefix_error(error, "--%s: ", option);
        return FALSE;
    }
    json_object_set_int_member(body, member, (gint64)seconds);
    return TRUE;
}

gboolean body_set_mebibytes(JsonObject *body, const char *option, const char *member,
                            const char *text, GError **error)
{
    guint64 bytes;
    if (!text)
        return TRUE;
    if (!quantity_parse_bytes(text, &bytes, error)) {
        g_prefix_error(error, "--%s: ", option);
        return FALSE;
    }
    if (bytes < 1024 * 1024) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as 512M or 4G",
                           "--%s: '%s' is less than 1 MiB", option, text);
        return FALSE;
    }
    json_object_set_int_member(body, member, (gint64)(bytes >> 20));
    return TRUE;
}

gboolean body_set_time(JsonObject *body, const char *option, const char *member, const char *text,
                       GError **error)
{
    if (!text)
        return TRUE;
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autoptr(GDateTime) time = quantity_parse_time(text, now, error);
    g_autoptr(GDateTime) utc = time ? g_date_time_to_utc(time) : NULL;
    g_autofree char *iso = utc ? g_date_time_format_iso8601(utc) : NULL;
    if (!iso) {
        g_prefix_error(error, "--%s: ", option);
        return FALSE;
    }
    json_object_set_string_member(body, member, iso);
    return TRUE;
}

static gboolean is_none(char **strings)
{
    return g_strv_length(strings) == 1 && strcmp(strings[0], "none") == 0;
}

void body_set_strings(JsonObject *body, const char *member, char **strings)
{
    JsonArray *array = strings ? json_array_new() : NULL;
    for (char **string = strings; string && !is_none(strings) && *string; string++)
        json_array_add_string_element(array, *string);
    if (array)
        json_object_set_array_member(body, member, array);
}

gboolean body_set_pairs(JsonObject *body, const char *option, const char *member, char **strings,
                        GError **error)
{
    if (!strings)
        return TRUE;
    g_autoptr(JsonObject) pairs = json_object_new();
    for (char **string = strings; !is_none(strings) && *string; string++) {
        const char *equals = strchr(*string, '=');
        if (!equals || equals == *string || equals[1] == '\0') {
            landfall_error_set(error, LANDFALL_ERROR_CONFIG, "such as br0=default",
                               "--%s: '%s' does not say what becomes of what", option, *string);
            return FALSE;
        }
        g_autofree char *from = g_strndup(*string, (gsize)(equals - *string));
        json_object_set_string_member(pairs, from, equals + 1);
    }
    json_object_set_object_member(body, member, g_steal_pointer(&pairs));
    return TRUE;
}

void body_set_texts(JsonObject *body, const struct body_text *texts, gsize count)
{
    for (gsize i = 0; i < count; i++)
        json_set_optional_string(body, texts[i].member, texts[i].text);
}

/* --- probes -------------------------------------------------------------------------------------
 */

static JsonObject *no_probe(const char *text, GError **error)
{
    landfall_error_set(
        error, LANDFALL_ERROR_CONFIG,
        "power, power=SECONDS, agent, console=PATTERN, tcp=PORT, tcp=ADDRESS:PORT or http=URL",
        "--probe: '%s' is no probe", text);
    return NULL;
}

/* "22", "10.0.0.5:22", "[fe80::5]:22" */
static gboolean set_end_point(JsonObject *probe, const char *text)
{
    const char *colon = strrchr(text, ':');
    guint64 port;
    if (!g_ascii_string_to_unsigned(colon ? colon + 1 : text, 10, 1, 65535, &port, NULL))
        return FALSE;
    json_object_set_int_member(probe, "port", (gint64)port);
    if (!colon)
        return TRUE;
    g_autofree char *address = g_strndup(text, (gsize)(colon - text));
    gsize length = strlen(address);
    gboolean brackets = length > 2 && address[0] == '[' && address[length - 1] == ']';
    if (brackets)
        address[length - 1] = '\0';
    json_object_set_string_member(probe, "address", address + brackets);
    return length > 0 && (brackets || !strpbrk(address, "[]:"));
}

static JsonObject *parse_probe(const char *text, GError **error)
{
    if (*text == '{')
        return json_parse_object(text, strlen(text), "--probe", LANDFALL_ERROR_CONFIG, error);
    g_auto(GStrv) parts = g_strsplit(text, "=", 2);
    const char *kind = parts[0] ? parts[0] : "", *value = parts[0] ? parts[1] : NULL;
    gboolean is_console = strcmp(kind, "console") == 0, is_power = strcmp(kind, "power") == 0;
    guint64 seconds = 0;
    g_autoptr(JsonObject) probe = json_object_new();
    json_object_set_string_member(probe, "kind", kind);
    if (!value && (is_power || strcmp(kind, "agent") == 0))
        return g_steal_pointer(&probe);
    if (!value || !*value)
        return no_probe(text, error);
    if (is_console || strcmp(kind, "http") == 0)
        json_object_set_string_member(probe, is_console ? "pattern" : "url", value);
    else if (is_power && g_ascii_string_to_unsigned(value, 10, 1, 86400, &seconds, NULL))
        json_object_set_int_member(probe, "seconds", (gint64)seconds);
    else if (strcmp(kind, "tcp") != 0 || !set_end_point(probe, value))
        return no_probe(text, error);
    return g_steal_pointer(&probe);
}

gboolean body_set_probes(JsonObject *body, char **strings, GError **error)
{
    if (!strings)
        return TRUE;
    g_autoptr(JsonArray) probes = json_array_new();
    for (char **string = strings; *string; string++) {
        JsonObject *probe = parse_probe(*string, error);
        if (!probe)
            return FALSE;
        json_array_add_object_element(probes, probe);
    }
    json_object_set_array_member(body, "probes", g_steal_pointer(&probes));
    return TRUE;
}
