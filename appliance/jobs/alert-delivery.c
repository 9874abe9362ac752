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
    guint timer;
};

struct alert_delivery *alert_delivery_new(struct state *state, GCancellable *closing)
{
    struct alert_delivery *delivery = g_new0(struct alert_delivery, 1);
    delivery->state = state;
    delivery->closing = g_object_ref(closing);
    return delivery;
}

void alert_delivery_free(struct alert_delivery *delivery)
{
    g_clear_handle_id(&delivery->timer, g_source_remove);
    state_alert_free(delivery->alert);
    g_object_unref(delivery->closing);
    g_free(delivery);
}

static struct notification *notification_new(const struct state_alert *alert, const char *webhook,
                                             const char *mail_to)
{
    struct notification *notification = g_new0(struct notification, 1);
    gboolean resolved = strcmp(alert->state, STATE_ALERT_RESOLVED) == 0;
    notification->webhook = *webhook ? g_strdup(webhook) : NULL;
    /* A mail that has gone is not sent again because the webhook did not answer. */
    if (*mail_to && (!*webhook || alert->tries <= 1))
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
    (void)source;
    notify_finish(result, &failure);
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return; /* the delivery has gone */
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
    if (*webhook || *mail_to)
        notify_async(notification_new(delivery->alert, webhook, mail_to), delivery->closing,
                     on_notified, delivery);
    else
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
        if (next_us != G_MAXINT64)
            delivery->timer = g_timeout_add_seconds(
                (guint)CLAMP((next_us - now_us) / G_USEC_PER_SEC + 1, 1, SLEEP_MAX_S), on_timer,
                delivery);
        return;
    }
}
