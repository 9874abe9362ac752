/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/state/secrets.h"
#include "appliance/state/audit.h"
#include "appliance/state/database.h"
#include "base/error.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define NONCE_BYTES 12
#define TAG_BYTES 16

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

struct secret_memory {
    gsize length_bytes;
    guint8 data[];
};

static void memory_free(gpointer data)
{
    struct secret_memory *memory = data;
    OPENSSL_cleanse(memory->data, memory->length_bytes);
    g_free(memory);
}

/* Room for a value and a 0 after it. */
static struct secret_memory *memory_new(gsize length_bytes)
{
    struct secret_memory *memory = g_malloc0(sizeof *memory + length_bytes + 1);
    memory->length_bytes = length_bytes;
    return memory;
}

static gboolean cipher_failed(GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_INTERNAL, NULL, "OpenSSL cannot seal a secret");
    return FALSE;
}

/* Whom the value belongs to is part of what is sealed: two strings, each with its 0. */
static gboolean set_owner(EVP_CIPHER_CTX *context, const char *owner, const char *name)
{
    int n;
    return EVP_CipherUpdate(context, NULL, &n, (const guint8 *)owner, (int)strlen(owner) + 1) &&
           EVP_CipherUpdate(context, NULL, &n, (const guint8 *)name, (int)strlen(name) + 1);
}

/* sealed has room for length_bytes and the tag. */
static gboolean seal(const struct state *state, const char *owner, const char *name,
                     const guint8 *nonce, const void *data, int length_bytes, guint8 *sealed)
{
    g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
    int n;
    return context && EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), state->key, nonce, 1, NULL) &&
           set_owner(context, owner, name) &&
           EVP_CipherUpdate(context, sealed, &n, data, length_bytes) &&
           EVP_CipherFinal_ex(context, sealed + length_bytes, &n) &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, sealed + length_bytes);
}

static gboolean unseal(const struct state *state, const char *owner, const char *name,
                       const guint8 *nonce, guint8 *sealed, int length_bytes, guint8 *data)
{
    g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
    int n;
    return context && EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), state->key, nonce, 0, NULL) &&
           set_owner(context, owner, name) &&
           EVP_CipherUpdate(context, data, &n, sealed, length_bytes) &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, sealed + length_bytes) &&
           EVP_CipherFinal_ex(context, data + length_bytes, &n) > 0;
}

static gboolean save(struct state *state, const char *owner, const char *name, const void *data,
                     gsize length_bytes, GError **error)
{
    guint8 nonce[NONCE_BYTES];
    g_autofree guint8 *sealed = g_malloc(length_bytes + TAG_BYTES);
    if (RAND_bytes(nonce, NONCE_BYTES) != 1 ||
        !seal(state, owner, name, nonce, data, (int)length_bytes, sealed))
        return cipher_failed(error);
    struct statement *insert = statement_new(
        state, "INSERT OR REPLACE INTO secret (owner, name, nonce, sealed) VALUES (?, ?, ?, ?)");
    statement_bind_text(insert, owner);
    statement_bind_text(insert, name);
    statement_bind_blob(insert, nonce, NONCE_BYTES);
    statement_bind_blob(insert, sealed, length_bytes + TAG_BYTES);
    return statement_done(insert, error);
}

static gboolean note(struct state *state, const char *who, const char *action, const char *owner,
                     const char *name, GError **error)
{
    g_autoptr(JsonObject) detail = json_object_new();
    json_object_set_string_member(detail, "name", name);
    return state_audit(state, who, action, owner, detail, error);
}

gboolean state_secret_set(struct state *state, const char *who, const char *owner, const char *name,
                          const void *data, gsize length_bytes, GError **error)
{
    if (length_bytes > STATE_SECRET_BYTES_MAX) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "a secret of %" G_GSIZE_FORMAT " bytes is too long: at most %u",
                           length_bytes, STATE_SECRET_BYTES_MAX);
        return FALSE;
    }
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok = save(state, owner, name, data, length_bytes, error) &&
                  note(state, who, "secret.set", owner, name, error);
    return state_end(state, ok, error);
}

/* Takes nonce and sealed value as they were stored. */
static GBytes *open_sealed(const struct state *state, const char *owner, const char *name,
                           GBytes *nonce, GBytes *stored)
{
    gsize length_bytes;
    if (!nonce || !stored || g_bytes_get_size(nonce) != NONCE_BYTES ||
        g_bytes_get_size(stored) < TAG_BYTES ||
        g_bytes_get_size(stored) > STATE_SECRET_BYTES_MAX + TAG_BYTES)
        return NULL;
    g_autofree guint8 *sealed =
        g_memdup2(g_bytes_get_data(stored, &length_bytes), g_bytes_get_size(stored));
    struct secret_memory *memory = memory_new(length_bytes - TAG_BYTES);
    if (!unseal(state, owner, name, g_bytes_get_data(nonce, NULL), sealed,
                (int)memory->length_bytes, memory->data)) {
        memory_free(memory);
        return NULL;
    }
    return g_bytes_new_with_free_func(memory->data, memory->length_bytes, memory_free, memory);
}

gboolean state_secret_get(struct state *state, const char *owner, const char *name,
                          GBytes **ret_secret, GError **error)
{
    g_autoptr(GBytes) nonce = NULL;
    g_autoptr(GBytes) sealed = NULL;
    struct statement *query =
        statement_new(state, "SELECT nonce, sealed FROM secret WHERE owner = ? AND name = ?");
    statement_bind_text(query, owner);
    statement_bind_text(query, name);
    gboolean found = statement_row(query);
    if (found) {
        nonce = statement_read_blob(query);
        sealed = statement_read_blob(query);
    }
    if (!statement_done(query, error))
        return FALSE;
    GBytes *secret = found ? open_sealed(state, owner, name, nonce, sealed) : NULL;
    if (found && !secret) {
        landfall_error_set(error, LANDFALL_ERROR_CORRUPT,
                           "set the secret again; or restore the key file that belongs to the "
                           "database",
                           "the secret '%s' of %s does not open: it was changed, or sealed by "
                           "another key",
                           name, owner);
        return FALSE;
    }
    *ret_secret = secret;
    return TRUE;
}

static gboolean delete_secret(struct state *state, const char *owner, const char *name,
                              GError **error)
{
    struct statement *removal =
        statement_new(state, "DELETE FROM secret WHERE owner = ? AND name = ?");
    statement_bind_text(removal, owner);
    statement_bind_text(removal, name);
    return statement_done(removal, error);
}

gboolean state_secret_remove(struct state *state, const char *who, const char *owner,
                             const char *name, GError **error)
{
    if (!state_begin(state, error))
        return FALSE;
    gboolean ok =
        delete_secret(state, owner, name, error) &&
        (state_changed_rows(state) == 0 || note(state, who, "secret.remove", owner, name, error));
    return state_end(state, ok, error);
}
