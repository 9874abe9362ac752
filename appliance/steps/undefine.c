/* SPDX-License-Identifier: Apache-2.0 */

/* undefine: the operation's machine goes from the target, if it bears our note.
 *
 *   undefine → { "removed": true | false } */

#include "appliance/steps/host.h"
#include "appliance/steps/steps.h"

/* With all that libvirt keeps beside the definition. An older libvirt does not know of TPM state.
 */
static gboolean undefine(virDomainPtr domain)
{
    const unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                           VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                           VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM;
    return virDomainUndefineFlags(domain, flags | VIR_DOMAIN_UNDEFINE_TPM) == 0 ||
           (virGetLastErrorCode() == VIR_ERR_INVALID_ARG &&
            virDomainUndefineFlags(domain, flags) == 0) ||
           virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
}

static gboolean remove_machine(const struct step_host *host, virDomainPtr domain, GError **error)
{
    if (virDomainIsActive(domain) == 1) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "it is stopped first: step stop",
                           "machine %s on host %s still runs", virDomainGetName(domain),
                           host->name);
        return FALSE;
    }
    if (undefine(domain))
        return TRUE;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                               "host %s cannot remove machine %s", host->name,
                               virDomainGetName(domain));
    return FALSE;
}

JsonObject *step_undefine(const struct step_run *run, GError **error)
{
    struct step_host host;
    g_autoptr(virDomain) domain = NULL;
    if (!step_host_open_target(run->work, &host, error))
        return NULL;
    gboolean ok = step_host_find_machine(&host, run->work, &domain, error) &&
                  (!domain || remove_machine(&host, domain, error));
    JsonObject *result = ok ? json_object_new() : NULL;
    if (ok)
        json_object_set_boolean_member(result, "removed", domain != NULL);
    g_clear_pointer(&domain, virDomainFree);
    step_host_close(&host);
    return result;
}
