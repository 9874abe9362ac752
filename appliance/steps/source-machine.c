/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/source-machine.h"

static gboolean find(const struct step_work *work, struct source_machine *machine, GError **error)
{
    machine->domain = virDomainLookupByUUIDString(machine->connection, work->machine_uuid);
    if (machine->domain)
        return TRUE;
    if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
        landfall_error_set(error, LANDFALL_ERROR_MISSING,
                           "define it there again, from domain_xml in the store's machine.json",
                           "host %s does not have machine %s (%s) any more", work->source_host,
                           work->machine_name, work->machine_uuid);
    else
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "machine %s on host %s",
                                   work->machine_name, work->source_host);
    return FALSE;
}

gboolean source_machine_open(const struct step_work *work, struct source_machine *machine,
                             GError **error)
{
    gboolean silent, local;
    *machine = (struct source_machine){NULL, NULL};
    snapshot_connection_prepare();
    machine->connection = snapshot_connection_open(work->source_uri, &silent, error);
    if (machine->connection &&
        snapshot_host_check(machine->connection, work->source_uri, &local, error) &&
        find(work, machine, error))
        return TRUE;
    source_machine_close(machine);
    return FALSE;
}

gboolean source_machine_check_off(const struct source_machine *machine,
                                  const struct step_work *work, GError **error)
{
    int active = virDomainIsActive(machine->domain);
    if (active == 0)
        return TRUE;
    if (active < 0)
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "cannot learn whether machine %s is running",
                                   work->machine_name);
    else
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "somebody has started it again: what it has written since is not in the "
                           "replica; roll back, or shut it down and begin anew",
                           "machine %s runs on host %s", work->machine_name, work->source_host);
    return FALSE;
}

void source_machine_close(struct source_machine *machine)
{
    g_clear_pointer(&machine->domain, virDomainFree);
    g_clear_pointer(&machine->connection, virConnectClose);
}
