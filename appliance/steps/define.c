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
    if (!check_free(host, work, translation, error))
        return NULL;
    /* Ours of an earlier try is replaced: it has the same UUID. */
    g_autoptr(virDomain) domain =
        virDomainDefineXMLFlags(host->connection, translation->xml, VIR_DOMAIN_DEFINE_VALIDATE);
    if (domain)
        return describe(translation);
    g_autofree char *hint = g_strdup_printf(
        "landfall migrate %s --plan shows the definition and what was changed", work->machine_name);
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, hint,
                               "host %s does not take the definition of machine %s", host->name,
                               translation->name);
    return NULL;
}

JsonObject *step_define(const struct step_run *run, GError **error)
{
    struct step_host host;
    if (!step_host_open_target(run->work, &host, error))
        return NULL;
    struct translation *translation = translate_work(host.connection, run->work, error);
    JsonObject *result = translation ? define(&host, run->work, translation, error) : NULL;
    if (translation)
        translation_free(translation);
    step_host_close(&host);
    return result;
}
