/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/api.h"
#include "appliance/api/api-error.h"
#include "appliance/api/api-private.h"
#include "appliance/api/certificate.h"
#include "appliance/api/client-secret.h"
#include "appliance/api/listen-socket.h"
#include "appliance/api/listener.h"
#include "appliance/api/metrics.h"
#include "appliance/api/request-private.h"
#include "appliance/state/accounts.h"

#include <unistd.h>

#define LOCAL_CONNECTIONS_MAX 128
#define HTTPS_CONNECTIONS_MAX 256
#define HTTPS_CONNECTIONS_PER_ADDRESS_MAX 64

static gboolean serve_socket(struct api *api, GError **error)
{
    const struct listener_options options = {.is_unix = TRUE,
                                             .connections_max = LOCAL_CONNECTIONS_MAX};
    int fd = listen_socket_unix(api->socket_path, error);
    if (fd >= 0)
        api->local = listener_new(api, fd, &options, error);
    return api->local != NULL;
}

static gboolean serve_https(struct api *api, const struct api_options *options, GError **error)
{
    if (g_str_equal(options->listen, "0"))
        return TRUE;
    api->certificate = certificate_load(options->state_dir, error);
    if (!api->certificate)
        return FALSE;
    const struct listener_options https = {
        .key_pem = api->certificate->key_pem,
        .certificate_pem = api->certificate->certificate_pem,
        .connections_max = HTTPS_CONNECTIONS_MAX,
        .connections_per_address_max = HTTPS_CONNECTIONS_PER_ADDRESS_MAX,
    };
    int fd = listen_socket_tcp(options->listen, &api->https_address, error);
    if (fd >= 0)
        api->https = listener_new(api, fd, &https, error);
    return api->https != NULL;
}

struct api *api_new(const struct api_options *options, GError **error)
{
    struct api *api = g_new0(struct api, 1);
    api->state = options->state;
    api->hub = options->hub;
    api->inventory = options->inventory;
    api->scheduler = options->scheduler;
    api->failovers = options->failovers;
    api->metrics = metrics_new(options->hub);
    api->socket_path = g_build_filename(options->runtime_dir, "landfalld.sock", NULL);
    if (serve_socket(api, error) && serve_https(api, options, error))
        return api;
    api_free(api);
    return NULL;
}

const char *api_https_address(const struct api *api)
{
    return api->https_address;
}

const struct certificate *api_https_certificate(const struct api *api)
{
    return api->certificate;
}

gboolean api_first_start(struct api *api, char **ret_code, GError **error)
{
    g_autoptr(GBytes) known = NULL;
    g_autoptr(GPtrArray) accounts = state_account_list(api->state, error);
    if (!accounts || !state_setup_code_get(api->state, &known, error))
        return FALSE;
    *ret_code = NULL;
    if (accounts->len || known)
        return TRUE;
    g_autofree char *code = client_secret_new_code(error);
    g_autoptr(GBytes) hash = code ? client_secret_hash_code(code) : NULL;
    if (!hash || !state_setup_code_set(api->state, hash, error))
        return FALSE;
    *ret_code = g_steal_pointer(&code);
    return TRUE;
}

/* Their handlers may work on: what they answer finds nobody any more. */
static void end_deferred(struct api *api)
{
    g_autoptr(GError) error =
        g_error_new_literal(API_ERROR, API_ERROR_STOPPING, "landfalld is stopping");
    while (api->deferred.head) {
        struct request *request = api->deferred.head->data;
        request_finish(request_ref(request), NULL, error);
        request->api = NULL;
    }
}

void api_free(struct api *api)
{
    if (!api)
        return;
    end_deferred(api);
    event_streams_end(api);
    if (api->local)
        unlink(api->socket_path);
    listener_free(api->local);
    listener_free(api->https);
    metrics_free(api->metrics);
    certificate_free(api->certificate);
    g_free(api->https_address);
    g_free(api->socket_path);
    g_free(api);
}
