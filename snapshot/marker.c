/* SPDX-License-Identifier: Apache-2.0 */
/* Markers in the machine's metadata: written before a step that a crash of ours would leave half
 * done, removed after it, found by clean. The namespace names the store, so that two stores never
 * take each other's markers for their own. */
#include "snapshot/snapshot-private.h"

static char *marker_uri(enum marker marker, const char *store_id)
{
    return g_strconcat(marker == MARKER_FROZEN ? "urn:landfall:frozen:"
                                               : SNAPSHOT_STARTED_PAUSED_URI,
                       store_id, NULL);
}

static unsigned marker_impact(enum marker marker)
{
    return marker == MARKER_FROZEN ? VIR_DOMAIN_AFFECT_LIVE : VIR_DOMAIN_AFFECT_CONFIG;
}

gboolean snapshot_marker_set(struct snapshot_machine *machine, enum marker marker,
                             const char *store_id, GError **error)
{
    g_autofree char *uri = marker_uri(marker, store_id);
    const char *element = marker == MARKER_FROZEN ? "<frozen/>" : "<started-paused/>";
    if (virDomainSetMetadata(machine->domain, VIR_DOMAIN_METADATA_ELEMENT, element, "landfall", uri,
                             marker_impact(marker)) == 0)
        return TRUE;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                               "cannot leave a note in the metadata of machine %s", machine->name);
    return FALSE;
}

gboolean snapshot_marker_present(struct snapshot_machine *machine, enum marker marker,
                                 const char *store_id)
{
    g_autofree char *uri = marker_uri(marker, store_id);
    char *text = virDomainGetMetadata(machine->domain, VIR_DOMAIN_METADATA_ELEMENT, uri,
                                      marker_impact(marker));
    gboolean present = text != NULL;
    free(text);
    return present;
}

static gboolean remove_one(struct snapshot_machine *machine, const char *uri, unsigned impact,
                           GError **error)
{
    if (virDomainSetMetadata(machine->domain, VIR_DOMAIN_METADATA_ELEMENT, NULL, NULL, uri,
                             impact) == 0 ||
        virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA ||
        virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
        return TRUE;
    /* A machine that went down took its live metadata along. */
    if (impact == VIR_DOMAIN_AFFECT_LIVE && virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID)
        return TRUE;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                               "cannot remove our note from the metadata of machine %s",
                               machine->name);
    return FALSE;
}

gboolean snapshot_marker_remove(struct snapshot_machine *machine, enum marker marker,
                                const char *store_id, GError **error)
{
    g_autofree char *uri = marker_uri(marker, store_id);
    /* The running definition of a machine that was started paused is a copy of the persistent one,
     * marker and all. */
    return remove_one(machine, uri, VIR_DOMAIN_AFFECT_LIVE, error) &&
           (marker == MARKER_FROZEN || remove_one(machine, uri, VIR_DOMAIN_AFFECT_CONFIG, error));
}
