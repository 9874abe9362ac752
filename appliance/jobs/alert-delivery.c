/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/alert-delivery.h"
#include "appliance/jobs/alerting.h"
#include "appliance/jobs/notify.h"
#include "appliance/state/settings.h"

#include <string.h>

#define TRIES_MAX 8
#define FIRST_RETRY_US (30 * G_USEC_PER_SEC)
/* One that a daemon took and did not live to tell is told after this. */
#define LEASE_US (10 * 60 * G_USEC_PER_SEC)
#define SLEEP_MAX_S 3600

struct alert_delivery {
    struct state *state;
    GCancellable *closing;
    struct state_alert *alert; /* is being told, or NULL */
    GHashTable *went;          /* told_key → NOTIFY_…, of those told in part */
    guint timer;
};

struct alert_delivery *alert_delivery_new(struct state *state, GCancellable *closing)
{
    struct alert_delivery *delivery = g_new0(struct alert_delivery, 1);
    delivery->state = state;
    delivery->closing = g_object_ref(closing);
    delivery->went = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return delivery;
}

void alert_delivery_free(struct alert_delivery *delivery)
{
    g_clear_handle_id(&delivery->timer, g_source_remove);
    state_alert_free(delivery->alert);
    g_hash_table_unref(delivery->went);
    g_object_unref(delivery->closing);
    g_free(delivery);
}

/* What is told of an alert, owned by the caller: each change of its state is something else. */
static char *told_key(const struct state_alert *alert)
{
    return g_strdup_printf("%s/%s/%s/%" G_GINT64_FORMAT, alert->kind, alert->object, alert->state,
                           alert->raised_us);
}

/* went: what need not go again, because the other did not. */
static struct notification *notification_new(const struct state_alert *alert, const char *webhook,
                                             const char *mail_to, unsigned went)
{
    struct notification *notification = g_new0(struct notification, 1);
    gboolean resolved = strcmp(alert->state, STATE_ALERT_RESOLVED) == 0;
    if (*webhook && !(went & NOTIFY_WEBHOOK))
        notification->webhook = g_strdup(webhook);
    if (*mail_to && !(went & NOTIFY_MAIL))
        notification->mail_to = g_strdup(mail_to);
    notification->subject =
        g_strdup_printf("[Landfall] %s%s", resolved ? "resolved: " : "", alert->message);
    notification->body = g_strdup_printf(
        "%s%s\n%s%s\n\n%s of %s, %s", resolved ? "resolved: " : "", alert->message,
        alert->hint && !resolved ? "\nwhat to do: " : "",
        alert->hint && !resolved ? alert->hint : "", alert->kind, alert->object, alert->severity);
    notification->json = alert_to_json(alert);
    return notification;
}

static void note_outcome(struct alert_delivery *delivery, const GError *failure)
{
    g_autoptr(GError) error = NULL;
    const struct state_alert *alert = delivery->alert;
    gint64 retry_us = 0;
    if (failure && alert->tries < TRIES_MAX)
        retry_us = state_now_us() + (FIRST_RETRY_US << (alert->tries - 1));
    if (!retry_us) {
        g_autofree char *key = told_key(alert);
        g_hash_table_remove(delivery->went, key);
    }
    if (failure)
        g_warning("alert %s of %s could not be told (try %d of %d): %s", alert->kind, alert->object,
                  (int)alert->tries, TRIES_MAX, failure->message);
    if (!state_alert_told(delivery->state, alert, failure ? failure->message : NULL, retry_us,
                          &error))
        g_critical("cannot note that an alert was told: %s", error->message);
    g_clear_pointer(&delivery->alert, state_alert_free);
}

static void on_notified(GObject *source, GAsyncResult *result, gpointer data)
{
    struct alert_delivery *delivery = data;
    g_autoptr(GError) failure = NULL;
    unsigned went = 0;
    (void)source;
    notify_finish(result, &went, &failure);
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return; /* the delivery has gone */
    char *key = told_key(delivery->alert);
    went |= GPOINTER_TO_UINT(g_hash_table_lookup(delivery->went, key));
    g_hash_table_replace(delivery->went, key, GUINT_TO_POINTER(went));
    note_outcome(delivery, failure);
    alert_delivery_go(delivery);
}

static gboolean on_timer(gpointer data)
{
    struct alert_delivery *delivery = data;
    delivery->timer = 0;
    alert_delivery_go(delivery);
    return G_SOURCE_REMOVE;
}

static void tell(struct alert_delivery *delivery)
{
    g_autofree char *webhook = NULL, *mail_to = NULL;
    g_autoptr(GError) error = NULL;
    if (!state_setting_text(delivery->state, "alert_webhook", &webhook, &error) ||
        !state_setting_text(delivery->state, "alert_mail_to", &mail_to, &error)) {
        note_outcome(delivery, error);
        return;
    }
    g_autofree char *key = told_key(delivery->alert);
    unsigned went = GPOINTER_TO_UINT(g_hash_table_lookup(delivery->went, key));
    struct notification *notification = notification_new(delivery->alert, webhook, mail_to, went);
    if (notification->webhook || notification->mail_to) {
        notify_async(notification, delivery->closing, on_notified, delivery);
        return;
    }
    notification_free(notification);
    note_outcome(delivery, NULL);
}

void alert_delivery_go(struct alert_delivery *delivery)
{
    g_clear_handle_id(&delivery->timer, g_source_remove);
    while (!delivery->alert) {
        g_autoptr(GError) error = NULL;
        gint64 next_us = G_MAXINT64, now_us = state_now_us();
        delivery->alert =
            state_alert_take_pending(delivery->state, now_us, now_us + LEASE_US, &next_us, &error);
        if (delivery->alert) {
            tell(delivery);
            continue;
        }
        if (error)
            g_critical("cannot read what is to be told: %s", error->message);
        if (next_us == G_MAXINT64) /* nothing waits, also of what was raised and resolved since */
            g_hash_table_remove_all(delivery->went);
        else
            delivery->timer = g_timeout_add_seconds(
                (guint)CLAMP((next_us - now_us) / G_USEC_PER_SEC + 1, 1, SLEEP_MAX_S), on_timer,
                delivery);
        return;
    }
}
