/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of the translation share: definitions and targets from files, and how to look at
 * what came out. */

#include "appliance/steps/translate.h"
#include "base/error.h"
#include "snapshot/xml.h"

#include <string.h>

static inline char *read_file(const char *folder, const char *name)
{
    g_autofree char *path = g_strdup_printf("tests/unit/%s/%s.xml", folder, name);
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

/* The target is the one in tests/unit/targets/, whose libvirt was asked for both kinds of machine;
 * less what this expression finds there. */
static const char *lacks = NULL;

static inline char *read_target(const char *name)
{
    g_autofree char *text = read_file("targets", name);
    if (!lacks)
        return g_steal_pointer(&text);
    g_autoptr(GRegex) regex = g_regex_new(lacks, 0, 0, NULL);
    return g_regex_replace_literal(regex, text, -1, 0, "", 0, NULL);
}

static inline struct translation *translate(const char *domain_xml,
                                            const struct translate_settings *settings)
{
    g_autoptr(GError) error = NULL;
    struct translate_choice choice = {NULL};
    g_autofree char *capabilities = read_target("capabilities");
    translate_choose(domain_xml, capabilities, settings, &choice, &error);
    g_assert_no_error(error);
    g_autofree char *name = g_strdup_printf(
        "%s-%s", strstr(choice.machine_type, "q35") ? "q35" : "pc", choice.domain_type);
    g_autofree char *offered = read_target(name);
    struct translation *translation = translate_run(domain_xml, &choice, offered, settings, &error);
    g_assert_no_error(error);
    translate_choice_clear(&choice);
    return translation;
}

static inline struct translation *translate_sample(const char *name,
                                                   const struct translate_settings *settings)
{
    g_autofree char *text = read_file("domains", name);
    return translate(text, settings);
}

struct expectation {
    const char *xpath;
    const char *value; /* NULL: nothing */
};

static inline void expect(const struct translation *translation, const struct expectation *expected,
                          gsize count)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) document = snapshot_xml_parse(translation->xml, "the result", &error);
    g_assert_no_error(error);
    for (gsize i = 0; i < count; i++) {
        g_autofree char *string = g_strdup_printf("string(%s)", expected[i].xpath);
        g_autofree char *value = snapshot_xml_string(document, NULL, string);
        g_test_message("%s", expected[i].xpath);
        g_assert_cmpstr(value, ==, expected[i].value);
    }
}

/* "level: what: from → to" of the change about what; the first of those. NULL: there is none. */
static inline char *change_about(const struct translation *translation, const char *what)
{
    for (guint i = 0; i < json_array_get_length(translation->changes); i++) {
        JsonObject *change = json_array_get_object_element(translation->changes, i);
        g_assert_cmpstr(json_object_get_string_member(change, "why"), !=, "");
        if (g_strcmp0(json_object_get_string_member(change, "what"), what) == 0)
            return g_strdup_printf("%s: %s → %s", json_object_get_string_member(change, "level"),
                                   json_object_get_string_member_with_default(change, "from", "-"),
                                   json_object_get_string_member_with_default(change, "to", "-"));
    }
    return NULL;
}

static inline void expect_changes(const struct translation *translation,
                                  const struct expectation *expected, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        g_autofree char *change = change_about(translation, expected[i].xpath);
        g_test_message("change of %s", expected[i].xpath);
        g_assert_cmpstr(change, ==, expected[i].value);
    }
}
