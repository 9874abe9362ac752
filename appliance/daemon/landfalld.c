/* SPDX-License-Identifier: Apache-2.0 */

/* landfalld: the daemon. It knows hosts, machines and stores, and lets cycles run by themselves.
 * This file is the wiring: options, folders, who gets which part, signals, the service manager.
 * Documented in landfalld(8). */

#include "appliance/api/api.h"
#include "appliance/api/certificate.h"
#include "appliance/daemon/log.h"
#include "appliance/events/event-hub.h"
#include "appliance/failover/failover.h"
#include "appliance/inventory/inventory.h"
#include "appliance/jobs/scheduler.h"
#include "appliance/state/settings.h"
#include "appliance/state/state.h"
#include "base/error.h"

#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#define EXIT_DONE 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define CREDENTIAL "landfall-key"

/* How long the end may take after jobs were cancelled: they thaw, clean up on hosts, let go. */
#define CANCEL_S 120

struct options {
    char *state_dir;
    char *runtime_dir;
    char *key_file;
    char *listen;
    char *log_level;
    gboolean version;
};

struct daemon {
    const struct options *options;
    GMainLoop *loop;
    struct state *state;
    struct event_hub *hub;
    struct api *api;
    struct inventory *inventory;
    struct scheduler *scheduler;
    struct failovers *failovers;
    gboolean ending;
};

static void options_clear(struct options *options)
{
    g_free(options->state_dir);
    g_free(options->runtime_dir);
    g_free(options->key_file);
    g_free(options->listen);
    g_free(options->log_level);
}

static gboolean parse_options(struct options *options, GStrv *arguments, GError **error)
{
    const GOptionEntry entries[] = {
        {"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->state_dir,
         "Folder of the database (/var/lib/landfall)", "DIR"},
        {"runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->runtime_dir,
         "Folder of the socket (/run/landfall)", "DIR"},
        {"key-file", 0, 0, G_OPTION_ARG_FILENAME, &options->key_file,
         "The key that seals secrets (STATE-DIR/key)", "FILE"},
        {"listen", 0, 0, G_OPTION_ARG_STRING, &options->listen,
         "Serve HTTPS there (127.0.0.1:8443), 0: not at all", "ADDRESS:PORT"},
        {"log-level", 0, 0, G_OPTION_ARG_STRING, &options->log_level,
         "error, warning, message, info or debug (message)", "LEVEL"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) wrong = NULL;
    if (!g_option_context_parse_strv(context, arguments, &wrong)) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "landfalld --help shows the options", "%s",
                           wrong->message);
        return FALSE;
    }
    if (g_strv_length(*arguments) <= 1)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "landfalld --help shows the options",
                       "unknown argument '%s'", (*arguments)[1]);
    return FALSE;
}

/* What was not given; of the key, what the service manager hands over comes first. */
static void fill_options(struct options *options)
{
    const char *credentials = g_getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *key = credentials ? g_build_filename(credentials, CREDENTIAL, NULL) : NULL;
    if (!options->state_dir)
        options->state_dir = g_strdup("/var/lib/landfall");
    if (!options->runtime_dir)
        options->runtime_dir = g_strdup("/run/landfall");
    if (!options->listen)
        options->listen = g_strdup("127.0.0.1:8443");
    if (!options->log_level)
        options->log_level = g_strdup("message");
    if (!options->key_file && key && g_file_test(key, G_FILE_TEST_EXISTS))
        options->key_file = g_steal_pointer(&key);
}

/* What this process knows is not for a core file, nor for a debugger of the same user. */
static void keep_memory_private(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    umask(077);
}

static gboolean make_runtime_folder(const char *folder, GError **error)
{
    if (mkdir(folder, 0750) == 0 || errno == EEXIST)
        return TRUE;
    landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno, "name another by --runtime-dir",
                             "cannot create the folder %s", folder);
    return FALSE;
}

/* --- the loop ------------------------------------------------------------------------------------
 */

static void on_drained(void *data)
{
    struct daemon *daemon = data;
    g_main_loop_quit(daemon->loop);
}

/* The service manager's own deadline does not know how long jobs may go on. */
static void say_stopping(const struct daemon *daemon)
{
    gint64 drain_s = 0;
    state_setting_int(daemon->state, "drain_s", &drain_s, NULL);
    sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" G_GINT64_FORMAT,
               (drain_s + CANCEL_S) * G_USEC_PER_SEC);
}

/* Jobs get the time to end; a second signal does not wait for them, and they end by themselves. */
static gboolean on_end_signal(gpointer data)
{
    struct daemon *daemon = data;
    if (daemon->ending) {
        g_main_loop_quit(daemon->loop);
        return G_SOURCE_CONTINUE;
    }
    daemon->ending = TRUE;
    say_stopping(daemon);
    failovers_drain(daemon->failovers);
    scheduler_drain(daemon->scheduler, on_drained, daemon);
    return G_SOURCE_CONTINUE;
}

/* From the loop and nowhere else: a loop that hangs is what the watchdog is for. */
static gboolean on_watchdog(gpointer data)
{
    (void)data;
    sd_notify(0, "WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

static void start_watchdog(void)
{
    uint64_t period_us;
    if (sd_watchdog_enabled(0, &period_us) > 0)
        g_timeout_add((guint)MAX(period_us / 3000, 1), on_watchdog, NULL);
}

static gboolean start_failovers(struct daemon *daemon, GError **error)
{
    daemon->failovers = failovers_new(daemon->state, daemon->hub, daemon->scheduler,
                                      daemon->inventory, daemon->options->state_dir, error);
    return daemon->failovers != NULL;
}

static gboolean daemon_start(struct daemon *daemon, GError **error)
{
    const struct options *options = daemon->options;
    if (!make_runtime_folder(options->runtime_dir, error))
        return FALSE;
    daemon->state = state_open(options->state_dir, options->key_file, error);
    if (!daemon->state)
        return FALSE;
    daemon->hub = event_hub_new();
    daemon->inventory = inventory_new(daemon->state, daemon->hub, options->runtime_dir, error);
    if (!daemon->inventory)
        return FALSE;
    daemon->scheduler = scheduler_new(daemon->state, daemon->hub, daemon->inventory, error);
    if (!daemon->scheduler || !start_failovers(daemon, error))
        return FALSE;
    g_message("landfalld %s, state in %s", LANDFALL_VERSION, options->state_dir);
    const struct api_options api = {.state = daemon->state,
                                    .hub = daemon->hub,
                                    .inventory = daemon->inventory,
                                    .scheduler = daemon->scheduler,
                                    .failovers = daemon->failovers,
                                    .state_dir = options->state_dir,
                                    .runtime_dir = options->runtime_dir,
                                    .listen = options->listen};
    daemon->api = api_new(&api, error);
    return daemon->api != NULL;
}

/* Where to go, and with what: for whoever looks at the output of the first start. */
static gboolean daemon_say(struct daemon *daemon, GError **error)
{
    const struct certificate *certificate = api_https_certificate(daemon->api);
    g_autofree char *code = NULL;
    if (!api_first_start(daemon->api, &code, error))
        return FALSE;
    if (certificate)
        printf("landfalld: https on %s\nlandfalld: certificate sha256 %s\n"
               "landfalld: public key %s\n",
               api_https_address(daemon->api), certificate->fingerprint, certificate->pin);
    if (code)
        printf("landfalld: set-up code %s\n", code);
    return TRUE;
}

static void daemon_run(struct daemon *daemon)
{
    g_unix_signal_add(SIGTERM, on_end_signal, daemon);
    g_unix_signal_add(SIGINT, on_end_signal, daemon);
    start_watchdog();
    printf("landfalld: ready\n");
    fflush(stdout);
    sd_notify(0, "READY=1");
    g_main_loop_run(daemon->loop);
}

static void daemon_clear(struct daemon *daemon)
{
    api_free(daemon->api);
    failovers_free(daemon->failovers);
    scheduler_free(daemon->scheduler);
    inventory_free(daemon->inventory);
    event_hub_free(daemon->hub);
    state_free(daemon->state);
    g_main_loop_unref(daemon->loop);
}

static int report(const GError *error)
{
    const char *hint = landfall_error_hint(error);
    fprintf(stderr, "landfalld: %s\n", error->message);
    if (hint)
        fprintf(stderr, "hint: %s\n", hint);
    sd_notifyf(0, "STATUS=%s", error->message);
    return g_error_matches(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG) ? EXIT_USAGE : EXIT_FAILED;
}

static int run(const struct options *options, GError **error)
{
    struct daemon daemon = {options, g_main_loop_new(NULL, FALSE)};
    gboolean ok = log_init(options->log_level, error) && daemon_start(&daemon, error) &&
                  daemon_say(&daemon, error);
    if (ok)
        daemon_run(&daemon);
    daemon_clear(&daemon);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    g_auto(GStrv) arguments = g_strdupv(argv);
    g_autoptr(GError) error = NULL;
    struct options options = {0};
    int status = EXIT_DONE;
    (void)argc;
    setlocale(LC_CTYPE, "");
    g_set_prgname("landfalld");
    keep_memory_private();
    signal(SIGPIPE, SIG_IGN);
    if (parse_options(&options, &arguments, &error)) {
        fill_options(&options);
        if (options.version)
            printf("landfalld %s\n", LANDFALL_VERSION);
        else
            status = run(&options, &error);
    }
    if (error)
        status = report(error);
    options_clear(&options);
    return status;
}
