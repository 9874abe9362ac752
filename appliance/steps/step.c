/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/step.h"
#include "appliance/steps/steps.h"
#include "base/error.h"

#include <poll.h>
#include <string.h>

enum need {
    NEED_MACHINE = 1,
    NEED_SOURCE = 2,
    NEED_TARGET = 4,
    NEED_STORE = 8, /* with the machine in it */
    NEED_POINT = 16,
    AT_HOME = 32, /* of what the machine was before, where the target has that */
};

#define REPLICA (NEED_MACHINE | NEED_STORE)

static const struct {
    const char *name;
    unsigned needs;
    step_function perform;
} steps[] = {
    {"preflight", REPLICA | NEED_SOURCE | NEED_TARGET, step_preflight},
    {"plan", REPLICA | NEED_SOURCE | NEED_TARGET, step_plan},
    {"lease", REPLICA, step_lease},
    {"release", REPLICA, step_release},
    {"pin", REPLICA | NEED_POINT, step_pin},
    {"clone", REPLICA | NEED_TARGET | NEED_POINT, step_clone},
    {"trust", NEED_TARGET, step_trust},
    {"serve", REPLICA | NEED_TARGET, step_serve},
    {"test-network", REPLICA | NEED_TARGET, step_test_network},
    {"define", REPLICA | NEED_TARGET | NEED_POINT, step_define},
    {"start", NEED_MACHINE | NEED_TARGET, step_start},
    {"watch", NEED_MACHINE | NEED_TARGET, step_watch},
    {"stop", NEED_MACHINE | NEED_TARGET, step_stop},
    {"undefine", NEED_MACHINE | NEED_TARGET, step_undefine},
    {"remove-network", REPLICA | NEED_TARGET, step_remove_network},
    {"copy", REPLICA | NEED_TARGET, step_copy},
    {"remove-copy", REPLICA | NEED_TARGET, step_remove_copy},
    {"unserve", REPLICA, step_unserve},
    {"hand-over", REPLICA | NEED_TARGET, step_hand_over},
    {"remove-clone", REPLICA, step_remove_clone},
    {"unpin", REPLICA, step_unpin},
    {"abandon", REPLICA | NEED_TARGET, step_abandon},
    {"shutdown", NEED_MACHINE | NEED_SOURCE | NEED_TARGET, step_shutdown},
    {"fence", REPLICA | NEED_SOURCE | NEED_TARGET, step_fence},
    {"unfence", NEED_MACHINE | NEED_SOURCE, step_unfence},
    {"start-source", NEED_MACHINE | NEED_SOURCE, step_start_source},
    {"catch-up", REPLICA | NEED_SOURCE | NEED_TARGET | AT_HOME, step_catch_up},
    {"write-back", REPLICA | NEED_SOURCE | AT_HOME, step_write_back},
    {"unfence-home", NEED_MACHINE | NEED_SOURCE | NEED_TARGET | AT_HOME, step_unfence_home},
    {"fence-home", NEED_MACHINE | NEED_SOURCE | NEED_TARGET | AT_HOME, step_fence_home},
    {"clean-source", NEED_MACHINE | NEED_SOURCE | NEED_STORE, step_clean_source},
};

static gboolean has_needs(const struct step_work *work, unsigned needs, GError **error)
{
    const char *missing = NULL;
    if (needs & NEED_MACHINE && !work->machine_uuid)
        missing = "machine";
    else if (needs & NEED_SOURCE && !work->source_uri)
        missing = "source";
    else if (needs & NEED_TARGET && !work->target_uri)
        missing = "target";
    else if (needs & NEED_STORE && !work->store_path)
        missing = "store";
    else if (needs & NEED_POINT && work->recovery_point == 0)
        missing = "recovery_point";
    if (missing)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "work: step %s needs a member '%s'",
                           work->step, missing);
    return missing == NULL;
}

static JsonObject *perform(const struct step_run *run, gsize i, GError **error)
{
    const struct step_work home = step_work_at_home(run->work);
    const struct step_run at_home = {&home, run->cancelled, run->event};
    return steps[i].perform(steps[i].needs & AT_HOME ? &at_home : run, error);
}

JsonObject *step_perform(const struct step_run *run, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++)
        if (strcmp(steps[i].name, run->work->step) == 0)
            return has_needs(run->work, steps[i].needs, error) && !step_is_cancelled(run, error)
                       ? perform(run, i, error)
                       : NULL;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use landfall and landfalld of one version",
                       "there is no step '%s'", run->work->step);
    return NULL;
}

static void tell(const struct step_run *run, const char *event, const char *format,
                 va_list arguments)
{
    g_autoptr(JsonObject) line = json_object_new();
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    json_object_set_string_member(line, "event", event);
    json_object_set_string_member(line, "message", message);
    run->event(line);
}

void step_note(const struct step_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(run, "note", format, arguments);
    va_end(arguments);
}

void step_warn(const struct step_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(run, "warning", format, arguments);
    va_end(arguments);
}

void step_progress(const struct step_run *run, guint64 done, guint64 total)
{
    g_autoptr(JsonObject) line = json_object_new();
    json_object_set_string_member(line, "event", "progress");
    json_object_set_int_member(line, "done", (gint64)done);
    json_object_set_int_member(line, "total", (gint64)total);
    run->event(line);
}

gboolean step_is_cancelled(const struct step_run *run, GError **error)
{
    if (!g_atomic_int_get(run->cancelled))
        return FALSE;
    landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
    return TRUE;
}

gboolean step_wait(const struct step_run *run, guint ms, GError **error)
{
    /* A signal ends the poll. */
    if (!g_atomic_int_get(run->cancelled))
        poll(NULL, 0, (int)ms);
    return !step_is_cancelled(run, error);
}
