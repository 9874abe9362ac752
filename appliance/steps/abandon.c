/* SPDX-License-Identifier: Apache-2.0 */

/* abandon: the way back without the target, a host that is lost for good. It takes the place of all
 * that would be done there. Refused while the host answers, and while somebody has the machine's
 * disks open in a store that both see: then it runs.
 *
 *   abandon → { "host": TEXT, "uuid": of the machine there, "home": it is what the machine was
 *               before, "why": what was said in place of an answer,
 *               "left": [ { "what": TEXT, "command": what takes it away, typed there } … ] } */

#include "appliance/steps/clone.h"
#include "appliance/steps/host.h"
#include "appliance/steps/steps.h"
#include "base/json.h"

#include <string.h>

/* *ret_why: what the host's side says; owned by the caller. */
static gboolean check_lost(const struct step_work *work, char **ret_why, GError **error)
{
    struct step_host host;
    g_autoptr(GError) cause = NULL;
    if (!step_host_open_target(work, &host, &cause)) {
        *ret_why = g_strdup(cause->message);
        return TRUE;
    }
    step_host_close(&host);
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "landfall rollback without --abandon-target stops what runs there",
                       "host %s answers: it is not lost", work->target_host);
    return FALSE;
}

static gboolean check_unused(const struct step_work *work, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (work->reach != STEP_REACH_PATH || clone_check_unused(work, &cause))
        return TRUE;
    if (!g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "cut that host's power; then run the same again",
                       "the machine still runs on host %s: its disks in the store are open (%s)",
                       work->target_host, cause->message);
    return FALSE;
}

/* --- what is left there --------------------------------------------------------------------------
 */

static void add_left(const struct step_run *run, JsonArray *left, const char *what,
                     const char *name, const char *command)
{
    JsonObject *object = json_object_new();
    g_autofree char *text = g_strdup_printf("%s %s", what, name);
    json_object_set_string_member(object, "what", text);
    json_object_set_string_member(object, "command", command);
    json_array_add_object_element(left, object);
    step_warn(run, "left on host %s: %s; there: %s", run->work->target_host, text, command);
}

static void add_machine(const struct step_run *run, JsonArray *left, const char *uuid,
                        const char *name)
{
    g_autofree char *ends = g_strdup_printf("virsh destroy %s", uuid);
    g_autofree char *goes = g_strdup_printf("%s; virsh undefine %s --managed-save "
                                            "--snapshots-metadata --checkpoints-metadata --nvram",
                                            ends, uuid);
    add_left(run, left, "machine", name, step_work_is_home(run->work) ? ends : goes);
}

static void add_network(const struct step_run *run, JsonArray *left)
{
    JsonObject *network = step_work_fact(run->work, "test-network");
    const char *name = network ? json_find_string(network, "name") : NULL;
    if (!name || !json_find_boolean(network, "created"))
        return;
    g_autofree char *command =
        g_strdup_printf("virsh net-destroy %s; virsh net-undefine %s", name, name);
    add_left(run, left, "network", name, command);
}

static void add_volumes(const struct step_run *run, JsonArray *left)
{
    JsonObject *copy = step_work_fact(run->work, "copy");
    const char *pool = copy ? json_find_string(copy, "pool") : NULL;
    JsonArray *disks = copy ? json_find_array(copy, "disks") : NULL;
    for (guint i = 0; pool && disks && i < json_array_get_length(disks); i++) {
        const char *volume = json_find_string(json_array_get_object_element(disks, i), "volume");
        if (!volume)
            continue;
        g_autofree char *command = g_strdup_printf("virsh vol-delete %s --pool %s", volume, pool);
        add_left(run, left, "volume", volume, command);
    }
}

JsonObject *step_abandon(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    JsonObject *define = step_work_fact(work, "define");
    const char *uuid = define ? json_find_string(define, "domain_uuid") : NULL;
    const char *name = define ? json_find_string(define, "domain_name") : NULL;
    g_autofree char *why = NULL;
    if (!check_lost(work, &why, error) || !check_unused(work, error))
        return NULL;
    JsonObject *result = json_object_new();
    JsonArray *left = json_array_new();
    if (step_work_is_home(work))
        uuid = work->machine_uuid;
    if (uuid)
        add_machine(run, left, uuid, name ? name : work->machine_name);
    add_network(run, left);
    add_volumes(run, left);
    json_object_set_string_member(result, "host", work->target_host);
    json_set_optional_string(result, "uuid", uuid);
    json_object_set_boolean_member(result, "home", step_work_is_home(work));
    json_object_set_string_member(result, "why", why);
    json_object_set_array_member(result, "left", left);
    return result;
}
