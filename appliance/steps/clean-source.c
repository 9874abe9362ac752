/* SPDX-License-Identifier: Apache-2.0 */

/* clean-source: nothing of the replication stays at the source, for a move that is completed. The
 * machine stays, off and fenced, and so does the replica.
 *
 *   options   abandon: the source's host is gone for good, and left as it is
 *   result    removed: a sentence for each thing that went, or that was left */

#include "appliance/cycle/machine-forget.h"
#include "appliance/steps/moved-disks.h"
#include "appliance/steps/steps.h"
#include "base/json.h"

/* Bitmaps that go change the images, and not what the disks hold. */
static gboolean forget(const struct step_work *work, const struct machine_forget_options *options,
                       GPtrArray **ret_removed, GError **error)
{
    guint64 point = 0;
    g_autoptr(GError) cause = NULL;
    if (!moved_disks_point(work, &point, &cause) &&
        !g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG) &&
        !g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_MISSING)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    return machine_forget_run(options, ret_removed, error) &&
           (point == 0 || moved_disks_note(work, point, error));
}

JsonObject *step_clean_source(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    const char *scratch_dir = NULL, *socket_dir = NULL;
    gboolean abandon = FALSE;
    g_autoptr(GPtrArray) removed = NULL;
    if (!json_optional_boolean(work->options, "abandon", LANDFALL_ERROR_CONFIG, &abandon, error) ||
        !json_optional_string(work->options, "scratch_dir", LANDFALL_ERROR_CONFIG, &scratch_dir,
                              error) ||
        !json_optional_string(work->options, "socket_dir", LANDFALL_ERROR_CONFIG, &socket_dir,
                              error))
        return NULL;
    const struct machine_forget_options options = {
        .host_uri = work->source_uri,
        .machine = work->machine_uuid,
        .store = work->store_path,
        .scratch_dir = scratch_dir,
        .socket_dir = socket_dir,
        .abandon = abandon,
    };
    if (!(abandon ? machine_forget_run(&options, &removed, error)
                  : forget(work, &options, &removed, error)))
        return NULL;
    JsonObject *object = json_object_new();
    JsonArray *array = json_array_new();
    for (guint i = 0; i < removed->len; i++)
        json_array_add_string_element(array, removed->pdata[i]);
    json_object_set_array_member(object, "removed", array);
    return object;
}
