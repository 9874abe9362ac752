/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/host.h"
#include "appliance/steps/translate.h"
#include "base/json.h"
#include "snapshot/xml.h"

#include <string.h>

gboolean step_host_open_target(const struct step_work *work, struct step_host *host, GError **error)
{
    gboolean silent;
    *host = (struct step_host){NULL, work->target_host, FALSE};
    snapshot_connection_prepare();
    host->connection = snapshot_connection_open(work->target_uri, &silent, error);
    if (host->connection &&
        snapshot_host_check(host->connection, work->target_uri, &host->local, error))
        return TRUE;
    step_host_close(host);
    return FALSE;
}

void step_host_close(struct step_host *host)
{
    g_clear_pointer(&host->connection, virConnectClose);
}

/* "+64055:+109" */
static gboolean parse_label(const char *label, uid_t *ret_user, gid_t *ret_group)
{
    g_auto(GStrv) parts = g_strsplit(label, ":", 2);
    guint64 user, group;
    if (g_strv_length(parts) != 2 || parts[0][0] != '+' || parts[1][0] != '+' ||
        !g_ascii_string_to_unsigned(parts[0] + 1, 10, 0, G_MAXUINT32 - 1, &user, NULL) ||
        !g_ascii_string_to_unsigned(parts[1] + 1, 10, 0, G_MAXUINT32 - 1, &group, NULL))
        return FALSE;
    *ret_user = (uid_t)user;
    *ret_group = (gid_t)group;
    return TRUE;
}

gboolean step_host_qemu_user(const struct step_host *host, gboolean *ret_known, uid_t *ret_user,
                             gid_t *ret_group, GError **error)
{
    char *text = virConnectGetCapabilities(host->connection);
    if (!text) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "host %s does not tell what it is capable of", host->name);
        return FALSE;
    }
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the capabilities", error);
    free(text);
    if (!document)
        return FALSE;
    g_autofree char *label = snapshot_xml_string(
        document, NULL,
        "/capabilities/host/secmodel[model='dac']/baselabel[@type='kvm' or @type='qemu']");
    *ret_known = label && parse_label(label, ret_user, ret_group);
    return TRUE;
}

gboolean step_host_is_ours(virDomainPtr domain, const struct step_work *work)
{
    char *text = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, TRANSLATE_STAMP_URI, 0);
    g_autoptr(xmlDoc) note = text ? snapshot_xml_parse(text, "a note", NULL) : NULL;
    free(text);
    if (!note)
        return FALSE;
    g_autofree char *owner = snapshot_xml_string(note, NULL, "string(/*/@owner)");
    g_autofree char *source = snapshot_xml_string(note, NULL, "string(/*/@source)");
    g_autofree char *ours = step_work_owner(work);
    return g_strcmp0(owner, ours) == 0 && g_strcmp0(source, work->machine_uuid) == 0;
}

/* Where define said it would be: on a host with a thousand machines that saves asking for each.
 * TRUE with *ret_domain NULL: it is not there. */
static gboolean find_defined(const struct step_host *host, const struct step_work *work,
                             virDomainPtr *ret_domain, GError **error)
{
    JsonObject *fact = step_work_fact(work, "define");
    const char *uuid = NULL;
    *ret_domain = NULL;
    if (fact && !json_optional_string(fact, "domain_uuid", LANDFALL_ERROR_CONFIG, &uuid, error))
        return FALSE;
    g_autoptr(virDomain) domain = uuid ? virDomainLookupByUUIDString(host->connection, uuid) : NULL;
    if (!domain || step_host_is_ours(domain, work)) {
        *ret_domain = g_steal_pointer(&domain);
        return TRUE;
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "if it is of no use to anybody, remove it with `virsh undefine` on the host",
                       "machine %s on host %s is not ours: it bears no note of this operation",
                       virDomainGetName(domain), host->name);
    return FALSE;
}

gboolean step_host_find_machine(const struct step_host *host, const struct step_work *work,
                                virDomainPtr *ret_domain, GError **error)
{
    virDomainPtr *domains = NULL, found;
    if (!find_defined(host, work, &found, error))
        return FALSE;
    if (found) {
        *ret_domain = found;
        return TRUE;
    }
    int count = virConnectListAllDomains(host->connection, &domains, 0);
    if (count < 0) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "host %s does not tell its machines", host->name);
        return FALSE;
    }
    for (int i = 0; i < count; i++) {
        if (!found && step_host_is_ours(domains[i], work))
            found = domains[i];
        else
            virDomainFree(domains[i]);
    }
    free(domains);
    *ret_domain = found;
    return TRUE;
}

gboolean step_host_need_machine(const struct step_host *host, const struct step_work *work,
                                virDomainPtr *ret_domain, GError **error)
{
    if (!step_host_find_machine(host, work, ret_domain, error))
        return FALSE;
    if (!*ret_domain)
        landfall_error_set(error, LANDFALL_ERROR_MISSING,
                           "somebody has removed it: clean up, then begin anew",
                           "the machine of this operation is not on host %s", host->name);
    return *ret_domain != NULL;
}

gboolean step_host_need_moved(const struct step_host *host, const struct step_work *work,
                              virDomainPtr *ret_domain, GError **error)
{
    if (!step_work_is_home(work))
        return step_host_need_machine(host, work, ret_domain, error);
    *ret_domain = virDomainLookupByUUIDString(host->connection, work->machine_uuid);
    if (!*ret_domain)
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "machine %s on host %s",
                                   work->machine_name, host->name);
    return *ret_domain != NULL;
}
