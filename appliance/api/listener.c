/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/listener.h"
#include "appliance/api/exchange.h"
#include "base/error.h"

#include <glib-unix.h>
#include <unistd.h>

/* The head of a request, path, query and headers, has to fit in here beside the answer's headers.
 */
#define MEMORY_PER_CONNECTION (32 * 1024)

/* Forward secrecy and nothing older than TLS 1.2. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:%SERVER_PRECEDENCE"

struct listener {
    struct api *api; /* borrowed */
    gboolean is_unix;
    struct MHD_Daemon *daemon;
    GSource *source;    /* its epoll descriptor and its timeouts */
    guint late_timer;   /* while there are connections */
    GQueue connections; /* struct connection */
};

struct listener_source {
    GSource source;
    struct MHD_Daemon *daemon;
    gpointer tag; /* of the epoll descriptor */
};

static gboolean source_prepare(GSource *source, gint *timeout_ms)
{
    struct listener_source *self = (struct listener_source *)source;
    MHD_UNSIGNED_LONG_LONG wait_ms;
    *timeout_ms = -1;
    if (MHD_get_timeout(self->daemon, &wait_ms) != MHD_YES)
        return FALSE;
    *timeout_ms = (gint)MIN(wait_ms, G_MAXINT);
    return wait_ms == 0;
}

static gboolean source_check(GSource *source)
{
    struct listener_source *self = (struct listener_source *)source;
    MHD_UNSIGNED_LONG_LONG wait_ms;
    return g_source_query_unix_fd(source, self->tag) ||
           (MHD_get_timeout(self->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
}

static gboolean source_dispatch(GSource *source, G_GNUC_UNUSED GSourceFunc callback,
                                G_GNUC_UNUSED gpointer data)
{
    g_source_set_ready_time(source, -1);
    MHD_run(((struct listener_source *)source)->daemon);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_functions = {source_prepare, source_check, source_dispatch,
                                        NULL,           NULL,         NULL};

static GSource *attach(struct MHD_Daemon *daemon)
{
    GSource *source = g_source_new(&source_functions, sizeof(struct listener_source));
    struct listener_source *self = (struct listener_source *)source;
    int fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    self->daemon = daemon;
    self->tag = g_source_add_unix_fd(source, fd, G_IO_IN);
    g_source_set_static_name(source, "http");
    g_source_attach(source, NULL);
    return source;
}

static gboolean on_late_timer(gpointer data)
{
    struct listener *listener = data;
    connections_cut_late(&listener->connections);
    return G_SOURCE_CONTINUE;
}

static void on_connection(void *data, struct MHD_Connection *http, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct listener *listener = data;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *connection = connection_new(http, listener->source, listener->is_unix);
        g_queue_push_tail_link(&listener->connections, &connection->link);
        *socket_context = connection;
    } else {
        struct connection *connection = *socket_context;
        g_queue_unlink(&listener->connections, &connection->link);
        g_clear_pointer(&connection, connection_free);
        *socket_context = NULL;
    }
    if (listener->connections.length && !listener->late_timer)
        listener->late_timer = g_timeout_add_seconds(1, on_late_timer, listener);
    else if (!listener->connections.length)
        g_clear_handle_id(&listener->late_timer, g_source_remove);
}

static struct MHD_Daemon *start(struct listener *listener, int socket_fd,
                                const struct listener_options *options)
{
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key_pem},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate_pem},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    if (options->key_pem)
        flags |= MHD_USE_TLS;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, exchange_handle, listener->api, MHD_OPTION_LISTEN_SOCKET, socket_fd,
        MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, listener, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
        MHD_OPTION_CONNECTION_LIMIT, options->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        options->connections_per_address_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY,
        options->key_pem ? tls : plain, MHD_OPTION_END);
}

struct listener *listener_new(struct api *api, int socket_fd,
                              const struct listener_options *options, GError **error)
{
    struct listener *listener = g_new0(struct listener, 1);
    listener->api = api;
    listener->is_unix = options->is_unix;
    listener->daemon = start(listener, socket_fd, options);
    if (!listener->daemon) {
        landfall_error_set(
            error, LANDFALL_ERROR_CONFIG,
            "if certificate or key were replaced: both have to be PEM, and of one pair",
            "cannot start the %s server", options->key_pem ? "HTTPS" : "HTTP");
        close(socket_fd);
        g_free(listener);
        return NULL;
    }
    listener->source = attach(listener->daemon);
    return listener;
}

void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    MHD_run(listener->daemon); /* those resumed a moment ago get their answers */
    g_source_destroy(listener->source);
    g_source_unref(listener->source);
    MHD_stop_daemon(listener->daemon);
    g_clear_handle_id(&listener->late_timer, g_source_remove);
    g_free(listener);
}
