/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/nbd-credentials.h"
#include "appliance/certificates/make.h"
#include "base/json.h"
#include "replicator/store-file.h"
#include "replicator/store-name.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define LOCK_WAIT_MS 20000u
#define NAME_LENGTH_MAX 40u

/* Letters that mean nothing special to a file system, nor in a certificate's subject. */
static char *host_token(const char *host)
{
    if (store_name_is_safe(host) && strlen(host) <= NAME_LENGTH_MAX)
        return g_strdup(host);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, host, -1);
    return g_strndup(sum, NAME_LENGTH_MAX);
}

static gboolean make_folder(const char *path, GError **error)
{
    if (g_mkdir_with_parents(path, 0700) == 0)
        return TRUE;
    landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno, NULL, "cannot make folder %s",
                             path);
    return FALSE;
}

/* A certificate that is there is the operator's or ours, and stays; it is written last. */
static gboolean make_pair(const struct certificate_request *request, const char *folder,
                          const char *word, GError **error)
{
    g_autofree char *key_name = g_strdup_printf("%s-key.pem", word);
    g_autofree char *certificate_name = g_strdup_printf("%s-cert.pem", word);
    g_autofree char *key = g_build_filename(folder, key_name, NULL);
    g_autofree char *certificate = g_build_filename(folder, certificate_name, NULL);
    return g_file_test(certificate, G_FILE_TEST_EXISTS) ||
           certificate_make(request, key, certificate, error);
}

/* A pair below folder, with a copy of the authority's certificate beside it. */
static gboolean make_signed(const char *folder, const char *below, const char *word,
                            const struct certificate_request *wanted, GError **error)
{
    g_autofree char *ca_key = g_build_filename(folder, "ca-key.pem", NULL);
    g_autofree char *ca = g_build_filename(folder, "ca-cert.pem", NULL);
    g_autofree char *copy = g_build_filename(below, "ca-cert.pem", NULL);
    g_autofree char *text = NULL;
    gsize length;
    struct certificate_request request = *wanted;
    request.authority_key_path = ca_key;
    request.authority_certificate_path = ca;
    if (!make_folder(below, error) || !make_pair(&request, below, word, error))
        return FALSE;
    if (g_file_test(copy, G_FILE_TEST_EXISTS))
        return TRUE;
    return g_file_get_contents(ca, &text, &length, error) &&
           store_file_replace(copy, text, length, error);
}

static gboolean make_all(const char *folder, const struct nbd_credentials *wanted,
                         const char *client, GError **error)
{
    g_autofree char *local = certificate_local_names();
    g_autofree char *names = g_strdup_printf("DNS:" NBD_TLS_HOSTNAME ",%s", local);
    g_autofree char *authority_name = g_strdup_printf("Landfall at %s", g_get_host_name());
    const struct certificate_request authority = {
        .purpose = CERTIFICATE_AUTHORITY,
        .common_name = authority_name,
    };
    const struct certificate_request server = {
        .purpose = CERTIFICATE_SERVER,
        .common_name = NBD_TLS_HOSTNAME,
        .alternative_names = names,
    };
    const struct certificate_request target = {
        .purpose = CERTIFICATE_CLIENT,
        .common_name = client,
    };
    return make_pair(&authority, folder, "ca", error) &&
           make_signed(folder, wanted->server_folder, "server", &server, error) &&
           make_signed(folder, wanted->client_folder, "client", &target, error);
}

/* Two operations may begin at once: the folder itself is the lock. */
static gboolean make_alone(const char *folder, const struct nbd_credentials *wanted,
                           const char *client, GError **error)
{
    gboolean ok = FALSE;
    int fd =
        make_folder(folder, error) ? store_file_open(folder, O_RDONLY | O_DIRECTORY, error) : -1;
    if (fd < 0)
        return FALSE;
    if (store_file_lock(fd, FALSE, LOCK_WAIT_MS))
        ok = make_all(folder, wanted, client, error);
    else
        landfall_error_set_errno(error, LANDFALL_ERROR_CONFLICT, errno, "try again",
                                 "cannot have %s alone to make certificates", folder);
    close(fd);
    return ok;
}

gboolean nbd_credentials_prepare(const struct step_work *work, struct nbd_credentials *ret,
                                 GError **error)
{
    *ret = (struct nbd_credentials){NULL, NULL, NULL};
    const char *folder = json_find_string(json_find_object(work->json, "nbd"), "folder");
    if (!folder) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "use landfall and landfalld of one version",
                           "work: step %s needs a member 'nbd.folder'", work->step);
        return FALSE;
    }
    g_autofree char *token = host_token(work->target_host);
    g_autofree char *client = g_strconcat("landfall-", token, NULL);
    ret->server_folder = g_build_filename(folder, "server", NULL);
    ret->client_folder = g_build_filename(folder, "targets", token, NULL);
    ret->client_name = g_strconcat("CN=", client, NULL);
    return make_alone(folder, ret, client, error);
}

void nbd_credentials_clear(struct nbd_credentials *credentials)
{
    g_clear_pointer(&credentials->server_folder, g_free);
    g_clear_pointer(&credentials->client_folder, g_free);
    g_clear_pointer(&credentials->client_name, g_free);
}
