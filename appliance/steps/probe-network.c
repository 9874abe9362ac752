/* SPDX-License-Identifier: Apache-2.0 */

/* Signs that come through the guest's network: this process must be able to reach it. */

#include "appliance/steps/probe.h"
#include "base/json.h"

#include <curl/curl.h>
#include <gio/gio.h>
#include <string.h>

#define CONFIG LANDFALL_ERROR_CONFIG
#define CONNECT_TIMEOUT_S 2u
#define HTTP_TIMEOUT_S 5L
#define HTTP_OK 200u
#define PORT_MAX 65535u

/* --- where it is ---------------------------------------------------------------------------------
 */

/* One that leads out of the guest: not its own, not one that means nothing without the link. */
static gboolean is_usable(const char *text)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(text);
    return address && !g_inet_address_get_is_loopback(address) &&
           !g_inet_address_get_is_link_local(address) && !g_inet_address_get_is_any(address);
}

static char *first_usable(virDomainInterfacePtr *cards, int count)
{
    for (int i = 0; i < count; i++)
        for (unsigned k = 0; k < cards[i]->naddrs; k++)
            if (is_usable(cards[i]->addrs[k].addr))
                return g_strdup(cards[i]->addrs[k].addr);
    return NULL;
}

/* What a DHCP server there, the guest's agent or the host's table of neighbours knows. */
static char *find_address(virDomainPtr domain)
{
    static const unsigned sources[] = {VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
                                       VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
                                       VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP};
    char *address = NULL;
    for (gsize i = 0; !address && i < G_N_ELEMENTS(sources); i++) {
        virDomainInterfacePtr *cards = NULL;
        int count = virDomainInterfaceAddresses(domain, &cards, sources[i], 0);
        address = count > 0 ? first_usable(cards, count) : NULL;
        for (int k = 0; k < count; k++)
            virDomainInterfaceFree(cards[k]);
        free(cards);
    }
    return address;
}

/* --- TCP -----------------------------------------------------------------------------------------
 */

static gboolean tcp_prepare(struct probe *probe, GError **error)
{
    if (!json_member_uint(probe->settings, "port", CONFIG, &probe->port, error) ||
        !json_optional_string(probe->settings, "address", CONFIG, &probe->target, error))
        return FALSE;
    g_free(probe->label);
    probe->label = g_strdup_printf("tcp %" G_GUINT64_FORMAT, probe->port);
    if (probe->port >= 1 && probe->port <= PORT_MAX)
        return TRUE;
    landfall_error_set(error, CONFIG, NULL, "%" G_GUINT64_FORMAT " is no port", probe->port);
    return FALSE;
}

static gboolean tcp_look(struct probe *probe, const struct probe_subject *subject, GError **error)
{
    g_autofree char *address =
        probe->target ? g_strdup(probe->target) : find_address(subject->domain);
    g_autoptr(GError) cause = NULL;
    if (!address) {
        landfall_error_set(
            error, LANDFALL_ERROR_SOURCE, NULL,
            "its address is not known: neither a DHCP server, nor its agent, nor the "
            "host tells one");
        return FALSE;
    }
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_socket_client_set_timeout(client, CONNECT_TIMEOUT_S);
    g_socket_client_set_enable_proxy(client, FALSE);
    g_autoptr(GSocketConnection) connection =
        g_socket_client_connect_to_host(client, address, (guint16)probe->port, NULL, &cause);
    if (!connection)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "%s: %s", address, cause->message);
    return connection != NULL;
}

/* --- HTTP ----------------------------------------------------------------------------------------
 */

static gboolean http_prepare(struct probe *probe, GError **error)
{
    probe->status = HTTP_OK;
    if (!json_member_string(probe->settings, "url", CONFIG, &probe->target, error) ||
        !json_optional_uint(probe->settings, "status", CONFIG, &probe->status, error))
        return FALSE;
    g_free(probe->label);
    probe->label = g_strdup_printf("http %s", probe->target);
    g_autoptr(GUri) uri = g_uri_parse(probe->target, G_URI_FLAGS_NONE, NULL);
    if (uri &&
        (strcmp(g_uri_get_scheme(uri), "http") == 0 || strcmp(g_uri_get_scheme(uri), "https") == 0))
        return TRUE;
    landfall_error_set(error, CONFIG, "write it as http://ADDRESS/PATH", "'%s' is no such URL",
                       probe->target);
    return FALSE;
}

static size_t pass_over(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

/* A certificate is for the machine's usual name, which leads elsewhere: it is not looked at. */
static CURLcode get(const char *url, long *ret_status)
{
    CURL *curl = curl_easy_init();
    if (!curl)
        return CURLE_FAILED_INIT;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, HTTP_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, pass_over);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_cleanup(curl);
    return code;
}

static gboolean http_look(struct probe *probe, const struct probe_subject *subject, GError **error)
{
    long status = 0;
    (void)subject;
    CURLcode code = get(probe->target, &status);
    if (code == CURLE_OK && (guint64)status == probe->status)
        return TRUE;
    if (code == CURLE_OK)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "it answers with status %ld",
                           status);
    else
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "%s", curl_easy_strerror(code));
    return FALSE;
}

const struct probe_kind probe_tcp = {"tcp", tcp_prepare, tcp_look};
const struct probe_kind probe_http = {"http", http_prepare, http_look};
