/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/client-secret.h"
#include "base/error.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define SECRET_BYTES 32
#define CODE_BYTES 16
#define CODE_GROUP 4

static gboolean fill(guint8 *bytes, int length, GError **error)
{
    if (RAND_bytes(bytes, length) == 1)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_INTERNAL, NULL, "there are no random numbers");
    return FALSE;
}

/* Base 64 as in RFC 4648 §5, without padding. */
static char *to_text(const guint8 *bytes, gsize length)
{
    g_autofree char *text = g_base64_encode(bytes, length);
    g_strdelimit(text, "+", '-');
    g_strdelimit(text, "/", '_');
    return g_strndup(text, strcspn(text, "="));
}

char *client_secret_new(const char *prefix, GError **error)
{
    guint8 bytes[SECRET_BYTES];
    if (!fill(bytes, sizeof(bytes), error))
        return NULL;
    g_autofree char *text = to_text(bytes, sizeof(bytes));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return g_strconcat(prefix, text, NULL);
}

char *client_secret_new_code(GError **error)
{
    guint8 bytes[CODE_BYTES];
    if (!fill(bytes, sizeof(bytes), error))
        return NULL;
    g_autoptr(GString) code = g_string_new(NULL);
    for (guint i = 0; i < CODE_BYTES; i++)
        g_string_append_printf(code, "%s%02x", i && i * 2 % CODE_GROUP == 0 ? "-" : "", bytes[i]);
    return g_strdup(code->str);
}

GBytes *client_secret_hash(const char *secret)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[SECRET_BYTES];
    gsize length = sizeof(digest);
    g_checksum_update(checksum, (const guchar *)secret, (gssize)strlen(secret));
    g_checksum_get_digest(checksum, digest, &length);
    return g_bytes_new(digest, length);
}

GBytes *client_secret_hash_code(const char *code)
{
    g_autoptr(GString) digits = g_string_new(NULL);
    for (const char *at = code; *at; at++)
        if (g_ascii_isxdigit(*at))
            g_string_append_c(digits, g_ascii_tolower(*at));
    return client_secret_hash(digits->str);
}

char *client_secret_csrf(const char *session_secret)
{
    static const char *const purpose = "landfall csrf";
    g_autoptr(GHmac) hmac =
        g_hmac_new(G_CHECKSUM_SHA256, (const guchar *)session_secret, strlen(session_secret));
    guint8 digest[SECRET_BYTES];
    gsize length = sizeof(digest);
    g_hmac_update(hmac, (const guchar *)purpose, (gssize)strlen(purpose));
    g_hmac_get_digest(hmac, digest, &length);
    return to_text(digest, length);
}

gboolean client_secret_equal(const char *one, const char *other)
{
    gsize length = strlen(one);
    return strlen(other) == length && CRYPTO_memcmp(one, other, length) == 0;
}

gboolean client_secret_hash_equal(GBytes *one, GBytes *other)
{
    gsize length = g_bytes_get_size(one);
    return g_bytes_get_size(other) == length &&
           CRYPTO_memcmp(g_bytes_get_data(one, NULL), g_bytes_get_data(other, NULL), length) == 0;
}
