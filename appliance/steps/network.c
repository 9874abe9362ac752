/* SPDX-License-Identifier: Apache-2.0 */

/* test-network, remove-network: where a test's cards are plugged in. "isolated", the default, is a
 * bridge of the test's own that leads nowhere: no forwarding, no addresses, no DHCP that could
 * answer somebody else. A name is that of a network that the operator keeps for tests; it is left
 * as it is.
 *
 *   test-network → { "name": TEXT, "bridge": DEVICE, "created": it is ours }
 *   remove-network → { "removed": true | false } */

#include "appliance/steps/host.h"
#include "appliance/steps/probe.h"
#include "appliance/steps/steps.h"
#include "base/json.h"
#include "snapshot/xml.h"

#include <string.h>

#define STAMP_URI "urn:landfall:network"
#define ISOLATED "isolated"
#define DIGITS 8

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virNetwork, virNetworkFree)

/* Tells the networks of all stores and operations apart; a device has 15 characters. */
static char *digest(const struct step_work *work)
{
    g_autofree char *owner = step_work_owner(work);
    g_autofree char *text = g_strjoin("\n", work->store_path, work->machine_uuid, owner, NULL);
    g_autofree char *hex = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    return g_strndup(hex, DIGITS);
}

static char *own_name(const struct step_work *work)
{
    g_autofree char *owner = step_work_owner(work);
    g_autofree char *hex = digest(work);
    return g_strdup_printf("landfall-%s-%s", owner, hex);
}

static char *own_definition(const struct step_work *work, const char *name)
{
    g_autofree char *owner = step_work_owner(work);
    g_autofree char *hex = digest(work);
    g_autofree char *device = g_strdup_printf("lf-%s", hex);
    g_autoptr(xmlDoc) document = xmlNewDoc(BAD_CAST "1.0");
    xmlNodePtr root = xmlNewNode(NULL, BAD_CAST "network");
    xmlDocSetRootElement(document, root);
    snapshot_xml_child(root, "name", name);
    xmlNodePtr note =
        snapshot_xml_child(snapshot_xml_child(root, "metadata", NULL), "network", NULL);
    xmlSetNs(note, xmlNewNs(note, BAD_CAST STAMP_URI, BAD_CAST "landfall"));
    snapshot_xml_set(note, "owner", owner);
    snapshot_xml_set(note, "source", work->machine_uuid);
    xmlNodePtr bridge = snapshot_xml_child(root, "bridge", NULL);
    snapshot_xml_set(bridge, "name", device);
    snapshot_xml_set(bridge, "stp", "off"); /* a card is connected as soon as it is plugged in */
    snapshot_xml_set(bridge, "delay", "0");
    return snapshot_xml_text(document);
}

/* Whether the network was made by this operation. */
static gboolean is_ours(virNetworkPtr network, const struct step_work *work)
{
    char *text = virNetworkGetXMLDesc(network, VIR_NETWORK_XML_INACTIVE);
    g_autoptr(xmlDoc) document = text ? snapshot_xml_parse(text, "the network", NULL) : NULL;
    free(text);
    if (!document)
        return FALSE;
    static const char note[] = "/network/metadata/*[namespace-uri()='" STAMP_URI "']";
    g_autofree char *owner =
        snapshot_xml_string(document, NULL, "string(/network/metadata/*/@owner)");
    g_autofree char *source =
        snapshot_xml_string(document, NULL, "string(/network/metadata/*/@source)");
    g_autofree char *ours = step_work_owner(work);
    return snapshot_xml_holds(document, NULL, note) && g_strcmp0(owner, ours) == 0 &&
           g_strcmp0(source, work->machine_uuid) == 0;
}

/* TRUE with *ret_network NULL when there is none. */
static gboolean find(const struct step_host *host, const char *name, virNetworkPtr *ret_network,
                     GError **error)
{
    *ret_network = virNetworkLookupByName(host->connection, name);
    if (*ret_network || virGetLastErrorCode() == VIR_ERR_NO_NETWORK)
        return TRUE;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                               "host %s does not tell whether it has network %s", host->name, name);
    return FALSE;
}

static JsonObject *describe(virNetworkPtr network, gboolean created)
{
    JsonObject *result = json_object_new();
    char *bridge = virNetworkGetBridgeName(network); /* a network without one is fine */
    json_object_set_string_member(result, "name", virNetworkGetName(network));
    json_set_optional_string(result, "bridge", bridge);
    json_object_set_boolean_member(result, "created", created);
    free(bridge);
    return result;
}

static JsonObject *use_named(const struct step_host *host, const char *name, GError **error)
{
    g_autoptr(virNetwork) network = NULL;
    if (!find(host, name, &network, error))
        return NULL;
    if (network && virNetworkIsActive(network) == 1)
        return describe(network, FALSE);
    g_autofree char *hint =
        network
            ? g_strdup_printf("virsh -c URI net-start %s; virsh net-autostart keeps it so", name)
            : g_strdup("virsh -c URI net-list --all shows those there; or test in an isolated one");
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint,
                       network ? "network %s of host %s is not active"
                               : "there is no network %s on host %s",
                       name, host->name);
    return NULL;
}

static JsonObject *make_isolated(const struct step_host *host, const struct step_work *work,
                                 GError **error)
{
    g_autoptr(virNetwork) network = NULL;
    g_autofree char *name = own_name(work);
    if (!find(host, name, &network, error))
        return NULL;
    if (network && !is_ours(network, work)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "remove it, or give it another name",
                           "host %s has a network %s that is not ours", host->name, name);
        return NULL;
    }
    if (!network) {
        g_autofree char *definition = own_definition(work, name);
        network = virNetworkDefineXML(host->connection, definition);
    }
    if (network && (virNetworkIsActive(network) == 1 || virNetworkCreate(network) == 0))
        return describe(network, TRUE);
    snapshot_libvirt_error_set(
        error, LANDFALL_ERROR_SOURCE,
        "or name a network of the host that is kept for tests: --network NAME",
        "host %s cannot make an isolated network", host->name);
    return NULL;
}

/* What cannot be seen is told before anything is made: nobody can be reached in there from here. */
static gboolean check_probes(const struct step_work *work, GError **error)
{
    g_autoptr(GPtrArray) probes = probes_of(work, error);
    gboolean needed = probes && probes_need_network(probes);
    if (needed)
        landfall_error_set(
            error, LANDFALL_ERROR_UNSUPPORTED,
            "probe by agent or console; or test in a network of the target that this "
            "host reaches: --network NAME",
            "a machine in an isolated network cannot be probed by TCP or HTTP");
    return probes && !needed;
}

JsonObject *step_test_network(const struct step_run *run, GError **error)
{
    const struct step_work *work = run->work;
    struct step_host host;
    const char *name = work->test_network ? work->test_network : ISOLATED;
    if (!json_optional_string(work->options, "network", LANDFALL_ERROR_CONFIG, &name, error) ||
        (strcmp(name, ISOLATED) == 0 && !check_probes(work, error)) ||
        !step_host_open_target(work, &host, error))
        return NULL;
    JsonObject *result = strcmp(name, ISOLATED) == 0 ? make_isolated(&host, work, error)
                                                     : use_named(&host, name, error);
    step_host_close(&host);
    return result;
}

static gboolean remove_own(const struct step_host *host, const struct step_work *work,
                           gboolean *ret_removed, GError **error)
{
    g_autoptr(virNetwork) network = NULL;
    g_autofree char *name = own_name(work);
    if (!find(host, name, &network, error))
        return FALSE;
    *ret_removed = network && is_ours(network, work);
    if (!*ret_removed)
        return TRUE;
    if ((virNetworkIsActive(network) == 1 && virNetworkDestroy(network) != 0) ||
        virNetworkUndefine(network) != 0) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "host %s cannot remove network %s", host->name, name);
        return FALSE;
    }
    return TRUE;
}

JsonObject *step_remove_network(const struct step_run *run, GError **error)
{
    struct step_host host;
    gboolean removed;
    if (!step_host_open_target(run->work, &host, error))
        return NULL;
    gboolean ok = remove_own(&host, run->work, &removed, error);
    step_host_close(&host);
    if (!ok)
        return NULL;
    JsonObject *result = json_object_new();
    json_object_set_boolean_member(result, "removed", removed);
    return result;
}
