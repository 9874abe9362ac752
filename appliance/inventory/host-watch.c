/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/host-watch.h"
#include "appliance/inventory/credentials.h"
#include "appliance/inventory/facts.h"
#include "appliance/inventory/session.h"
#include "appliance/state/hosts.h"
#include "base/error.h"
#include "base/json.h"

/* Threads that hang in a call, at most. Then nothing is tried until one of them comes back. */
#define HUNG_MAX 4
#define RETRY_FIRST_US G_USEC_PER_SEC

/* How long somebody who wants to know now waits for a host that does not answer. */
#define LOOK_S 5

enum watch_state { WATCH_LOST, WATCH_CONNECTING, WATCH_CONNECTED };

struct host_watch {
    const struct watch_settings *settings;
    char *host;
    struct machine_records *records;
    struct lane_hung *hung;

    enum watch_state state;
    struct lane *lane;   /* or NULL: lost */
    struct lane *guests; /* or NULL */
    gboolean renewing;   /* another lane of guests has been asked for */
    gboolean passing;
    gint64 next_us; /* lost: the next try; connected: the next pass */
    gint64 backoff_us;
    GPtrArray *looks; /* struct look: what somebody waits for */

    /* As the state has it. */
    char *status;
    char *detail;
    JsonObject *facts; /* or NULL */
};

struct look {
    char *uuid; /* or NULL: the host is enough */
    host_looked looked;
    gpointer data;
    gint64 until_us;
};

/* --- what is known of the host -------------------------------------------------------------------
 */

static void publish(struct host_watch *watch, const char *hint)
{
    g_autoptr(JsonObject) event = json_object_new();
    json_object_set_string_member(event, "host", watch->host);
    json_object_set_string_member(event, "status", watch->status);
    if (watch->detail)
        json_object_set_string_member(event, "detail", watch->detail);
    if (hint)
        json_object_set_string_member(event, "hint", hint);
    event_hub_publish(watch->settings->hub, "host", event);
}

static void note(struct host_watch *watch, const char *status, const GError *cause,
                 JsonObject *facts)
{
    g_autofree char *lasting = facts_lasting_text(facts);
    g_autofree char *known_lasting = facts_lasting_text(watch->facts);
    const char *detail = cause ? cause->message : NULL, *hint = landfall_error_hint(cause);
    gboolean known = g_strcmp0(watch->status, status) == 0 &&
                     g_strcmp0(watch->detail, detail) == 0 &&
                     (!facts || g_strcmp0(lasting, known_lasting) == 0);
    const struct state_host found = {
        .name = watch->host,
        .status = (char *)status,
        .status_detail = (char *)detail,
        .hint = (char *)hint,
        .seen_us = cause ? 0 : state_now_us(),
        .facts = facts,
    };
    g_autoptr(GError) error = NULL;
    if (!(known && cause) && !state_host_found(watch->settings->state, &found, &error))
        g_warning("host %s: %s", watch->host, error->message);
    if (facts && facts != watch->facts) {
        g_clear_pointer(&watch->facts, json_object_unref);
        watch->facts = json_object_ref(facts);
    }
    if (known)
        return;
    g_free(watch->status);
    g_free(watch->detail);
    watch->status = g_strdup(status);
    watch->detail = g_strdup(detail);
    publish(watch, hint);
}

/* --- what somebody waits for ---------------------------------------------------------------------
 */

static void look_free(gpointer data)
{
    struct look *look = data;
    g_free(look->uuid);
    g_free(look);
}

/* Who is told only takes note of it. */
static void answer_look(struct host_watch *watch, guint index)
{
    struct look *look = g_ptr_array_steal_index(watch->looks, index);
    look->looked(look->data);
    look_free(look);
}

static void answer_looks(struct host_watch *watch, const char *uuid)
{
    for (guint i = watch->looks->len; i-- > 0;)
        if (g_strcmp0(((struct look *)watch->looks->pdata[i])->uuid, uuid) == 0)
            answer_look(watch, i);
}

/* Those who have waited long enough take what is known. */
static void end_looks(struct host_watch *watch, gint64 now_us)
{
    for (guint i = watch->looks->len; i-- > 0;)
        if (((struct look *)watch->looks->pdata[i])->until_us <= now_us)
            answer_look(watch, i);
}

/* --- lost and found ------------------------------------------------------------------------------
 */

static void let_go(struct host_watch *watch)
{
    lane_abandon(g_steal_pointer(&watch->guests));
    lane_abandon(g_steal_pointer(&watch->lane));
    watch->passing = FALSE;
    watch->renewing = FALSE;
    watch->state = WATCH_LOST;
}

static void set_lost(struct host_watch *watch, const GError *cause)
{
    gint64 longest_us = (gint64)watch->settings->interval_s * G_USEC_PER_SEC;
    let_go(watch);
    watch->next_us = g_get_monotonic_time();
    if (watch->looks->len == 0) {
        watch->next_us += watch->backoff_us;
        watch->backoff_us = MIN(watch->backoff_us * 2, MAX(longest_us, RETRY_FIRST_US));
    }
    note(watch, "lost", cause, NULL);
}

static void begin_pass(struct host_watch *watch)
{
    session_pass(watch->lane);
    watch->passing = TRUE;
}

static void on_connected(gpointer receiver, gpointer result)
{
    struct host_watch *watch = receiver;
    watch->state = WATCH_CONNECTED;
    note(watch, "connected", NULL, result);
    begin_pass(watch);
    for (guint i = 0; i < watch->looks->len; i++)
        session_look(watch->lane, ((struct look *)watch->looks->pdata[i])->uuid);
}

static void on_guests(gpointer receiver, gpointer result)
{
    struct host_watch *watch = receiver;
    struct session_guests *guests = result;
    watch->renewing = FALSE;
    if (!watch->guests)
        watch->guests = g_steal_pointer(&guests->lane);
}

static void on_lost(gpointer receiver, gpointer result)
{
    set_lost(receiver, result);
}

static void on_listed(gpointer receiver, gpointer result)
{
    struct host_watch *watch = receiver;
    machine_records_listed(watch->records, result);
}

static void on_machine(gpointer receiver, gpointer result)
{
    struct host_watch *watch = receiver;
    const struct session_machine *machine = result;
    machine_records_found(watch->records, machine, json_find_object(watch->facts, "replication"));
    if (watch->guests && machine_records_wants_sizes(watch->records, machine->uuid))
        guest_lane_ask_sizes(watch->guests, machine->uuid);
    if (watch->guests && machine_records_wants_agent(watch->records, machine->uuid))
        guest_lane_ask_agent(watch->guests, machine->uuid);
}

static void on_gone(gpointer receiver, gpointer result)
{
    struct host_watch *watch = receiver;
    machine_records_gone(watch->records, result);
}

static void on_looked(gpointer receiver, gpointer result)
{
    answer_looks(receiver, result);
}

static void on_passed(gpointer receiver, gpointer result)
{
    struct host_watch *watch = receiver;
    (void)result;
    watch->passing = FALSE;
    watch->backoff_us = RETRY_FIRST_US;
    watch->next_us = g_get_monotonic_time() + (gint64)watch->settings->interval_s * G_USEC_PER_SEC;
    note(watch, "connected", NULL, watch->facts);
}

static void on_sizes(gpointer receiver, gpointer result)
{
    struct host_watch *watch = receiver;
    machine_records_sizes(watch->records, result);
}

static void on_agent(gpointer receiver, gpointer result)
{
    struct host_watch *watch = receiver;
    machine_records_agent(watch->records, result);
}

static const struct session_receivers receivers = {
    .connected = on_connected,
    .guests = on_guests,
    .lost = on_lost,
    .listed = on_listed,
    .machine = on_machine,
    .gone = on_gone,
    .passed = on_passed,
    .looked = on_looked,
    .of_guests = {.sizes = on_sizes, .agent = on_agent},
};

static void connect_now(struct host_watch *watch)
{
    const struct watch_settings *settings = watch->settings;
    g_autoptr(GError) error = NULL;
    struct credentials *credentials =
        credentials_load(settings->state, settings->runtime_dir, watch->host, &error);
    if (!credentials) {
        set_lost(watch, error);
        return;
    }
    const struct session_settings session = {
        .uri = credentials->uri,
        .user = credentials->user,
        .password = credentials->password ? g_bytes_get_data(credentials->password, NULL) : NULL,
        .deadline_ms = settings->deadline_s * 1000,
        .guest_deadline_ms = settings->guest_deadline_s * 1000,
        .receivers = &receivers,
    };
    watch->lane = session_open(&session, watch->hung, watch);
    watch->state = WATCH_CONNECTING;
    credentials_free(credentials);
}

/* --- once a second -------------------------------------------------------------------------------
 */

/* The host does not answer: its lane is left behind. */
static void check_host(struct host_watch *watch)
{
    g_autofree char *what = NULL, *argument = NULL;
    if (!watch->lane || !lane_overdue(watch->lane, &what, &argument))
        return;
    g_autoptr(GError) error = NULL;
    landfall_error_set(&error, LANDFALL_ERROR_SOURCE,
                       "see whether libvirtd on the host, or the network to it, hangs: `virsh -c "
                       "URI list` would hang, too",
                       "the host does not answer: no answer in %u s to: %s",
                       watch->settings->deadline_s, what);
    set_lost(watch, error);
}

/* A guest, its QEMU or its storage does not answer: that is no fault of the host. */
static void check_guests(struct host_watch *watch)
{
    g_autofree char *what = NULL, *uuid = NULL;
    if (!watch->guests || !lane_overdue(watch->guests, &what, &uuid))
        return;
    lane_abandon(g_steal_pointer(&watch->guests));
    machine_records_unresponsive(watch->records, uuid, what, watch->settings->guest_deadline_s);
}

void host_watch_tick(struct host_watch *watch)
{
    gint64 now_us = g_get_monotonic_time();
    check_host(watch);
    check_guests(watch);
    end_looks(watch, now_us);
    gboolean may_open = lane_hung_count(watch->hung) < HUNG_MAX;
    if (watch->state == WATCH_LOST && now_us >= watch->next_us && may_open)
        connect_now(watch);
    if (watch->state != WATCH_CONNECTED)
        return;
    if (!watch->guests && !watch->renewing && may_open) {
        watch->renewing = TRUE;
        session_renew_guests(watch->lane);
    }
    if (watch->guests)
        machine_records_ask_again(watch->records, watch->guests);
    if (!watch->passing && now_us >= watch->next_us)
        begin_pass(watch);
}

/* --- from outside --------------------------------------------------------------------------------
 */

struct host_watch *host_watch_new(const struct watch_settings *settings, const char *host,
                                  GError **error)
{
    struct state_host *known = state_host_get(settings->state, host, error);
    struct machine_records *records =
        known ? machine_records_new(settings->state, settings->hub, host, settings->taken,
                                    settings->taken_data, error)
              : NULL;
    if (!records) {
        state_host_free(known);
        return NULL;
    }
    struct host_watch *watch = g_new0(struct host_watch, 1);
    watch->settings = settings;
    watch->host = g_strdup(host);
    watch->records = records;
    watch->hung = lane_hung_new();
    watch->looks = g_ptr_array_new_with_free_func(look_free);
    watch->backoff_us = RETRY_FIRST_US;
    watch->status = g_strdup(known->status);
    watch->detail = g_strdup(known->status_detail);
    watch->facts = known->facts ? json_object_ref(known->facts) : NULL;
    state_host_free(known);
    connect_now(watch);
    return watch;
}

void host_watch_free(struct host_watch *watch, gint64 until_us)
{
    if (!watch)
        return;
    lane_finish(watch->guests, until_us);
    lane_finish(watch->lane, until_us);
    end_looks(watch, G_MAXINT64);
    g_ptr_array_unref(watch->looks);
    credentials_forget(watch->settings->runtime_dir, watch->host);
    machine_records_free(watch->records);
    lane_hung_unref(watch->hung);
    g_clear_pointer(&watch->facts, json_object_unref);
    g_free(watch->status);
    g_free(watch->detail);
    g_free(watch->host);
    g_free(watch);
}

void host_watch_refresh(struct host_watch *watch)
{
    watch->next_us = 0;
    if (watch->state == WATCH_CONNECTED)
        begin_pass(watch);
    else
        host_watch_tick(watch);
}

void host_watch_look(struct host_watch *watch, const char *uuid, host_looked looked, gpointer data)
{
    struct look *look = g_new0(struct look, 1);
    look->uuid = g_strdup(uuid);
    look->looked = looked;
    look->data = data;
    look->until_us = g_get_monotonic_time() + LOOK_S * G_USEC_PER_SEC;
    g_ptr_array_add(watch->looks, look);
    if (watch->state == WATCH_CONNECTED)
        session_look(watch->lane, uuid);
    else if (watch->state == WATCH_LOST && lane_hung_count(watch->hung) < HUNG_MAX)
        connect_now(watch);
}

void host_watch_look_away(struct host_watch *watch, gconstpointer data)
{
    for (guint i = watch->looks->len; i-- > 0;)
        if (((struct look *)watch->looks->pdata[i])->data == data)
            g_ptr_array_remove_index(watch->looks, i);
}

void host_watch_forget(struct host_watch *watch, const char *uuid)
{
    machine_records_forget(watch->records, uuid);
}

void host_watch_reconnect(struct host_watch *watch)
{
    let_go(watch);
    watch->backoff_us = RETRY_FIRST_US;
    connect_now(watch);
}
