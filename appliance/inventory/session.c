/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/session.h"
#include "appliance/inventory/session-machine.h"

#include <string.h>

struct session {
    /* Set by open, never changed. */
    char *uri;
    char *user;
    char *password;
    guint deadline_ms;
    guint guest_deadline_ms;
    const struct session_receivers *receivers;
    struct lane_hung *hung;
    gpointer receiver;

    virConnectPtr connection;
    gboolean local; /* its files can be seen from here */
    gboolean hears_close;
    struct lane *closing; /* a reference for the callback, or NULL */
    GArray *callbacks;    /* int: numbers of registered events */
};

/* --- events: in the thread of libvirt's event loop, so they just queue --------------------------
 */

static void job_machine(struct lane *lane, gpointer context, const char *uuid);

static void something_happened(virDomainPtr domain, gpointer lane)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString(domain, uuid) == 0)
        lane_push(lane, job_machine, uuid, TRUE);
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
                        void *lane)
{
    (void)connection, (void)event, (void)detail;
    something_happened(domain, lane);
    return 0;
}

static void on_device(virConnectPtr connection, virDomainPtr domain, const char *alias, void *lane)
{
    (void)connection, (void)alias;
    something_happened(domain, lane);
}

static void on_agent(virConnectPtr connection, virDomainPtr domain, int state, int reason,
                     void *lane)
{
    (void)connection, (void)state, (void)reason;
    something_happened(domain, lane);
}

static void on_metadata(virConnectPtr connection, virDomainPtr domain, int type, const char *uri,
                        void *lane)
{
    (void)connection, (void)type, (void)uri;
    something_happened(domain, lane);
}

static void job_closed(struct lane *lane, gpointer context, const char *reason)
{
    struct session *session = context;
    GError *error = NULL;
    landfall_error_set(&error, LANDFALL_ERROR_SOURCE,
                       "see whether libvirtd and the network to it are up; it is tried again", "%s",
                       reason);
    lane_post(lane, session->receivers->lost, error, (GDestroyNotify)g_error_free);
}

static void on_close(virConnectPtr connection, int reason, void *lane)
{
    static const char *const texts[] = {
        [VIR_CONNECT_CLOSE_REASON_ERROR] = "the connection to the host broke",
        [VIR_CONNECT_CLOSE_REASON_EOF] = "libvirtd on the host has ended, or closed the connection",
        [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirtd on the host does not answer any more",
        [VIR_CONNECT_CLOSE_REASON_CLIENT] = "the connection to the host was closed",
    };
    (void)connection;
    gboolean known = reason >= 0 && (gsize)reason < G_N_ELEMENTS(texts);
    lane_push(lane, job_closed, texts[known ? reason : VIR_CONNECT_CLOSE_REASON_ERROR], TRUE);
}

/* FALSE: this driver tells of no changes, or not of all; then it takes until the next pass. */
static gboolean listen_to(struct session *session, struct lane *lane)
{
    static const struct {
        int event;
        virConnectDomainEventGenericCallback callback;
    } events[] = {
        {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
        {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
        {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
        {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent)},
        {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(events); i++) {
        int number =
            virConnectDomainEventRegisterAny(session->connection, NULL, events[i].event,
                                             events[i].callback, lane_ref(lane), lane_unref);
        if (number >= 0)
            g_array_append_val(session->callbacks, number);
        else
            lane_unref(lane);
    }
    /* A driver that does not know of it takes the callback, and never frees what goes with it. */
    session->closing = lane_ref(lane);
    session->hears_close =
        virConnectRegisterCloseCallback(session->connection, on_close, lane, NULL) == 0;
    return session->callbacks->len == G_N_ELEMENTS(events);
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    g_free(secret);
}

static void session_free(gpointer data)
{
    struct session *session = data;
    for (guint i = 0; i < session->callbacks->len; i++)
        virConnectDomainEventDeregisterAny(session->connection,
                                           g_array_index(session->callbacks, int, i));
    if (session->hears_close)
        virConnectUnregisterCloseCallback(session->connection, on_close);
    if (session->connection)
        virConnectClose(session->connection);
    g_clear_pointer(&session->closing, lane_unref);
    g_array_unref(session->callbacks);
    lane_hung_unref(session->hung);
    g_free(session->uri);
    g_free(session->user);
    wipe(session->password);
    g_free(session);
}

/* --- jobs: in the lane's thread -----------------------------------------------------------------
 */

/* After a call that failed: TRUE when the host is to blame, and is given up. */
static gboolean is_lost(struct session *session, struct lane *lane, const char *doing)
{
    g_autoptr(GError) error = NULL;
    gboolean broken = virGetLastErrorCode() == VIR_ERR_RPC;
    snapshot_libvirt_error_set(&error, LANDFALL_ERROR_SOURCE,
                               "see whether libvirtd and the network to it are up; it is tried "
                               "again",
                               "cannot %s", doing);
    /* Asking resets the last error. */
    if (!broken && virConnectIsAlive(session->connection) != 0)
        return FALSE;
    lane_post(lane, session->receivers->lost, g_steal_pointer(&error),
              (GDestroyNotify)g_error_free);
    return TRUE;
}

static char *version_text(unsigned long version)
{
    return g_strdup_printf("%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
}

static void set_replication(JsonObject *facts, const GError *reason)
{
    JsonObject *replication = json_object_new();
    json_object_set_boolean_member(replication, "supported", !reason);
    if (reason)
        json_object_set_string_member(replication, "why", reason->message);
    if (landfall_error_hint(reason))
        json_object_set_string_member(replication, "hint", landfall_error_hint(reason));
    json_object_set_object_member(facts, "replication", replication);
}

static JsonObject *host_facts(virConnectPtr connection)
{
    JsonObject *facts = json_object_new();
    char *hostname = virConnectGetHostname(connection);
    const char *driver = virConnectGetType(connection);
    unsigned long version;
    virNodeInfo node;
    json_object_set_string_member(facts, "driver", driver ? driver : "unknown");
    if (hostname)
        json_object_set_string_member(facts, "hostname", hostname);
    free(hostname);
    if (virConnectGetLibVersion(connection, &version) == 0) {
        g_autofree char *text = version_text(version);
        json_object_set_string_member(facts, "libvirt_version", text);
    }
    if (virConnectGetVersion(connection, &version) == 0 && version > 0) {
        g_autofree char *text = version_text(version);
        json_object_set_string_member(facts, "hypervisor_version", text);
    }
    if (virNodeGetInfo(connection, &node) == 0) {
        json_object_set_string_member(facts, "architecture", node.model);
        json_object_set_int_member(facts, "cpus", node.cpus);
        json_object_set_int_member(facts, "memory_bytes", (gint64)node.memory * 1024);
    }
    return facts;
}

static void guests_free(gpointer data)
{
    struct session_guests *guests = data;
    lane_abandon(guests->lane);
    g_free(guests);
}

static void job_guests(struct lane *lane, gpointer context, const char *argument)
{
    struct session *session = context;
    struct session_guests *guests = g_new0(struct session_guests, 1);
    (void)argument;
    guests->lane =
        guest_lane_open(session->connection, session->local, session->guest_deadline_ms,
                        &session->receivers->of_guests, session->hung, session->receiver);
    lane_post(lane, session->receivers->guests, guests, guests_free);
}

static void job_connect(struct lane *lane, gpointer context, const char *argument)
{
    struct session *session = context;
    const struct snapshot_login login = {session->user, session->password};
    g_autoptr(GError) error = NULL;
    if (!lane_step(lane, "connect", session->deadline_ms))
        return;
    session->connection = snapshot_connection_make(session->uri, &login, &error);
    wipe(g_steal_pointer(&session->password));
    if (!session->connection) {
        lane_post(lane, session->receivers->lost, g_steal_pointer(&error),
                  (GDestroyNotify)g_error_free);
        return;
    }
    if (!lane_step(lane, "ask for events", session->deadline_ms))
        return;
    gboolean events = listen_to(session, lane);
    if (!lane_step(lane, "ask the host about itself", session->deadline_ms))
        return;
    JsonObject *facts = host_facts(session->connection);
    json_object_set_boolean_member(facts, "events", events);
    snapshot_host_check(session->connection, session->uri, &session->local, &error);
    set_replication(facts, error);
    lane_post(lane, session->receivers->connected, facts, (GDestroyNotify)json_object_unref);
    job_guests(lane, context, argument);
}

static void job_machine(struct lane *lane, gpointer context, const char *uuid)
{
    struct session *session = context;
    g_autofree char *doing = g_strdup_printf("read machine %s", uuid);
    if (!session->connection || !lane_step(lane, doing, session->deadline_ms))
        return;
    virDomainPtr domain = virDomainLookupByUUIDString(session->connection, uuid);
    struct session_machine *machine = domain ? session_machine_read(domain) : NULL;
    if (machine)
        lane_post(lane, session->receivers->machine, machine, session_machine_free);
    else if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
        lane_post(lane, session->receivers->gone, g_strdup(uuid), g_free);
    else
        is_lost(session, lane, doing);
    if (domain)
        virDomainFree(domain);
}

/* Where the connection turns out to be broken, the lane is abandoned before `looked` arrives. */
static void job_look(struct lane *lane, gpointer context, const char *uuid)
{
    struct session *session = context;
    unsigned long version;
    if (!session->connection || !lane_step(lane, "ask whether it is there", session->deadline_ms))
        return;
    if (virConnectGetLibVersion(session->connection, &version) < 0)
        is_lost(session, lane, "ask the host whether it is there");
    else if (uuid)
        job_machine(lane, context, uuid);
    lane_post(lane, session->receivers->looked, g_strdup(uuid), g_free);
}

static void job_passed(struct lane *lane, gpointer context, const char *argument)
{
    struct session *session = context;
    (void)argument;
    lane_post(lane, session->receivers->passed, NULL, NULL);
}

static void job_list(struct lane *lane, gpointer context, const char *argument)
{
    struct session *session = context;
    virDomainPtr *domains = NULL;
    (void)argument;
    if (!session->connection || !lane_step(lane, "list the machines", session->deadline_ms))
        return;
    int count = virConnectListAllDomains(session->connection, &domains, 0);
    if (count < 0) {
        if (!is_lost(session, lane, "list the machines"))
            lane_push(lane, job_passed, NULL, FALSE);
        return;
    }
    GPtrArray *uuids = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < count; i++) {
        char uuid[VIR_UUID_STRING_BUFLEN] = "";
        if (virDomainGetUUIDString(domains[i], uuid) == 0) {
            g_ptr_array_add(uuids, g_strdup(uuid));
            lane_push(lane, job_machine, uuid, FALSE);
        }
        virDomainFree(domains[i]);
    }
    free(domains);
    lane_push(lane, job_passed, NULL, FALSE);
    lane_post(lane, session->receivers->listed, uuids, (GDestroyNotify)g_ptr_array_unref);
}

/* --- from outside --------------------------------------------------------------------------------
 */

struct lane *session_open(const struct session_settings *settings, struct lane_hung *hung,
                          gpointer receiver)
{
    snapshot_connection_prepare();
    struct session *session = g_new0(struct session, 1);
    session->uri = g_strdup(settings->uri);
    session->user = g_strdup(settings->user);
    session->password = g_strdup(settings->password);
    session->deadline_ms = settings->deadline_ms;
    session->guest_deadline_ms = settings->guest_deadline_ms;
    session->receivers = settings->receivers;
    session->hung = lane_hung_ref(hung);
    session->receiver = receiver;
    session->callbacks = g_array_new(FALSE, FALSE, sizeof(int));
    struct lane *lane = lane_new("host", session, session_free, hung, receiver);
    lane_push(lane, job_connect, NULL, FALSE);
    return lane;
}

void session_pass(struct lane *lane)
{
    lane_push(lane, job_list, NULL, FALSE);
}

void session_look(struct lane *lane, const char *uuid)
{
    lane_push(lane, job_look, uuid, TRUE);
}

void session_renew_guests(struct lane *lane)
{
    lane_push(lane, job_guests, NULL, TRUE);
}
