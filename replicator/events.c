/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/events.h"
#include "base/json.h"

#include <stdio.h>

/* A reader that has gone away ends the program by SIGPIPE or, where that is ignored, goes unheard:
 * the commit does not depend on who listens. */
static void write_line(JsonObject *object)
{
    g_autofree char *text = json_object_to_text(object, FALSE);
    fprintf(stdout, "%s\n", text);
    fflush(stdout);
}

static JsonObject *event_new(const char *name)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "event", name);
    return object;
}

static void on_progress(void *data, const char *disk, guint64 done_bytes, guint64 total_bytes,
                        guint64 read_bytes, guint64 sent_bytes)
{
    g_autoptr(JsonObject) object = event_new("progress");
    (void)data;
    json_object_set_string_member(object, "disk", disk);
    json_object_set_int_member(object, "done_bytes", (gint64)done_bytes);
    json_object_set_int_member(object, "total_bytes", (gint64)total_bytes);
    json_object_set_int_member(object, "read_bytes", (gint64)read_bytes);
    json_object_set_int_member(object, "sent_bytes", (gint64)sent_bytes);
    write_line(object);
}

static void on_warning(void *data, const char *code, const char *disk, const char *message)
{
    g_autoptr(JsonObject) object = event_new("warning");
    (void)data;
    json_object_set_string_member(object, "code", code);
    json_set_optional_string(object, "disk", disk);
    json_object_set_string_member(object, "message", message);
    write_line(object);
}

static void on_plan(void *data, const char *disk, enum scan_mode mode, guint64 candidate_bytes,
                    const char *demotion_cause, const char *demotion_detail)
{
    g_autoptr(JsonObject) object = event_new("plan");
    (void)data;
    json_object_set_string_member(object, "disk", disk);
    json_object_set_string_member(object, "mode", scan_mode_name(mode));
    json_object_set_int_member(object, "candidate_bytes", (gint64)candidate_bytes);
    json_set_optional_string(object, "demotion_cause", demotion_cause);
    json_set_optional_string(object, "demotion_detail", demotion_detail);
    write_line(object);
}

static void on_verify(void *data, const char *disk, enum verify_mode mode, guint64 total_bytes)
{
    g_autoptr(JsonObject) object = event_new("verify");
    (void)data;
    json_object_set_string_member(object, "disk", disk);
    json_object_set_string_member(object, "mode", verify_mode_name(mode));
    json_object_set_int_member(object, "total_bytes", (gint64)total_bytes);
    write_line(object);
}

static gboolean on_source_done(void *data, GError **error)
{
    g_autoptr(JsonObject) object = event_new("source-done");
    (void)data;
    (void)error;
    write_line(object);
    return TRUE;
}

static void on_committed(void *data, const struct manifest *manifest)
{
    g_autoptr(JsonObject) object = event_new("committed");
    (void)data;
    json_object_set_int_member(object, "number", (gint64)manifest->number);
    write_line(object);
}

struct cycle_observer events_observer(void)
{
    return (struct cycle_observer){
        .progress = on_progress,
        .warning = on_warning,
        .plan = on_plan,
        .verify = on_verify,
        .source_done = on_source_done,
        .committed = on_committed,
    };
}

void events_result(const struct manifest *manifest)
{
    g_autoptr(JsonObject) object = event_new("result");
    json_object_set_object_member(object, "recovery_point", manifest_to_json(manifest));
    write_line(object);
}

void events_error(const GError *error)
{
    g_autoptr(JsonObject) object = event_new("error");
    json_set_error(object, error);
    write_line(object);
}
