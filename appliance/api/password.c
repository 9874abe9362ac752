/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/password.h"
#include "appliance/api/api-error.h"
#include "base/error.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define LENGTH_MIN 12
#define LENGTH_MAX 1024
#define AT_ONCE_MAX 4

/* 32 MiB and some 0.1 s; kept beside each hash, so that they can grow. */
#define SCRYPT_N (1u << 15)
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MEMORY_MAX (256u << 20)

struct work {
    char *password;
    struct state_password hashed;
    gboolean compare;
    gboolean known; /* with compare: there is such an account */
    gboolean right;
};

/* Atomic: the last reference to a task may be dropped by the thread that did its work. */
static gint at_once;

static void work_free(struct work *work)
{
    OPENSSL_cleanse(work->password, strlen(work->password));
    g_free(work->password);
    g_free(work);
    g_atomic_int_add(&at_once, -1);
}

gboolean password_check(const char *password, const char *account, GError **error)
{
    glong characters = g_utf8_strlen(password, -1);
    if (characters < LENGTH_MIN)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "a few words are easy to remember",
                           "the password has less than %d characters", LENGTH_MIN);
    else if (strlen(password) > LENGTH_MAX)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "the password has more than %d bytes", LENGTH_MAX);
    else if (g_ascii_strcasecmp(password, account) == 0)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL,
                           "the password is the name of the account");
    else
        return TRUE;
    return FALSE;
}

gboolean password_is_idle(struct request *request, GError **error)
{
    if (g_atomic_int_get(&at_once) < AT_ONCE_MAX)
        return TRUE;
    request_add_header(request, "Retry-After", "1");
    g_set_error(error, API_ERROR, API_ERROR_TOO_MANY, "%d passwords are being looked at already",
                AT_ONCE_MAX);
    return FALSE;
}

static gboolean derive(const struct work *work, guint8 hash[STATE_PASSWORD_BYTES])
{
    const struct state_password *hashed = &work->hashed;
    return EVP_PBE_scrypt(work->password, strlen(work->password), hashed->salt,
                          STATE_PASSWORD_BYTES, hashed->n, hashed->r, hashed->p, SCRYPT_MEMORY_MAX,
                          hash, STATE_PASSWORD_BYTES) == 1;
}

static void run(GTask *task, G_GNUC_UNUSED gpointer source, gpointer data,
                G_GNUC_UNUSED GCancellable *cancellable)
{
    struct work *work = data;
    guint8 hash[STATE_PASSWORD_BYTES];
    GError *error = NULL;
    if (!derive(work, hash)) {
        landfall_error_set(&error, LANDFALL_ERROR_INTERNAL, NULL, "scrypt failed");
        g_task_return_error(task, error);
        return;
    }
    if (work->compare)
        work->right = CRYPTO_memcmp(hash, work->hashed.hash, sizeof(hash)) == 0 && work->known;
    else
        memcpy(work->hashed.hash, hash, sizeof(hash));
    OPENSSL_cleanse(hash, sizeof(hash));
    g_task_return_boolean(task, TRUE);
}

static void start(struct work *work, const char *password, GAsyncReadyCallback callback,
                  gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, callback, data);
    work->password = g_strdup(password);
    g_task_set_task_data(task, work, (GDestroyNotify)work_free);
    g_atomic_int_inc(&at_once);
    g_task_run_in_thread(task, run);
}

static void set_parameters(struct state_password *hashed)
{
    hashed->n = SCRYPT_N;
    hashed->r = SCRYPT_R;
    hashed->p = SCRYPT_P;
}

void password_hash(const char *password, GAsyncReadyCallback callback, gpointer data)
{
    struct work *work = g_new0(struct work, 1);
    set_parameters(&work->hashed);
    if (RAND_bytes(work->hashed.salt, STATE_PASSWORD_BYTES) != 1)
        work->hashed.n = 0; /* which scrypt refuses */
    start(work, password, callback, data);
}

gboolean password_hash_finish(GAsyncResult *result, struct state_password *ret_password,
                              GError **error)
{
    const struct work *work = g_task_get_task_data(G_TASK(result));
    if (!g_task_propagate_boolean(G_TASK(result), error))
        return FALSE;
    *ret_password = work->hashed;
    return TRUE;
}

void password_verify(const char *password, const struct state_password *expected,
                     GAsyncReadyCallback callback, gpointer data)
{
    struct work *work = g_new0(struct work, 1);
    work->compare = TRUE;
    work->known = expected != NULL;
    if (expected)
        work->hashed = *expected;
    else
        set_parameters(&work->hashed);
    start(work, password, callback, data);
}

gboolean password_verify_finish(GAsyncResult *result, gboolean *ret_right, GError **error)
{
    const struct work *work = g_task_get_task_data(G_TASK(result));
    if (!g_task_propagate_boolean(G_TASK(result), error))
        return FALSE;
    *ret_right = work->right;
    return TRUE;
}
