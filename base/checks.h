/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is looked at before something is done: a list of checks, each with a verdict, a sentence and
 * what to do about it. A check that finds nothing has one entry with verdict ok. */

#include <json-glib/json-glib.h>

enum verdict { VERDICT_OK, VERDICT_WARNING, VERDICT_BLOCKED };

/* "ok", "warning", "blocked". */
const char *verdict_name(enum verdict verdict);

struct checks {
    JsonArray *entries; /* {check, verdict, message, hint} */
    enum verdict worst;
    const char *check; /* the one that is being made; borrowed */
    gboolean found;    /* it has an entry */
};

void checks_init(struct checks *checks);
void checks_clear(struct checks *checks);

/* The next check begins; its end: fine is its entry where it has found nothing. */
void checks_begin(struct checks *checks, const char *check);
void checks_end(struct checks *checks, const char *fine);

/* Adds an entry to the check that was begun. hint may be NULL. */
void checks_add(struct checks *checks, enum verdict verdict, const char *hint, const char *format,
                ...) G_GNUC_PRINTF(4, 5);

/* {"ready": nothing is blocked, "verdict": the worst, "checks": […]}; the caller owns it. */
JsonObject *checks_to_json(const struct checks *checks);
