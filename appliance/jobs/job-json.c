/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/job-json.h"
#include "base/json.h"

#include <string.h>

gint64 job_parse_time(const char *text)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, utc);
    return time ? g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time)
                : 0;
}

JsonObject *error_to_json(const GError *error)
{
    JsonObject *object = json_object_new();
    json_set_error(object, error);
    return object;
}

static void set_object(JsonObject *object, const char *name, JsonObject *member)
{
    if (member)
        json_object_set_object_member(object, name, json_object_ref(member));
}

static void set_progress(JsonObject *object, const struct state_job *job)
{
    json_set_optional_string(object, "step", job->step);
    json_object_set_int_member(object, "done_bytes", job->done_bytes);
    json_object_set_int_member(object, "total_bytes", job->total_bytes);
    json_object_set_int_member(object, "rate", job->rate);
    if (job->rate > 0 && strcmp(job->state, STATE_JOB_RUNNING) == 0)
        json_object_set_int_member(object, "left_s",
                                   MAX(job->total_bytes - job->done_bytes, 0) / job->rate);
}

JsonObject *job_to_json(const struct state_job *job, const char *machine_name)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", job->id);
    json_object_set_string_member(object, "kind", job->kind);
    json_object_set_int_member(object, "machine", job->machine);
    json_set_optional_string(object, "machine_name", machine_name);
    json_object_set_string_member(object, "state", job->state);
    json_object_set_string_member(object, "who", job->who);
    json_object_set_int_member(object, "attempt", job->attempt);
    set_object(object, "parameters", job->parameters);
    json_set_time(object, "queued_at", job->queued_us);
    json_set_time(object, "started_at", job->started_us);
    json_set_time(object, "ended_at", job->ended_us);
    if (job->started_us && job->ended_us)
        json_object_set_int_member(object, "took_ms", (job->ended_us - job->started_us) / 1000);
    set_progress(object, job);
    set_object(object, "result", job->result);
    set_object(object, "error", job->error);
    return object;
}
