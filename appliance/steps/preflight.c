/* SPDX-License-Identifier: Apache-2.0 */

/* preflight: whether a machine can be moved, before anything is done about it.
 *
 *   preflight → { "ready": true, "verdict": "ok" | "warning", "checks": [ { "check": TEXT,
 * "verdict": TEXT, "message": TEXT, "hint"?: TEXT } … ] }
 *
 * Something that is blocked is an error: the first, with its hint; the others are told as warnings.
 */

#include "appliance/steps/preflight.h"
#include "appliance/steps/steps.h"
#include "base/json.h"

#include <string.h>

void preflight_add_error(struct preflight *preflight, enum verdict verdict, const GError *error)
{
    checks_add(&preflight->checks, verdict, landfall_error_hint(error), "%s", error->message);
}

gboolean preflight_shuts_down(const struct preflight *preflight)
{
    return json_object_get_boolean_member_with_default(preflight->work->options, "shutdown", TRUE);
}

void preflight_run(struct preflight *preflight, const struct step_work *work)
{
    *preflight = (struct preflight){.work = work};
    checks_init(&preflight->checks);
    preflight_source(preflight);
    preflight_store(preflight);
    if (step_work_is_home(work)) {
        preflight_home(preflight);
        return;
    }
    preflight_target(preflight);
    preflight_reach(preflight);
}

void preflight_clear(struct preflight *preflight)
{
    checks_clear(&preflight->checks);
    opened_machine_close(&preflight->opened);
    source_machine_close(&preflight->source);
    step_host_close(&preflight->target);
    translation_free(preflight->translation);
}

/* Nobody is asked twice: all that was found is told at once. */
static gboolean refuse(const struct step_run *run, const struct checks *checks, GError **error)
{
    gboolean first = TRUE;
    for (guint i = 0; i < json_array_get_length(checks->entries); i++) {
        JsonObject *entry = json_array_get_object_element(checks->entries, i);
        const char *verdict = json_find_string(entry, "verdict");
        const char *message = json_find_string(entry, "message");
        if (strcmp(verdict, verdict_name(VERDICT_OK)) == 0)
            continue;
        if (first && strcmp(verdict, verdict_name(VERDICT_BLOCKED)) == 0) {
            const char *hint = json_find_string(entry, "hint");
            landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                               hint ? hint : "landfall migrate --plan shows all checks", "%s",
                               message);
            first = FALSE;
            continue;
        }
        step_warn(run, "%s: %s", json_find_string(entry, "check"), message);
    }
    return first;
}

JsonObject *step_preflight(const struct step_run *run, GError **error)
{
    struct preflight preflight;
    preflight_run(&preflight, run->work);
    JsonObject *result =
        refuse(run, &preflight.checks, error) ? checks_to_json(&preflight.checks) : NULL;
    preflight_clear(&preflight);
    return result;
}
