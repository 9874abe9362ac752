/* SPDX-License-Identifier: Apache-2.0 */

/* define: the operation's machine at the target, as a definition. It bears our note, and only what
 * bears it is ever taken away.
 *
 *   define → { "domain_uuid": UUID, "domain_name": TEXT, "xml": TEXT, "changes": [ … ] } */

#include "appliance/steps/host.h"
#include "appliance/steps/steps.h"
#include "appliance/steps/translate-work.h"
#include "base/json.h"

#include <string.h>

#define TRIES 3u

/* Who has the name or the identity that the machine is to have: error conflict unless he is ours.
 */
static gboolean check_holder(const struct step_host *host, const struct step_work *work,
                             virDomainPtr holder, const char *what, GError **error)
{
    gboolean ours = !holder || step_host_is_ours(holder, work);
    if (!ours)
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "rename or remove that machine, or give the target another name suffix: "
                           "landfall target set HOST --name-suffix TEXT",
                           "host %s has a machine %s of that %s, which is not ours", host->name,
                           virDomainGetName(holder), what);
    return ours;
}

static gboolean check_free(const struct step_host *host, const struct step_work *work,
                           const struct translation *translation, GError **error)
{
    g_autoptr(virDomain) by_uuid = virDomainLookupByUUIDString(host->connection, translation->uuid);
    g_autoptr(virDomain) by_name = virDomainLookupByName(host->connection, translation->name);
    return check_holder(host, work, by_uuid, "UUID", error) &&
           check_holder(host, work, by_name, "name", error);
}

/* What would not start, or be another machine, is not made. */
static gboolean check_allowed(const struct step_host *host, const struct step_work *work,
                              const struct translation *translation, GError **error)
{
    for (guint i = 0; translation->blocked && i < json_array_get_length(translation->changes);
         i++) {
        JsonObject *change = json_array_get_object_element(translation->changes, i);
        if (strcmp(json_find_string(change, "level"), "blocked") != 0)
            continue;
        g_autofree char *hint = g_strdup_printf(
            "landfall migrate %s --plan shows all that was changed and why", work->machine_name);
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED, hint,
                           "machine %s cannot be what it is on host %s: %s: %s", translation->name,
                           host->name, json_find_string(change, "what"),
                           json_find_string(change, "why"));
        return FALSE;
    }
    return TRUE;
}

static JsonObject *describe(const struct translation *translation)
{
    JsonObject *result = json_object_new();
    json_object_set_string_member(result, "domain_uuid", translation->uuid);
    json_object_set_string_member(result, "domain_name", translation->name);
    json_object_set_string_member(result, "xml", translation->xml);
    json_object_set_array_member(result, "changes", json_array_ref(translation->changes));
    return result;
}

static JsonObject *define(const struct step_host *host, const struct step_work *work,
                          const struct translation *translation, GError **error)
{
    if (!check_allowed(host, work, translation, error) ||
        !check_free(host, work, translation, error))
        return NULL;
    /* Ours of an earlier try is replaced: it has the same UUID. */
    g_autoptr(virDomain) domain =
        virDomainDefineXMLFlags(host->connection, translation->xml, VIR_DOMAIN_DEFINE_VALIDATE);
    if (domain)
        return describe(translation);
    g_autoptr(GError) cause = NULL;
    g_autofree char *hint = g_strdup_printf(
        "landfall migrate %s --plan shows the definition and what was changed", work->machine_name);
    snapshot_libvirt_error_set(&cause, LANDFALL_ERROR_SOURCE, hint,
                               "host %s does not take the definition of machine %s", host->name,
                               translation->name);
    if (check_free(host, work, translation, error)) /* or somebody was faster */
        g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

static JsonObject *translate_and_define(const struct step_host *host, const struct step_work *work,
                                        GError **error)
{
    struct translation *translation = translate_work(host->connection, work, error);
    JsonObject *result = translation ? define(host, work, translation, error) : NULL;
    if (translation)
        translation_free(translation);
    return result;
}

/* Two tests at once may choose the same free name: the later one chooses again. */
JsonObject *step_define(const struct step_run *run, GError **error)
{
    struct step_host host;
    JsonObject *result = NULL;
    g_autoptr(GError) cause = NULL;
    if (!step_host_open_target(run->work, &host, error))
        return NULL;
    for (guint tries = 0; !result && tries < TRIES; tries++) {
        g_clear_error(&cause);
        result = translate_and_define(&host, run->work, &cause);
        if (!g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT))
            break;
    }
    step_host_close(&host);
    if (!result)
        g_propagate_error(error, g_steal_pointer(&cause));
    return result;
}
