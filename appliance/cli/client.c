/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/client.h"
#include "appliance/cli/event-stream.h"
#include "base/json.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define BASE_PATH "/api/v1"
#define ANSWER_BYTES_MAX (64u * 1024u * 1024u)
#define CONNECT_TIMEOUT_S 10L
#define CALL_TIMEOUT_S 60L
/* landfalld says something in a stream at least every quarter of a minute. */
#define SILENCE_US (60 * G_USEC_PER_SEC)

struct client {
    char *socket; /* NULL with a URL */
    char *base;   /* "https://host:8443/api/v1" */
    char *authorization;
    char *ca_file;
    char *pin;
};

/* One request on its way. */
struct exchange {
    CURL *handle;
    struct curl_slist *headers;
    GString *answer; /* of a stream: only when it is an error */
    char message[CURL_ERROR_SIZE];

    struct client *client;
    struct event_stream *events; /* of a stream */
    const struct client_observer *observer;
    gboolean opened;
    gboolean ended;  /* by the observer */
    gint64 heard_us; /* the latest bytes */
    gboolean silent; /* for too long */
    gboolean too_long;
};

/* --- options ------------------------------------------------------------------------------------
 */

static char *read_token(const char *file, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) cause = NULL;
    struct stat status;
    if (!g_file_get_contents(file, &text, NULL, &cause)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "landfall token add, on the daemon's host, makes a token",
                           "cannot read the token: %s", cause->message);
        return NULL;
    }
    if (stat(file, &status) == 0 && (status.st_mode & S_IROTH)) {
        g_autofree char *hint = g_strdup_printf("chmod 600 %s", file);
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint, "everybody may read the token in %s",
                           file);
        return NULL;
    }
    g_strstrip(text);
    if (*text == '\0' || strpbrk(text, "\r\n")) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "a token is one line of text",
                           "there is no token in %s", file);
        return NULL;
    }
    return g_strconcat("Authorization: Bearer ", text, NULL);
}

static gboolean take_url(struct client *client, const char *url, GError **error)
{
    const char *const hint = "it looks like https://replica.example:8443";
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
    if (!uri || !g_uri_get_host(uri) || *g_uri_get_host(uri) == '\0') {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint, "'%s' is no URL of a daemon", url);
        return FALSE;
    }
    if (strcmp(g_uri_get_scheme(uri), "https") != 0 || g_uri_get_userinfo(uri)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint,
                           "%s: a daemon is asked by https, with a token and no password", url);
        return FALSE;
    }
    g_autofree char *trimmed = g_strdup(url);
    while (g_str_has_suffix(trimmed, "/"))
        trimmed[strlen(trimmed) - 1] = '\0';
    client->base = g_strconcat(trimmed, BASE_PATH, NULL);
    return TRUE;
}

struct client *client_new(const struct client_options *options, GError **error)
{
    struct client *client = g_new0(struct client, 1);
    gboolean ok = TRUE;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (options->url) {
        client->ca_file = g_strdup(options->ca_file);
        client->pin = g_strdup(options->pin);
        ok = take_url(client, options->url, error);
        if (ok && options->token_file)
            ok = (client->authorization = read_token(options->token_file, error)) != NULL;
    } else {
        client->socket = g_strdup(options->socket);
        client->base = g_strdup("http://landfalld" BASE_PATH);
    }
    if (ok)
        return client;
    client_free(client);
    return NULL;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    g_free(client->socket);
    g_free(client->base);
    if (client->authorization)
        explicit_bzero(client->authorization, strlen(client->authorization));
    g_free(client->authorization);
    g_free(client->ca_file);
    g_free(client->pin);
    g_free(client);
    curl_global_cleanup();
}

/* --- what went wrong ----------------------------------------------------------------------------
 */

static void set_socket_error(const struct client *client, int errnum, GError **error)
{
    if (errnum == ENOENT || errnum == ECONNREFUSED)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                           "start it: systemctl start landfalld; --socket or LANDFALL_SOCKET names "
                           "another socket, --url a daemon elsewhere",
                           "landfalld is not running: %s %s", client->socket,
                           errnum == ENOENT ? "is not there" : "has nobody behind it");
    else if (errnum == EACCES || errnum == EPERM)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "run this as root or as the user of landfalld, or use --url and a token",
                           "you may not use %s", client->socket);
    else
        landfall_error_set_errno(error, LANDFALL_ERROR_SOURCE, errnum, NULL, "cannot connect to %s",
                                 client->socket);
}

static void set_tls_error(const struct client *client, CURLcode code, const char *message,
                          GError **error)
{
    if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "if the daemon has a new certificate, give its pin; if not, somebody is "
                           "in between",
                           "%s has another key than the one of --pin", client->base);
    else if (code == CURLE_SSL_CACERT_BADFILE)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "--ca-file takes certificates as PEM",
                           "%s", message);
    else
        landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                           "name who vouches for it by --ca-file, or its key by --pin: the log of "
                           "landfalld tells the pin when it starts",
                           "the certificate of %s is not trusted: %s", client->base, message);
}

static void set_transport_error(struct exchange *exchange, CURLcode code, GError **error)
{
    const struct client *client = exchange->client;
    const char *message = *exchange->message ? exchange->message : curl_easy_strerror(code);
    if (exchange->silent)
        message = "it has been silent for a minute";
    else if (code == CURLE_GOT_NOTHING && exchange->opened)
        message = "the daemon has closed it";
    const char *where = client->socket ? client->socket : client->base;
    long errnum = 0;
    curl_easy_getinfo(exchange->handle, CURLINFO_OS_ERRNO, &errnum);
    if (code == CURLE_COULDNT_CONNECT && client->socket)
        set_socket_error(client, (int)errnum, error);
    else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_PINNEDPUBKEYNOTMATCH ||
             code == CURLE_SSL_CACERT_BADFILE)
        set_tls_error(client, code, message, error);
    else if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                           "is landfalld running there, with --listen on that address?",
                           "cannot reach %s: %s", where, message);
    else if (code == CURLE_OPERATION_TIMEDOUT || exchange->silent)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, "look at the log of landfalld",
                           "landfalld at %s does not answer: %s", where, message);
    else if (exchange->too_long)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "%s sends more than landfalld would",
                           where);
    else
        landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                           "look whether landfalld still runs, and at its log",
                           "the connection to %s has ended: %s", where, message);
}

static const char *status_hint(const struct client *client, long status)
{
    if (status == 401 && client->socket)
        return "run this as root or as the user of landfalld";
    if (status == 401)
        return "landfall token add, on the daemon's host, makes a token; --token-file or "
               "LANDFALL_TOKEN_FILE names its file";
    return NULL;
}

/* Some of the API's codes are about HTTP, and name none of ours. */
static enum landfall_error_code code_of(const char *name, long status)
{
    enum landfall_error_code code = landfall_error_code_from_name(name);
    if (code != LANDFALL_ERROR_SOURCE || g_strcmp0(name, "source") == 0)
        return code;
    if (status == 429)
        return LANDFALL_ERROR_CONFLICT;
    return status >= 400 && status < 500 ? LANDFALL_ERROR_CONFIG : LANDFALL_ERROR_SOURCE;
}

/* The daemon's error: {"error": {code, message, hint}}. Anything else is not landfalld. */
static void set_answered_error(struct exchange *exchange, long status, GError **error)
{
    g_autoptr(JsonObject) answer = json_parse_object(exchange->answer->str, exchange->answer->len,
                                                     "the answer", LANDFALL_ERROR_SOURCE, NULL);
    JsonObject *told = json_find_object(answer, "error");
    const char *message = json_find_string(told, "message");
    const char *hint = json_find_string(told, "hint");
    if (!message) {
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, "is that landfalld?",
                           "%s answers with status %ld and without a word of explanation",
                           exchange->client->base, status);
        return;
    }
    /* The daemon's is for those who speak HTTP. */
    const char *own_hint = status_hint(exchange->client, status);
    landfall_error_set(error, code_of(json_find_string(told, "code"), status),
                       own_hint ? own_hint : hint, "%s", message);
}

/* --- requests -----------------------------------------------------------------------------------
 */

static gboolean keep(struct exchange *exchange, const char *bytes, gsize length)
{
    if (exchange->answer->len + length > ANSWER_BYTES_MAX) {
        exchange->too_long = TRUE;
        return FALSE;
    }
    g_string_append_len(exchange->answer, bytes, (gssize)length);
    return TRUE;
}

static gsize on_bytes(char *bytes, gsize size, gsize count, void *data)
{
    struct exchange *exchange = data;
    gsize length = size * count;
    if (!exchange->opened)
        return keep(exchange, bytes, length) ? length : 0;
    exchange->too_long = !event_stream_feed(exchange->events, bytes, length);
    exchange->heard_us = g_get_monotonic_time();
    return exchange->too_long || exchange->ended ? 0 : length;
}

static void set_security(const struct client *client, CURL *handle)
{
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, client->socket ? "http" : "https");
    if (client->socket) {
        curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, client->socket);
        curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
        return;
    }
    if (client->ca_file)
        curl_easy_setopt(handle, CURLOPT_CAINFO, client->ca_file);
    if (client->pin)
        curl_easy_setopt(handle, CURLOPT_PINNEDPUBLICKEY, client->pin);
    /* A pin alone is enough: who has that key is who was meant, whoever signed and under what name.
     */
    if (client->pin && !client->ca_file) {
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static gboolean exchange_begin(struct exchange *exchange, struct client *client, const char *path,
                               const char *accept, GError **error)
{
    exchange->client = client;
    exchange->handle = curl_easy_init();
    if (!exchange->handle) {
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "libcurl does not start");
        return FALSE;
    }
    g_autofree char *url = g_strconcat(client->base, path, NULL);
    exchange->answer = g_string_new(NULL);
    exchange->headers = curl_slist_append(NULL, accept);
    exchange->headers = curl_slist_append(exchange->headers, "Content-Type: application/json");
    if (client->authorization)
        exchange->headers = curl_slist_append(exchange->headers, client->authorization);
    curl_easy_setopt(exchange->handle, CURLOPT_URL, url);
    curl_easy_setopt(exchange->handle, CURLOPT_HTTPHEADER, exchange->headers);
    curl_easy_setopt(exchange->handle, CURLOPT_USERAGENT, "landfall/" LANDFALL_VERSION);
    curl_easy_setopt(exchange->handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(exchange->handle, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(exchange->handle, CURLOPT_ERRORBUFFER, exchange->message);
    curl_easy_setopt(exchange->handle, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(exchange->handle, CURLOPT_WRITEDATA, exchange);
    set_security(client, exchange->handle);
    return TRUE;
}

static void exchange_end(struct exchange *exchange)
{
    curl_easy_cleanup(exchange->handle);
    curl_slist_free_all(exchange->headers);
    if (exchange->answer)
        g_string_free(exchange->answer, TRUE);
    event_stream_free(exchange->events);
}

static void set_method(CURL *handle, const char *method, const char *body)
{
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
    if (strcmp(method, "GET") == 0)
        return;
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, body ? body : "");
}

/* One request; its answer's text is in the exchange. */
static gboolean perform(struct exchange *exchange, const char *method, const char *body,
                        GError **error)
{
    long status = 0;
    set_method(exchange->handle, method, body);
    CURLcode code = curl_easy_perform(exchange->handle);
    curl_easy_getinfo(exchange->handle, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        set_transport_error(exchange, code, error);
    else if (status < 200 || status >= 300)
        set_answered_error(exchange, status, error);
    return code == CURLE_OK && status >= 200 && status < 300;
}

JsonObject *client_call(struct client *client, const char *method, const char *path,
                        JsonObject *body, GError **error)
{
    struct exchange exchange = {0};
    JsonObject *answer = NULL;
    g_autofree char *text = body ? json_object_to_text(body, FALSE) : NULL;
    if (exchange_begin(&exchange, client, path, "Accept: application/json", error) &&
        perform(&exchange, method, text, error))
        answer = exchange.answer->len == 0
                     ? json_object_new()
                     : json_parse_object(exchange.answer->str, exchange.answer->len,
                                         "the answer of landfalld", LANDFALL_ERROR_SOURCE, error);
    exchange_end(&exchange);
    return answer;
}

GBytes *client_fetch(struct client *client, const char *path, GError **error)
{
    struct exchange exchange = {0};
    GBytes *bytes = NULL;
    if (exchange_begin(&exchange, client, path, "Accept: */*", error) &&
        perform(&exchange, "GET", NULL, error))
        bytes = g_string_free_to_bytes(g_steal_pointer(&exchange.answer));
    exchange_end(&exchange);
    return bytes;
}

/* --- streams ------------------------------------------------------------------------------------
 */

/* The empty line after the headers: from here on the daemon sends what happens. */
static gsize on_header(char *bytes, gsize size, gsize count, void *data)
{
    struct exchange *exchange = data;
    long status = 0;
    (void)bytes;
    curl_easy_getinfo(exchange->handle, CURLINFO_RESPONSE_CODE, &status);
    if (size * count == 2 && status == 200 && !exchange->opened) {
        exchange->opened = TRUE;
        exchange->ended = !exchange->observer->on_open(exchange->observer->data);
    }
    return exchange->ended ? 0 : size * count;
}

static void on_event(void *data, const char *id, const char *name, const char *text)
{
    struct exchange *exchange = data;
    (void)id;
    g_autoptr(JsonObject) event =
        json_parse_object(text, strlen(text), "an event", LANDFALL_ERROR_SOURCE, NULL);
    if (event && !exchange->ended)
        exchange->ended = !exchange->observer->on_event(exchange->observer->data, name, event);
}

static int on_tick(void *data, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
    struct exchange *exchange = data;
    (void)total, (void)now, (void)up_total, (void)up;
    if (!exchange->ended)
        exchange->ended = !exchange->observer->go_on(exchange->observer->data);
    exchange->silent = g_get_monotonic_time() - exchange->heard_us > SILENCE_US;
    return exchange->ended || exchange->silent ? 1 : 0;
}

/* libcurl's own limit is a speed, which the three bytes that tell of life do not reach. */
static void set_stream(struct exchange *exchange)
{
    exchange->heard_us = g_get_monotonic_time();
    curl_easy_setopt(exchange->handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(exchange->handle, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(exchange->handle, CURLOPT_XFERINFOFUNCTION, on_tick);
    curl_easy_setopt(exchange->handle, CURLOPT_XFERINFODATA, exchange);
    curl_easy_setopt(exchange->handle, CURLOPT_NOPROGRESS, 0L);
}

gboolean client_follow(struct client *client, const char *path,
                       const struct client_observer *observer, GError **error)
{
    struct exchange exchange = {.observer = observer};
    gboolean ok = FALSE;
    exchange.events = event_stream_new(on_event, &exchange);
    if (exchange_begin(&exchange, client, path, "Accept: text/event-stream", error)) {
        set_stream(&exchange);
        CURLcode code = curl_easy_perform(exchange.handle);
        long status = 0;
        curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
        ok = exchange.ended;
        if (!ok && code == CURLE_OK && !exchange.opened)
            set_answered_error(&exchange, status, error);
        else if (!ok)
            set_transport_error(&exchange, code ? code : CURLE_GOT_NOTHING, error);
    }
    exchange_end(&exchange);
    return ok;
}
