/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a libvirt host, and what its URI says about reaching QEMU's sockets there. */
#include "snapshot/snapshot-private.h"

#include <string.h>

/* The ssh command that reaches the host, from the same parts of the URI that libvirt's own ssh
 * transport uses. A network that goes silent ends it, as connection.c ends libvirt's. */
static GStrv ssh_command(GUri *uri, GHashTable *parameters)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_add_many(builder, "ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
                            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4", "-e",
                            "none", NULL);
    const char *keyfile = g_hash_table_lookup(parameters, "keyfile");
    if (keyfile)
        g_strv_builder_add_many(builder, "-i", keyfile, NULL);
    if (g_strcmp0(g_hash_table_lookup(parameters, "no_verify"), "1") == 0)
        g_strv_builder_add_many(builder, "-o", "StrictHostKeyChecking=no", NULL);
    if (g_uri_get_port(uri) > 0) {
        g_autofree char *port = g_strdup_printf("%d", g_uri_get_port(uri));
        g_strv_builder_add_many(builder, "-p", port, NULL);
    }
    if (g_uri_get_user(uri))
        g_strv_builder_add_many(builder, "-l", g_uri_get_user(uri), NULL);
    g_strv_builder_add_many(builder, "--", g_uri_get_host(uri), NULL);
    return g_strv_builder_end(builder);
}

/* Says from the URI whether QEMU runs here, behind ssh, or where we cannot reach its sockets. */
static gboolean host_classify(struct snapshot_host *host, const char *text, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_NONE, &reason);
    if (!uri) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "write it as libvirt does: qemu:///system, qemu+ssh://user@host/system",
                           "\"%s\" is not a URI: %s", text, reason->message);
        return FALSE;
    }
    const char *scheme = g_uri_get_scheme(uri);
    const char *host_name = g_uri_get_host(uri);
    const char *path = g_uri_get_path(uri);
    host->session = g_strcmp0(path, "/session") == 0;
    if (g_str_has_prefix(scheme, "qemu") && !host->session && g_strcmp0(path, "/system") != 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "qemu:///system is the usual one",
                           "host %s: the path of a qemu URI is /system or /session, not \"%s\"",
                           text, path);
        return FALSE;
    }
    g_autoptr(GHashTable) parameters = g_uri_parse_params(
        g_uri_get_query(uri) ? g_uri_get_query(uri) : "", -1, "&;", G_URI_PARAMS_NONE, NULL);
    if (!parameters)
        parameters = g_hash_table_new(g_str_hash, g_str_equal);

    if (!host_name || !*host_name) {
        host->local = TRUE;
        return TRUE;
    }
    if (!g_str_has_suffix(scheme, "+ssh") && !g_str_has_suffix(scheme, "+libssh") &&
        !g_str_has_suffix(scheme, "+libssh2")) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "use qemu+ssh://, which needs nothing but ssh on the host",
                           "host %s: disks cannot be read over the transport of %s://", host_name,
                           scheme);
        return FALSE;
    }
    const char *netcat = g_hash_table_lookup(parameters, "netcat");
    host->netcat = g_strdup(netcat ? netcat : "nc");
    host->ssh = ssh_command(uri, parameters);
    return TRUE;
}

static gboolean is_qemu(virConnectPtr connection, const char *uri, GError **error)
{
    const char *type = virConnectGetType(connection);
    if (g_strcmp0(type, "QEMU") == 0)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                       "snapshots need QEMU's dirty bitmaps: connect with a qemu URI",
                       "host %s: its hypervisor is %s, not QEMU", uri, type ? type : "unknown");
    return FALSE;
}

gboolean snapshot_host_check(virConnectPtr connection, const char *uri, gboolean *ret_local,
                             GError **error)
{
    if (!is_qemu(connection, uri, error))
        return FALSE;
    struct snapshot_host *host = g_new0(struct snapshot_host, 1);
    gboolean ok = host_classify(host, uri, error);
    if (ok)
        *ret_local = host->local;
    snapshot_host_free(host);
    return ok;
}

struct snapshot_host *snapshot_host_open(const char *uri, GError **error)
{
    snapshot_connection_prepare();
    struct snapshot_host *host = g_new0(struct snapshot_host, 1);
    if (uri && !host_classify(host, uri, error))
        goto fail;
    host->connection = snapshot_connection_open(uri, &host->silent, error);
    if (!host->connection || !is_qemu(host->connection, uri, error))
        goto fail;
    char *canonical = virConnectGetURI(host->connection);
    host->uri = g_strdup(uri ? uri : canonical);
    free(canonical);
    if (!uri && !host_classify(host, host->uri, error))
        goto fail;
    return host;

fail:
    snapshot_host_free(host);
    return NULL;
}

gboolean snapshot_host_revive(struct snapshot_host *host, gboolean *ret_renewed, GError **error)
{
    /* A connection counts as alive until something is asked over it. */
    unsigned long version;
    if (virConnectGetLibVersion(host->connection, &version) == 0) {
        *ret_renewed = FALSE;
        return TRUE;
    }
    /* Waiting for it once is enough: the way out asks again and again. */
    if (host->silent) {
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, "the next cycle tries again",
                           "host %s does not answer", host->uri);
        return FALSE;
    }
    virConnectPtr fresh = snapshot_connection_open(host->uri, &host->silent, error);
    if (!fresh)
        return FALSE;
    virConnectClose(host->connection);
    host->connection = fresh;
    *ret_renewed = TRUE;
    return TRUE;
}

void snapshot_host_free(struct snapshot_host *host)
{
    if (!host)
        return;
    if (host->connection)
        virConnectClose(host->connection);
    g_strfreev(host->ssh);
    g_free(host->netcat);
    g_free(host->uri);
    g_free(host);
}
