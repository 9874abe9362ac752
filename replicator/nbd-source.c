/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/nbd-source.h"
#include "base/error.h"
#include "replicator/block-map.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 30000
#define DISCONNECT_TIMEOUT_MS 1000
#define POLL_MS 100
#define HAS_COMMAND 1u /* noted in a handle: a command that libnbd started leads to the server */

static const char *const schemes[] = {"nbd", "nbds", "nbd+unix", "nbds+unix", NULL};

void nbd_source_error(const struct nbd_source *source, const char *doing, GError **error)
{
    const char *detail = nbd_get_error();
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "check that the NBD server runs, that this machine reaches it, and that the "
                       "export exists (nbdinfo URI)",
                       "disk %s: cannot %s %s: %s", source->name, doing, source->uri,
                       detail ? detail : "the server gave no reason");
}

gboolean nbd_source_check(const struct nbd_source *source, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GUri) uri = g_uri_parse(source->uri, G_URI_FLAGS_NONE, &cause);
    if (uri && g_strv_contains(schemes, g_uri_get_scheme(uri)))
        return TRUE;
    landfall_error_set(
        error, LANDFALL_ERROR_CONFIG,
        "write nbd://HOST:PORT/EXPORT, nbds://HOST/EXPORT?tls-certificates=FOLDER or "
        "nbd+unix:///EXPORT?socket=PATH",
        "disk %s: '%s' is not an NBD URI%s%s", source->name, source->uri, cause ? ": " : "",
        cause ? cause->message : "");
    return FALSE;
}

static gboolean prepare(struct nbd_handle *handle, const struct nbd_source *source,
                        const char *context)
{
    if (nbd_set_handle_name(handle, source->name) < 0 ||
        nbd_set_pread_initialize(handle, false) <
            0 || /* an error ends the cycle: nothing is used */
        nbd_set_uri_allow_local_file(handle, true) < 0 || /* tls-psk-file, tls-certificates */
        nbd_set_uri_allow_transports(handle,
                                     LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX) < 0)
        return FALSE;
    /* Structured replies tell more than a read wants to know, and QEMU looks up the status of all
     * it sends to tell it. */
    return context ? nbd_add_meta_context(handle, context) == 0
                   : nbd_set_request_structured_replies(handle, false) == 0;
}

/* With a command, the URI's path is the export's name. */
static gboolean start_command(struct nbd_handle *handle, const struct nbd_source *source)
{
    g_autoptr(GUri) uri = g_uri_parse(source->uri, G_URI_FLAGS_NONE, NULL);
    const char *path = uri ? g_uri_get_path(uri) : "";
    if (path[0] == '/')
        path++;
    nbd_set_private_data(handle, HAS_COMMAND);
    return nbd_set_export_name(handle, path) == 0 &&
           nbd_aio_connect_command(handle, source->command) == 0;
}

void nbd_source_close(struct nbd_handle *handle)
{
    if (!handle)
        return;
    /* libnbd waits for the command to end, and one that hangs does not see that we are gone. */
    if (nbd_get_private_data(handle) == HAS_COMMAND && nbd_aio_is_closed(handle) == 0)
        nbd_kill_subprocess(handle, SIGKILL);
    nbd_close(handle);
}

/* Drives the connection until it is ready; FALSE with *error on failure. */
static gboolean wait_ready(struct nbd_handle *handle, const struct nbd_source *source,
                           const gint *cancelled, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + CONNECT_TIMEOUT_MS * 1000ll;
    while (nbd_aio_is_connecting(handle) == 1) {
        if (g_atomic_int_get(cancelled)) {
            landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
            return FALSE;
        }
        if (g_get_monotonic_time() > deadline_us) {
            landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                               "check that the host is up and that a firewall lets NBD through",
                               "disk %s: no answer from %s for %d s", source->name, source->uri,
                               CONNECT_TIMEOUT_MS / 1000);
            return FALSE;
        }
        if (nbd_poll(handle, POLL_MS) < 0)
            break;
    }
    if (nbd_aio_is_ready(handle) == 1)
        return TRUE;
    nbd_source_error(source, "connect to", error);
    return FALSE;
}

struct nbd_handle *nbd_source_start_connecting(const struct nbd_source *source, const char *context)
{
    struct nbd_handle *handle = nbd_create();
    if (handle && prepare(handle, source, context) &&
        (source->command ? start_command(handle, source)
                         : nbd_aio_connect_uri(handle, source->uri) == 0))
        return handle;
    nbd_source_close(handle);
    return NULL;
}

struct nbd_handle *nbd_source_connect(const struct nbd_source *source, const char *context,
                                      const gint *cancelled, GError **error)
{
    if (!nbd_source_check(source, error))
        return NULL;
    struct nbd_handle *handle = nbd_source_start_connecting(source, context);
    if (!handle)
        nbd_source_error(source, "connect to", error);
    else if (wait_ready(handle, source, cancelled, error))
        return handle;
    nbd_source_close(handle);
    return NULL;
}

void nbd_source_disconnect(struct nbd_handle *handle)
{
    gint64 deadline_us = g_get_monotonic_time() + DISCONNECT_TIMEOUT_MS * 1000ll;
    if (handle && nbd_aio_is_ready(handle) == 1 && nbd_aio_in_flight(handle) == 0 &&
        nbd_aio_disconnect(handle, 0) == 0)
        while (nbd_aio_is_closed(handle) == 0 && nbd_aio_is_dead(handle) == 0 &&
               g_get_monotonic_time() < deadline_us)
            if (nbd_poll(handle, POLL_MS) < 0)
                break;
    nbd_source_close(handle);
}

gboolean nbd_source_wait(const struct nbd_source *source, struct nbd_handle *handle,
                         const char *doing, gint64 answered_us, const gint *cancelled,
                         GError **error)
{
    if (g_atomic_int_get(cancelled)) {
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
        return FALSE;
    }
    if (g_get_monotonic_time() - answered_us > NBD_STALL_MS * G_TIME_SPAN_MILLISECOND) {
        landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                           "check that the host is up and that its disks answer",
                           "disk %s: cannot %s %s: no answer for %d s", source->name, doing,
                           source->uri, NBD_STALL_MS / 1000);
        return FALSE;
    }
    if (nbd_poll(handle, POLL_MS) >= 0)
        return TRUE;
    nbd_source_error(source, doing, error);
    return FALSE;
}

gboolean nbd_source_size(const struct nbd_source *source, struct nbd_handle *handle,
                         guint64 *ret_bytes, GError **error)
{
    gint64 size_bytes = nbd_get_size(handle);
    if (size_bytes < 0) {
        nbd_source_error(source, "get the size of", error);
        return FALSE;
    }
    gint64 minimum = nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM);
    gint64 maximum = nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
    if (size_bytes == 0 || size_bytes % 512 != 0 || (guint64)size_bytes > DISK_BYTES_MAX) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "a disk has from 512 bytes to 64 TiB, in whole sectors of 512 bytes",
                           "disk %s: %s has %" G_GINT64_FORMAT " bytes", source->name, source->uri,
                           size_bytes);
        return FALSE;
    }
    if (minimum > BLOCK_BYTES || (maximum > 0 && maximum < BLOCK_BYTES)) {
        landfall_error_set(
            error, LANDFALL_ERROR_UNSUPPORTED, "put nbdkit with --filter=blocksize in between",
            "disk %s: %s does not serve reads of %u bytes", source->name, source->uri, BLOCK_BYTES);
        return FALSE;
    }
    *ret_bytes = (guint64)size_bytes;
    return TRUE;
}

gboolean nbd_source_check_size(const struct nbd_source *source, struct nbd_handle *handle,
                               guint64 disk_bytes, GError **error)
{
    gint64 size_bytes = nbd_get_size(handle);
    if (size_bytes == (gint64)disk_bytes)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "start the cycle again: it looks at the disk as it is then",
                       "disk %s: %s had %" G_GUINT64_FORMAT " bytes, and on another connection has "
                       "%" G_GINT64_FORMAT,
                       source->name, source->uri, disk_bytes, size_bytes);
    return FALSE;
}

gsize nbd_source_request_bytes(struct nbd_handle *handle)
{
    gint64 maximum = nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
    gsize bytes = REQUEST_BYTES;
    while (maximum > 0 && bytes > (guint64)maximum && bytes > BLOCK_BYTES)
        bytes /= 2;
    return bytes;
}
