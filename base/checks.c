/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checks.h"
#include "base/json.h"

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {"ok", "warning", "blocked"};
    return names[verdict];
}

void checks_init(struct checks *checks)
{
    *checks = (struct checks){.entries = json_array_new()};
}

void checks_clear(struct checks *checks)
{
    g_clear_pointer(&checks->entries, json_array_unref);
}

void checks_begin(struct checks *checks, const char *check)
{
    checks->check = check;
    checks->found = FALSE;
}

void checks_end(struct checks *checks, const char *fine)
{
    if (!checks->found)
        checks_add(checks, VERDICT_OK, NULL, "%s", fine);
}

void checks_add(struct checks *checks, enum verdict verdict, const char *hint, const char *format,
                ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    JsonObject *entry = json_object_new();
    json_object_set_string_member(entry, "check", checks->check);
    json_object_set_string_member(entry, "verdict", verdict_name(verdict));
    json_object_set_string_member(entry, "message", message);
    json_set_optional_string(entry, "hint", hint);
    json_array_add_object_element(checks->entries, entry);
    checks->worst = MAX(checks->worst, verdict);
    checks->found = TRUE;
}

JsonObject *checks_to_json(const struct checks *checks)
{
    JsonObject *result = json_object_new();
    json_object_set_boolean_member(result, "ready", checks->worst != VERDICT_BLOCKED);
    json_object_set_string_member(result, "verdict", verdict_name(checks->worst));
    json_object_set_array_member(result, "checks", json_array_ref(checks->entries));
    return result;
}
