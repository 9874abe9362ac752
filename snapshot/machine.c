/* SPDX-License-Identifier: Apache-2.0 */
/* Machines of a host: find one, read its definition, hold its handle across lost connections. */
#include "snapshot/snapshot-private.h"

#include <string.h>

#define NAMES_IN_HINT_MAX 8

/* "the host has: a, b, c, …", so that a typing mistake shows at once. */
static char *names_hint(struct snapshot_host *host)
{
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(host->connection, &domains, 0);
    if (count <= 0) {
        free(domains);
        return g_strdup("the host has no machines this user may see");
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < count; i++) {
        g_ptr_array_add(names, g_strdup(virDomainGetName(domains[i])));
        virDomainFree(domains[i]);
    }
    free(domains);
    g_ptr_array_sort(names, (GCompareFunc)(void *)g_strcmp0);
    g_autoptr(GString) hint = g_string_new("the host has: ");
    for (guint i = 0; i < names->len && i < NAMES_IN_HINT_MAX; i++)
        g_string_append_printf(hint, "%s%s", i ? ", " : "", (const char *)names->pdata[i]);
    if (names->len > NAMES_IN_HINT_MAX)
        g_string_append_printf(hint, " and %u more", names->len - NAMES_IN_HINT_MAX);
    return g_string_free(g_steal_pointer(&hint), FALSE);
}

static virDomainPtr domain_lookup(struct snapshot_host *host, const char *name_or_uuid,
                                  GError **error)
{
    virDomainPtr domain = NULL;
    if (g_uuid_string_is_valid(name_or_uuid))
        domain = virDomainLookupByUUIDString(host->connection, name_or_uuid);
    if (!domain)
        domain = virDomainLookupByName(host->connection, name_or_uuid);
    if (domain)
        return domain;
    if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "machine %s on host %s",
                                   name_or_uuid, host->uri);
        return NULL;
    }
    g_autofree char *hint = names_hint(host);
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint, "host %s has no machine \"%s\"",
                       host->uri, name_or_uuid);
    return NULL;
}

gboolean snapshot_machine_ask_active(struct snapshot_machine *machine, gboolean *ret_active,
                                     GError **error)
{
    int active = virDomainIsActive(machine->domain);
    if (active < 0 && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "cannot learn whether machine %s is running", machine->name);
        return FALSE;
    }
    *ret_active = active == 1;
    return TRUE;
}

struct machine_disk *snapshot_machine_find_disk(const struct snapshot_machine *machine,
                                                const char *name)
{
    for (guint i = 0; i < machine->disks->len; i++) {
        struct machine_disk *disk = machine->disks->pdata[i];
        if (strcmp(disk->public.name, name) == 0)
            return disk;
    }
    return NULL;
}

static char *definition(struct snapshot_machine *machine, unsigned flags, GError **error)
{
    char *text = virDomainGetXMLDesc(machine->domain, flags);
    if (!text) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "cannot read the definition of machine %s", machine->name);
        return NULL;
    }
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

/* A size that cannot be known (a sleeping network store) is 0: begin asks again. */
static void fill_sizes(struct snapshot_machine *machine, GPtrArray *disks)
{
    for (guint i = 0; i < disks->len; i++) {
        struct machine_disk *disk = disks->pdata[i];
        virDomainBlockInfo info = {0};
        if (!disk->public.unsupported_reason &&
            virDomainGetBlockInfo(machine->domain, disk->public.name, &info, 0) == 0)
            disk->public.size_bytes = info.capacity;
    }
}

gboolean snapshot_machine_revive(struct snapshot_machine *machine, GError **error)
{
    gboolean renewed = FALSE;
    if (!snapshot_host_revive(machine->host, &renewed, error))
        return FALSE;
    if (!renewed)
        return TRUE;
    virDomainPtr domain = domain_lookup(machine->host, machine->uuid, error);
    if (!domain)
        return FALSE;
    virDomainFree(machine->domain);
    machine->domain = domain;
    return TRUE;
}

gboolean snapshot_machine_refresh(struct snapshot_machine *machine, GError **error)
{
    if (!snapshot_machine_revive(machine, error))
        return FALSE;
    /* The persistent definition is what a target will start from; the running one knows of disks
     * plugged in since. Neither is asked for its passwords: they would end up in the store. */
    g_autofree char *xml = definition(machine, VIR_DOMAIN_XML_INACTIVE, error);
    g_autofree char *running = xml ? definition(machine, 0, error) : NULL;
    if (!running)
        return FALSE;
    GPtrArray *disks = snapshot_machine_disks_parse(running, error);
    if (!disks) {
        g_prefix_error(error, "machine %s: ", machine->name);
        return FALSE;
    }
    fill_sizes(machine, disks);
    g_clear_pointer(&machine->disks, g_ptr_array_unref);
    machine->disks = disks;
    g_free(machine->xml);
    machine->xml = g_steal_pointer(&xml);
    return TRUE;
}

struct snapshot_machine *snapshot_machine_lookup(struct snapshot_host *host,
                                                 const char *name_or_uuid, GError **error)
{
    gboolean renewed;
    if (!snapshot_host_revive(host, &renewed, error))
        return NULL;
    virDomainPtr domain = domain_lookup(host, name_or_uuid, error);
    if (!domain)
        return NULL;
    struct snapshot_machine *machine = g_new0(struct snapshot_machine, 1);
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    virDomainGetUUIDString(domain, uuid);
    machine->host = host;
    machine->domain = domain;
    machine->uuid = g_strdup(uuid);
    machine->name = g_strdup(virDomainGetName(domain));
    machine->tag = snapshot_machine_tag(uuid);
    machine->stale_checkpoints = g_ptr_array_new_with_free_func(g_free);
    if (!snapshot_machine_refresh(machine, error)) {
        snapshot_machine_free(machine);
        return NULL;
    }
    return machine;
}

void snapshot_machine_free(struct snapshot_machine *machine)
{
    if (!machine)
        return;
    virDomainFree(machine->domain);
    g_clear_pointer(&machine->disks, g_ptr_array_unref);
    g_clear_pointer(&machine->stale_checkpoints, g_ptr_array_unref);
    g_free(machine->uuid);
    g_free(machine->name);
    g_free(machine->tag);
    g_free(machine->xml);
    g_free(machine);
}

const char *snapshot_machine_uuid(const struct snapshot_machine *machine)
{
    return machine->uuid;
}

const char *snapshot_machine_name(const struct snapshot_machine *machine)
{
    return machine->name;
}

const char *snapshot_machine_xml(const struct snapshot_machine *machine)
{
    return machine->xml;
}

const GPtrArray *snapshot_machine_disks(const struct snapshot_machine *machine)
{
    return machine->disks;
}
