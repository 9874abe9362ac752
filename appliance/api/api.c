/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/api.h"
#include "appliance/api/api-error.h"
#include "appliance/api/api-private.h"
#include "appliance/api/listen-socket.h"
#include "appliance/api/listener.h"
#include "appliance/api/request-private.h"
#include "base/error.h"

#include <unistd.h>

#define LOCAL_CONNECTIONS_MAX 128

void api_count_request(struct api *api, const char *method, unsigned status)
{
    (void)api;
    (void)method;
    (void)status;
}

static gboolean serve_socket(struct api *api, GError **error)
{
    const struct listener_options options = {.is_unix = TRUE,
                                             .connections_max = LOCAL_CONNECTIONS_MAX};
    int fd = listen_socket_unix(api->socket_path, error);
    if (fd >= 0)
        api->local = listener_new(api, fd, &options, error);
    return api->local != NULL;
}

struct api *api_new(const struct api_options *options, GError **error)
{
    struct api *api = g_new0(struct api, 1);
    api->state = options->state;
    api->hub = options->hub;
    api->socket_path = g_build_filename(options->runtime_dir, "landfalld.sock", NULL);
    if (serve_socket(api, error))
        return api;
    api_free(api);
    return NULL;
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
    if (api->local)
        unlink(api->socket_path);
    listener_free(api->local);
    g_free(api->socket_path);
    g_free(api);
}
