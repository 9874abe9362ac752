/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Jobs as JSON: the same for the API and for events. */

#include "appliance/state/jobs.h"

/* The job, with how long it took and how long it is likely to take; machine_name may be NULL. The
 * caller owns it. */
JsonObject *job_to_json(const struct state_job *job, const char *machine_name);

/* A time as ISO 8601 in microseconds since 1970; 0 when it is none. */
gint64 job_parse_time(const char *text);

/* What a job's or a replication's error is in JSON, owned by the caller. */
JsonObject *error_to_json(const GError *error);
