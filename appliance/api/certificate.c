/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/certificate.h"
#include "appliance/certificates/make.h"
#include "base/error.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)

#define HINT_PAIR                                                                                  \
    "put both files there, or remove both: then new ones are made, and clients have to be told"

static gboolean bad(const char *path, const char *what, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, HINT_PAIR, "%s %s", path, what);
    return FALSE;
}

static gboolean check_mode(const char *path, GError **error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno, HINT_PAIR,
                                 "cannot look at %s", path);
        return FALSE;
    }
    if (!(status.st_mode & 077))
        return TRUE;
    g_autofree char *hint = g_strdup_printf("chmod 600 %s", path);
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint,
                       "the key %s may be read by others: its mode is %03o", path,
                       status.st_mode & 0777);
    return FALSE;
}

static gboolean read_pem(const char *path, char **ret_text, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (g_file_get_contents(path, ret_text, NULL, &cause))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, HINT_PAIR, "%s", cause->message);
    return FALSE;
}

static void describe(struct certificate *certificate, X509 *x509)
{
    guint8 digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    guint8 *public_key = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    X509_digest(x509, EVP_sha256(), digest, &length);
    for (unsigned i = 0; i < length; i++)
        g_string_append_printf(text, "%s%02X", i ? ":" : "", digest[i]);
    certificate->fingerprint = g_strdup(text->str);
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &public_key);
    EVP_Digest(public_key, (size_t)MAX(size, 0), digest, &length, EVP_sha256(), NULL);
    OPENSSL_free(public_key);
    g_autofree char *encoded = g_base64_encode(digest, length);
    certificate->pin = g_strconcat("sha256//", encoded, NULL);
}

static gboolean check_pair(struct certificate *certificate, const char *key_path,
                           const char *certificate_path, GError **error)
{
    g_autoptr(BIO) key_text = BIO_new_mem_buf(certificate->key_pem, -1);
    g_autoptr(BIO) certificate_text = BIO_new_mem_buf(certificate->certificate_pem, -1);
    g_autoptr(EVP_PKEY) key = PEM_read_bio_PrivateKey(key_text, NULL, NULL, (void *)"");
    g_autoptr(X509) x509 = PEM_read_bio_X509(certificate_text, NULL, NULL, NULL);
    if (!key)
        return bad(key_path, "holds no private key in PEM, or one with a password", error);
    if (!x509)
        return bad(certificate_path, "holds no certificate in PEM", error);
    if (X509_check_private_key(x509, key) != 1)
        return bad(certificate_path, "is not of the key beside it", error);
    describe(certificate, x509);
    return TRUE;
}

struct certificate *certificate_load(const char *folder, GError **error)
{
    g_autofree char *key_path = g_build_filename(folder, "https-key.pem", NULL);
    g_autofree char *certificate_path = g_build_filename(folder, "https-certificate.pem", NULL);
    struct certificate *certificate = g_new0(struct certificate, 1);
    g_autofree char *names = certificate_local_names();
    const struct certificate_request request = {
        .purpose = CERTIFICATE_HTTPS,
        .common_name = g_get_host_name(),
        .alternative_names = names,
    };
    gboolean fresh = !g_file_test(key_path, G_FILE_TEST_EXISTS) &&
                     !g_file_test(certificate_path, G_FILE_TEST_EXISTS);
    if ((!fresh || certificate_make(&request, key_path, certificate_path, error)) &&
        check_mode(key_path, error) && read_pem(key_path, &certificate->key_pem, error) &&
        read_pem(certificate_path, &certificate->certificate_pem, error) &&
        check_pair(certificate, key_path, certificate_path, error))
        return certificate;
    certificate_free(certificate);
    return NULL;
}

void certificate_free(struct certificate *certificate)
{
    if (!certificate)
        return;
    if (certificate->key_pem)
        OPENSSL_cleanse(certificate->key_pem, strlen(certificate->key_pem));
    g_free(certificate->key_pem);
    g_free(certificate->certificate_pem);
    g_free(certificate->fingerprint);
    g_free(certificate->pin);
    g_free(certificate);
}
