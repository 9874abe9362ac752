/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Errors of all rooms: one GError domain whose codes decide retry and wording, and a hint that
 * tells the operator what to do next. The hint is kept apart from the message, so that callers may
 * prefix the message with what they know and the hint still reaches the operator unchanged. */

#include <glib.h>

#define LANDFALL_ERROR (landfall_error_quark())

enum landfall_error_code {
    LANDFALL_ERROR_CONFIG,      /* what the operator asked for is wrong; a retry is useless */
    LANDFALL_ERROR_SOURCE,      /* host, machine or NBD source failed; a retry may help */
    LANDFALL_ERROR_REPLICA,     /* the store failed: full, read-only, I/O error */
    LANDFALL_ERROR_CORRUPT,     /* stored data is not what was written */
    LANDFALL_ERROR_CANCELLED,   /* the operator or a signal ended the work */
    LANDFALL_ERROR_CONFLICT,    /* somebody else holds the thing */
    LANDFALL_ERROR_UNSUPPORTED, /* known, and not done */
    LANDFALL_ERROR_MISSING,     /* what was asked for by name or number is not there */
    LANDFALL_ERROR_INTERNAL,    /* Landfall's own state failed, or Landfall itself */
};

GQuark landfall_error_quark(void);

/* Sets *error (if error is not NULL) to a new error. hint may be NULL; it is copied. */
void landfall_error_set(GError **error, enum landfall_error_code code, const char *hint,
                        const char *format, ...) G_GNUC_PRINTF(4, 5);

/* As landfall_error_set, with ": " and the text of errno value errnum appended. A code of REPLICA
 * gets the hint that fits the errno when hint is NULL. */
void landfall_error_set_errno(GError **error, enum landfall_error_code code, int errnum,
                              const char *hint, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* The hint of an error of this domain, or NULL. Borrowed from the error. */
const char *landfall_error_hint(const GError *error);

/* The stable, lower-case name of the error's code ("source", "replica", …) for JSON; errors of
 * other domains are "config" when they come from option parsing and "internal" otherwise. */
const char *landfall_error_name(const GError *error);

/* The inverse for a name that came as JSON; an unknown name is LANDFALL_ERROR_SOURCE. */
enum landfall_error_code landfall_error_code_from_name(const char *name);
