/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Typed, bounded access to the members of a JSON object. json-glib's own getters warn or return a
 * default when a member is missing or of another type; input from files and pipes needs an error.
 * All ret_x stay untouched on failure; every error is of the given code and names the member. */

#include "base/error.h"

#include <json-glib/json-glib.h>

/* Parses text (length_bytes long) into an object. what names the text in errors. The caller owns
 * the returned object. */
JsonObject *json_parse_object(const char *text, gsize length_bytes, const char *what,
                              enum landfall_error_code code, GError **error);

/* Mandatory members. Strings are borrowed from the object. */
gboolean json_member_string(JsonObject *object, const char *name, enum landfall_error_code code,
                            const char **ret_value, GError **error);
gboolean json_member_uint(JsonObject *object, const char *name, enum landfall_error_code code,
                          guint64 *ret_value, GError **error);
gboolean json_member_array(JsonObject *object, const char *name, enum landfall_error_code code,
                           JsonArray **ret_value, GError **error);

/* Optional members: TRUE with *ret_value untouched when the member is missing or null; an error
 * when it is there with another type. */
gboolean json_optional_string(JsonObject *object, const char *name, enum landfall_error_code code,
                              const char **ret_value, GError **error);
gboolean json_optional_uint(JsonObject *object, const char *name, enum landfall_error_code code,
                            guint64 *ret_value, GError **error);
gboolean json_optional_boolean(JsonObject *object, const char *name, enum landfall_error_code code,
                               gboolean *ret_value, GError **error);

/* For JSON of our own making, where what is not there is simply not there: NULL, FALSE or 0 when
 * the member is missing or of another type, and when object is NULL. Borrowed. */
const char *json_find_string(JsonObject *object, const char *name);
JsonObject *json_find_object(JsonObject *object, const char *name);
JsonArray *json_find_array(JsonObject *object, const char *name);
gboolean json_find_boolean(JsonObject *object, const char *name);
guint64 json_find_uint(JsonObject *object, const char *name);

/* An array of strings that is not empty; *ret_value is owned by the caller. */
gboolean json_optional_strings(JsonObject *object, const char *name, enum landfall_error_code code,
                               GStrv *ret_value, GError **error);

/* The element at index as an object; an error when it is something else. Borrowed. */
gboolean json_element_object(JsonArray *array, guint index, const char *what,
                             enum landfall_error_code code, JsonObject **ret_value, GError **error);

/* Sets member name to value, or leaves it out when value is NULL. */
void json_set_optional_string(JsonObject *object, const char *name, const char *value);
void json_set_optional_strings(JsonObject *object, const char *name, const char *const *value);

/* Sets member name to a time in UTC as ISO 8601, to the second, or leaves it out when at_us
 * (microseconds since 1970) is 0. */
void json_set_time(JsonObject *object, const char *name, gint64 at_us);

/* An error between processes: sets members code, message and, unless there is none, hint; and the
 * error, owned by the caller, that such members tell. */
void json_set_error(JsonObject *object, const GError *error);
GError *json_to_error(JsonObject *object);

/* The object as text: one line, or indented for people. The caller owns the text. */
char *json_object_to_text(JsonObject *object, gboolean pretty);
