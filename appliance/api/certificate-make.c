/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/certificate-make.h"
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

/* What OpenSSL takes as subjectAltName. */
static char *alternative_names(void)
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

static gboolean add_extension(X509 *x509, int nid, const char *value)
{
    X509V3_CTX context;
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

static X509 *sign(EVP_PKEY *key)
{
    g_autoptr(X509) x509 = X509_new();
    g_autofree char *names = alternative_names();
    g_autofree char *common = g_strndup(g_get_host_name(), 64);
    X509_NAME *subject = X509_get_subject_name(x509);
    gboolean ok = X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509) &&
                  X509_gmtime_adj(X509_getm_notBefore(x509), -300) &&
                  X509_time_adj_ex(X509_getm_notAfter(x509), DAYS, 0, NULL) &&
                  X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
                                             (const guchar *)"Landfall", -1, -1, 0) == 1 &&
                  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const guchar *)common,
                                             -1, -1, 0) == 1 &&
                  X509_set_issuer_name(x509, subject) == 1 && X509_set_pubkey(x509, key) == 1 &&
                  add_extension(x509, NID_subject_alt_name, names) &&
                  add_extension(x509, NID_basic_constraints, "critical,CA:FALSE") &&
                  add_extension(x509, NID_key_usage, "critical,digitalSignature") &&
                  add_extension(x509, NID_ext_key_usage, "serverAuth") &&
                  X509_sign(x509, key, EVP_sha256()) > 0;
    return ok ? g_steal_pointer(&x509) : NULL;
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

gboolean certificate_make(const char *key_path, const char *certificate_path, GError **error)
{
    g_autoptr(EVP_PKEY) key = EVP_EC_gen("P-256");
    g_autoptr(X509) x509 = key ? sign(key) : NULL;
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
