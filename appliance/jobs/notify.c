/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/notify.h"
#include "base/error.h"
#include "base/json.h"

#include <curl/curl.h>
#include <string.h>

#define TIMEOUT_S 20L
#define SENDMAIL "sendmail"
#define SENDMAIL_USUAL "/usr/sbin/sendmail"
#define MAIL_TIMEOUT_S 60u

/* Kept with the objects they are about. */
#define WEBHOOK_ERROR "webhook-error"
#define DEADLINE "deadline"

void notification_free(struct notification *notification)
{
    if (!notification)
        return;
    g_free(notification->webhook);
    g_free(notification->mail_to);
    g_free(notification->subject);
    g_free(notification->body);
    g_clear_pointer(&notification->json, json_object_unref);
    g_free(notification);
}

/* --- webhook -------------------------------------------------------------------------------------
 */

static size_t ignore_answer(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

/* Certificates and names are checked, as is libcurl's default; redirections are not followed, and
 * nothing but HTTP is spoken. */
static CURLcode post(CURL *curl, const char *url, const char *text, long *ret_status)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "landfalld/" LANDFALL_VERSION);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_answer);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_slist_free_all(headers);
    return code;
}

static gboolean call_webhook(const struct notification *notification, GError **error)
{
    g_autofree char *text = json_object_to_text(notification->json, FALSE);
    long status = 0;
    CURL *curl = curl_easy_init();
    CURLcode code = curl ? post(curl, notification->webhook, text, &status) : CURLE_FAILED_INIT;
    curl_easy_cleanup(curl);
    if (code == CURLE_OK && status >= 200 && status < 300)
        return TRUE;
    if (code != CURLE_OK)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, "look at the setting alert_webhook",
                           "the webhook cannot be called: %s", curl_easy_strerror(code));
    else
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, "look at the setting alert_webhook",
                           "the webhook answered with status %ld", status);
    return FALSE;
}

/* --- mail ----------------------------------------------------------------------------------------
 */

/* Text in a header stays on its line, whatever it is. */
static char *header_text(const char *text)
{
    return g_strdelimit(g_strdup(text), "\r\n", ' ');
}

static gboolean judge_mail(GSubprocess *process, GError **error)
{
    if (g_subprocess_get_successful(process))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE, "look at the log of the mail system",
                       SENDMAIL " did not take the mail");
    return FALSE;
}

static gboolean on_mail_late(gpointer cancellable)
{
    g_cancellable_cancel(cancellable);
    return G_SOURCE_REMOVE;
}

/* What the webhook said counts before what the mail system says. */
static void return_result(GTask *task, GError *mail_error)
{
    GError *webhook_error = g_object_steal_data(G_OBJECT(task), WEBHOOK_ERROR);
    if (webhook_error)
        g_clear_error(&mail_error);
    GError *error = webhook_error ? webhook_error : mail_error;
    if (error)
        g_task_return_error(task, error);
    else
        g_task_return_boolean(task, TRUE);
    g_object_unref(task);
}

static void on_mail_done(GObject *source, GAsyncResult *result, gpointer task)
{
    GSubprocess *process = G_SUBPROCESS(source);
    GError *error = NULL;
    gboolean talked = g_subprocess_communicate_finish(process, result, NULL, NULL, &error);
    guint deadline = GPOINTER_TO_UINT(g_object_get_data(source, DEADLINE));
    /* It has gone off when that is why there was no talk. */
    if (!talked)
        g_subprocess_force_exit(process);
    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        g_source_remove(deadline);
    if (talked && judge_mail(process, &error))
        ((struct notification *)g_task_get_task_data(task))->went |= NOTIFY_MAIL;
    return_result(task, error);
}

/* From the main thread: sendmail gets its recipients from the header, none from the command line.
 */
static void send_mail(GTask *task)
{
    const struct notification *notification = g_task_get_task_data(task);
    g_autofree char *found = g_find_program_in_path(SENDMAIL);
    g_autofree char *to = header_text(notification->mail_to);
    g_autofree char *subject = header_text(notification->subject);
    g_autofree char *text =
        g_strdup_printf("To: %s\nSubject: %s\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
                        "Content-Type: text/plain; charset=UTF-8\n\n%s\n",
                        to, subject, notification->body);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) process =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
                             G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                         &error, found ? found : SENDMAIL_USUAL, "-t", "-i", NULL);
    if (!process) {
        GError *failure = NULL;
        landfall_error_set(&failure, LANDFALL_ERROR_CONFIG, "install a mail system",
                           "cannot start " SENDMAIL ": %s", error->message);
        return_result(task, failure);
        return;
    }
    g_autoptr(GBytes) input = g_bytes_new(text, strlen(text));
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    guint deadline = g_timeout_add_seconds_full(G_PRIORITY_DEFAULT, MAIL_TIMEOUT_S, on_mail_late,
                                                g_object_ref(cancellable), g_object_unref);
    g_object_set_data(G_OBJECT(process), DEADLINE, GUINT_TO_POINTER(deadline));
    g_subprocess_communicate_async(process, input, cancellable, on_mail_done, task);
}

/* --- both ----------------------------------------------------------------------------------------
 */

static void webhook_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    GError *error = NULL;
    (void)source;
    (void)cancellable;
    if (call_webhook(data, &error))
        g_task_return_boolean(task, TRUE);
    else
        g_task_return_error(task, error);
}

static void on_webhook_done(GObject *source, GAsyncResult *result, gpointer data)
{
    GTask *task = data;
    GError *error = NULL;
    struct notification *notification = g_task_get_task_data(task);
    (void)source;
    if (g_task_propagate_boolean(G_TASK(result), &error))
        notification->went |= NOTIFY_WEBHOOK;
    else
        g_object_set_data_full(G_OBJECT(task), WEBHOOK_ERROR, error, (GDestroyNotify)g_error_free);
    if (notification->mail_to)
        send_mail(task);
    else
        return_result(task, NULL);
}

void notify_async(struct notification *notification, GCancellable *cancellable,
                  GAsyncReadyCallback callback, gpointer data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, data);
    g_task_set_task_data(task, notification, (GDestroyNotify)notification_free);
    if (!notification->webhook) {
        send_mail(task);
        return;
    }
    g_autoptr(GTask) call = g_task_new(NULL, NULL, on_webhook_done, task);
    g_task_set_task_data(call, notification, NULL);
    g_task_run_in_thread(call, webhook_thread);
}

gboolean notify_finish(GAsyncResult *result, unsigned *ret_went, GError **error)
{
    const struct notification *notification = g_task_get_task_data(G_TASK(result));
    *ret_went = notification->went;
    return g_task_propagate_boolean(G_TASK(result), error);
}
