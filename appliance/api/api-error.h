/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Errors that only HTTP knows, beside those of base/error.h, and what both look like to a client.
 */

#include <json-glib/json-glib.h>

#define API_ERROR (api_error_quark())

/* The numbers are those of the HTTP status. */
enum api_error_code {
    API_ERROR_UNAUTHENTICATED = 401,
    API_ERROR_FORBIDDEN = 403,
    API_ERROR_METHOD = 405,
    API_ERROR_TOO_LARGE = 413,
    API_ERROR_WRONG_TYPE = 415,
    API_ERROR_TOO_MANY = 429,
    API_ERROR_STOPPING = 503,
};

GQuark api_error_quark(void);

/* The HTTP status that fits the error. */
unsigned api_error_status(const GError *error);

/* {"error":{"code","message","hint"}}. The caller owns it. */
JsonObject *api_error_to_json(const GError *error);
