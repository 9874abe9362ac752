/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/certificates/make.h"
#include "base/error.h"

#include <gio/gio.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_EXTENSION, X509_EXTENSION_free)

#define DAYS 3650

static void add_name(GString *names, const char *kind, const char *name)
{
    g_autofree char *entry = g_strconcat(kind, ":", name, NULL);
    g_auto(GStrv) known = g_strsplit(names->str, ",", -1);
    if (!g_strv_contains((const char *const *)known, entry))
        g_string_append_printf(names, "%s%s", names->len ? "," : "", entry);
}

static void add_address(GString *names, const struct ifaddrs *interface)
{
    gsize length = sizeof(struct sockaddr_in);
    if (!interface->ifa_addr || !(interface->ifa_flags & IFF_UP))
        return;
    if (interface->ifa_addr->sa_family == AF_INET6)
        length = sizeof(struct sockaddr_in6);
    else if (interface->ifa_addr->sa_family != AF_INET)
        return;
    g_autoptr(GSocketAddress) address =
        g_socket_address_new_from_native(interface->ifa_addr, length);
    GInetAddress *inet = g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address));
    g_autofree char *text = g_inet_address_to_string(inet);
    if (!g_inet_address_get_is_link_local(inet))
        add_name(names, "IP", text);
}

char *certificate_local_names(void)
{
    g_autoptr(GString) names = g_string_new(NULL);
    struct ifaddrs *interfaces = NULL;
    add_name(names, "DNS", g_get_host_name());
    add_name(names, "DNS", "localhost");
    add_name(names, "IP", "127.0.0.1");
    add_name(names, "IP", "::1");
    if (getifaddrs(&interfaces) == 0)
        for (const struct ifaddrs *at = interfaces; at; at = at->ifa_next)
            add_address(names, at);
    freeifaddrs(interfaces);
    return g_strdup(names->str);
}

/* What signs: an authority, or the new key itself. */
struct signer {
    EVP_PKEY *key; /* owned */
    X509 *x509;    /* owned; NULL: itself */
};

static void signer_clear(struct signer *signer)
{
    g_clear_pointer(&signer->key, EVP_PKEY_free);
    g_clear_pointer(&signer->x509, X509_free);
}

/* What a certificate may be used for; QEMU asks for key encipherment, too. */
static const struct {
    const char *constraints, *key_usage, *extended;
} usages[] = {
    [CERTIFICATE_HTTPS] = {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth"},
    [CERTIFICATE_AUTHORITY] = {"critical,CA:TRUE,pathlen:0", "critical,keyCertSign", NULL},
    [CERTIFICATE_SERVER] = {"critical,CA:FALSE", "critical,digitalSignature,keyEncipherment",
                            "serverAuth"},
    [CERTIFICATE_CLIENT] = {"critical,CA:FALSE", "critical,digitalSignature,keyEncipherment",
                            "clientAuth"},
};

static gboolean add_extension(X509 *x509, int nid, const char *value)
{
    X509V3_CTX context;
    if (!value)
        return TRUE;
    X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
    g_autoptr(X509_EXTENSION) extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    return extension && X509_add_ext(x509, extension, -1) == 1;
}

/* 64 bits by chance, as two certificates of one name and number confuse browsers. */
static gboolean set_serial(X509 *x509)
{
    guint64 serial = 0;
    return RAND_bytes((guint8 *)&serial, sizeof(serial)) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1) == 1;
}

static gboolean add_subject(X509_NAME *subject, const char *kind, const char *text)
{
    g_autofree char *value = g_strndup(text, 64);
    return X509_NAME_add_entry_by_txt(subject, kind, MBSTRING_UTF8, (const guchar *)value, -1, -1,
                                      0) == 1;
}

/* A client is told by its whole subject, of which programs disagree in which order it is written:
 * so it is the common name alone. */
static X509 *sign(const struct certificate_request *request, EVP_PKEY *key,
                  const struct signer *signer)
{
    g_autoptr(X509) x509 = X509_new();
    X509_NAME *subject = X509_get_subject_name(x509);
    X509_NAME *issuer = signer->x509 ? X509_get_subject_name(signer->x509) : subject;
    gboolean ok =
        X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509) &&
        X509_gmtime_adj(X509_getm_notBefore(x509), -300) &&
        X509_time_adj_ex(X509_getm_notAfter(x509), DAYS, 0, NULL) &&
        (request->purpose == CERTIFICATE_CLIENT || add_subject(subject, "O", "Landfall")) &&
        add_subject(subject, "CN", request->common_name) &&
        X509_set_issuer_name(x509, issuer) == 1 && X509_set_pubkey(x509, key) == 1 &&
        add_extension(x509, NID_subject_alt_name, request->alternative_names) &&
        add_extension(x509, NID_basic_constraints, usages[request->purpose].constraints) &&
        add_extension(x509, NID_key_usage, usages[request->purpose].key_usage) &&
        add_extension(x509, NID_ext_key_usage, usages[request->purpose].extended) &&
        X509_sign(x509, signer->x509 ? signer->key : key, EVP_sha256()) > 0;
    return ok ? g_steal_pointer(&x509) : NULL;
}

static BIO *load(const char *path, GError **error)
{
    BIO *text = BIO_new_file(path, "r");
    if (!text)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "cannot read %s", path);
    return text;
}

static gboolean load_signer(const struct certificate_request *request, struct signer *signer,
                            GError **error)
{
    if (!request->authority_key_path)
        return TRUE;
    g_autoptr(BIO) key = load(request->authority_key_path, error);
    g_autoptr(BIO) x509 = key ? load(request->authority_certificate_path, error) : NULL;
    if (!x509)
        return FALSE;
    signer->key = PEM_read_bio_PrivateKey(key, NULL, NULL, (void *)"");
    signer->x509 = PEM_read_bio_X509(x509, NULL, NULL, NULL);
    if (signer->key && signer->x509)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "%s and %s are no key and certificate",
                       request->authority_key_path, request->authority_certificate_path);
    return FALSE;
}

static gboolean save(BIO *text, const char *path, int mode, GError **error)
{
    char *data = NULL;
    g_autoptr(GError) cause = NULL;
    long length = BIO_get_mem_data(text, &data);
    if (g_file_set_contents_full(path, data, length,
                                 G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, mode,
                                 &cause))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "%s", cause->message);
    return FALSE;
}

gboolean certificate_make(const struct certificate_request *request, const char *key_path,
                          const char *certificate_path, GError **error)
{
    struct signer signer = {NULL, NULL};
    gboolean loaded = load_signer(request, &signer, error);
    g_autoptr(EVP_PKEY) key = loaded ? EVP_EC_gen("P-256") : NULL;
    g_autoptr(X509) x509 = key ? sign(request, key, &signer) : NULL;
    signer_clear(&signer);
    if (!loaded)
        return FALSE;
    g_autoptr(BIO) key_text = BIO_new(BIO_s_secmem());
    g_autoptr(BIO) certificate_text = BIO_new(BIO_s_mem());
    if (!x509 || PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_X509(certificate_text, x509) != 1) {
        landfall_error_set(error, LANDFALL_ERROR_INTERNAL, NULL, "cannot make a certificate");
        return FALSE;
    }
    return save(key_text, key_path, 0600, error) &&
           save(certificate_text, certificate_path, 0644, error);
}
