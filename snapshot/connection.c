/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that do not hang: with a libvirtd that stands still, or a network that swallows
 * packets, every call of libvirt's would wait for ever. Keepalive messages end a connection whose
 * other side says nothing, which needs libvirt's event loop in a thread; while a connection is
 * being made there are none yet, so that is done in a thread that can be left behind. */
#include "snapshot/snapshot-private.h"

#include <string.h>

/* The other side is given up after (KEEPALIVE_COUNT + 1) * KEEPALIVE_INTERVAL_S of silence. */
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 4
#define OPEN_DEADLINE_S 20

/* libvirt prints errors to standard error unless told otherwise; rooms never print. */
static void keep_quiet(void *data, virErrorPtr error)
{
    (void)data;
    (void)error;
}

void snapshot_connection_prepare(void)
{
    static gsize once;
    if (!g_once_init_enter(&once))
        return;
    virInitialize();
    virSetErrorFunc(NULL, keep_quiet);
    snapshot_event_loop_start();
    g_once_init_leave(&once, 1);
}

/* The answers to what a host asks; libvirt frees them. */
static int answer(virConnectCredentialPtr questions, unsigned count, void *data)
{
    const struct snapshot_login *login = data;
    for (unsigned i = 0; i < count; i++) {
        gboolean secret =
            questions[i].type == VIR_CRED_PASSPHRASE || questions[i].type == VIR_CRED_NOECHOPROMPT;
        const char *text = secret ? login->password : login->user;
        if (!text)
            text = questions[i].defresult;
        if (!text)
            return -1;
        questions[i].result = g_strdup(text);
        questions[i].resultlen = (unsigned)strlen(text);
    }
    return 0;
}

virConnectPtr snapshot_connection_make(const char *uri, const struct snapshot_login *login,
                                       GError **error)
{
    int kinds[] = {VIR_CRED_AUTHNAME, VIR_CRED_PASSPHRASE, VIR_CRED_ECHOPROMPT,
                   VIR_CRED_NOECHOPROMPT};
    virConnectAuth auth = {kinds, G_N_ELEMENTS(kinds), answer, (void *)login};
    virConnectPtr connection = virConnectOpenAuth(uri, login ? &auth : NULL, 0);
    if (connection) {
        /* A libvirtd too old for it, or a connection within the process, does without. */
        virConnectSetKeepAlive(connection, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT);
        return connection;
    }
    /* A URI libvirt cannot use is the operator's to mend; anything else may pass. */
    int code = virGetLastErrorCode();
    gboolean wrong = code == VIR_ERR_INVALID_ARG || code == VIR_ERR_NO_CONNECT;
    snapshot_libvirt_error_set(error, wrong ? LANDFALL_ERROR_CONFIG : LANDFALL_ERROR_SOURCE,
                               "check that `virsh -c URI list` works for the same user: libvirtd "
                               "runs there, and the user may use it",
                               "cannot connect to host %s", uri ? uri : "(libvirt's default)");
    return NULL;
}

/* A connection being made: the thread that makes it may outlive whoever waits for it. */
struct opening {
    gint references; /* atomic */
    char *uri;       /* or NULL */

    GMutex lock;
    GCond changed;
    /* Under lock. */
    gboolean done;
    gboolean abandoned; /* nobody waits any more */
    virConnectPtr connection;
    GError *error;
};

static void opening_unref(struct opening *opening)
{
    if (!g_atomic_int_dec_and_test(&opening->references))
        return;
    g_clear_error(&opening->error);
    g_mutex_clear(&opening->lock);
    g_cond_clear(&opening->changed);
    g_free(opening->uri);
    g_free(opening);
}

static gpointer opening_main(gpointer data)
{
    struct opening *opening = data;
    GError *error = NULL;
    virConnectPtr connection = snapshot_connection_make(opening->uri, NULL, &error);
    g_mutex_lock(&opening->lock);
    gboolean abandoned = opening->abandoned;
    opening->done = TRUE;
    opening->connection = connection;
    opening->error = error;
    g_cond_signal(&opening->changed);
    g_mutex_unlock(&opening->lock);
    if (abandoned && connection)
        virConnectClose(connection);
    opening_unref(opening);
    return NULL;
}

/* TRUE when the thread has come to an end in time; what it made is the caller's. */
static gboolean opening_wait(struct opening *opening, virConnectPtr *ret_connection, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + OPEN_DEADLINE_S * G_USEC_PER_SEC;
    g_mutex_lock(&opening->lock);
    while (!opening->done && g_cond_wait_until(&opening->changed, &opening->lock, deadline_us))
        ;
    gboolean done = opening->done;
    opening->abandoned = !done;
    if (done) {
        *ret_connection = opening->connection;
        if (opening->error)
            g_propagate_error(error, g_steal_pointer(&opening->error));
    }
    g_mutex_unlock(&opening->lock);
    return done;
}

virConnectPtr snapshot_connection_open(const char *uri, gboolean *ret_silent, GError **error)
{
    struct opening *opening = g_new0(struct opening, 1);
    opening->references = 2;
    opening->uri = g_strdup(uri);
    g_mutex_init(&opening->lock);
    g_cond_init(&opening->changed);
    g_thread_unref(g_thread_new("libvirt-open", opening_main, opening));

    virConnectPtr connection = NULL;
    *ret_silent = !opening_wait(opening, &connection, error);
    opening_unref(opening);
    if (*ret_silent)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                           "see whether libvirtd on the host, or the network to it, hangs: "
                           "`virsh -c URI list` would hang, too",
                           "host %s does not answer: no connection in %d s",
                           uri ? uri : "(libvirt's default)", OPEN_DEADLINE_S);
    return connection;
}
