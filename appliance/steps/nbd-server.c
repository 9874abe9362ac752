/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/nbd-server.h"
#include "base/json.h"
#include "replicator/store-file.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define PROGRAM "qemu-storage-daemon"
#define PID_FILE "nbd.pid"
#define PID_BYTES_MAX 32u
#define ADDRESS_FILE "nbd.json"
#define SOCKET_FD 3 /* in the server's process */
#define STOP_DEADLINE_MS 10000
#define KILL_DEADLINE_MS 5000

static char *pid_path(const char *folder)
{
    return g_build_filename(folder, PID_FILE, NULL);
}

/* A number alone may by now be that of somebody else's process. */
static gboolean has_argument(pid_t pid, const char *wanted)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)pid);
    g_autofree char *text = NULL;
    gsize length = 0;
    if (!g_file_get_contents(path, &text, &length, NULL))
        return FALSE;
    for (gsize at = 0; at < length; at += strlen(text + at) + 1)
        if (strcmp(text + at, wanted) == 0)
            return TRUE;
    return FALSE;
}

pid_t nbd_server_find(const char *folder)
{
    g_autofree char *path = pid_path(folder);
    g_autofree char *text = NULL;
    guint64 pid;
    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        !g_ascii_string_to_unsigned(g_strstrip(text), 10, 1, G_MAXINT32, &pid, NULL))
        return 0;
    return has_argument((pid_t)pid, path) ? (pid_t)pid : 0;
}

/* --- starting it ---------------------------------------------------------------------------------
 */

static void add(GPtrArray *arguments, const char *option, const char *value)
{
    g_ptr_array_add(arguments, g_strdup(option));
    g_ptr_array_add(arguments, g_strdup(value));
}

static void add_json(GPtrArray *arguments, const char *option, JsonObject *object)
{
    g_autofree char *text = json_object_to_text(object, FALSE);
    add(arguments, option, text);
    json_object_unref(object);
}

/* What a machine was told is written stays so when the server dies: the flush that comes later goes
 * to the next server, which knows nothing of it. So each write is flushed before it is answered. */
static void add_disk(GPtrArray *arguments, const char *folder, const char *disk)
{
    g_autofree char *name = g_strconcat(disk, ".qcow2", NULL);
    g_autofree char *path = g_build_filename(folder, name, NULL);
    JsonObject *file = json_object_new(), *image = json_object_new(), *export = json_object_new();
    json_object_set_string_member(file, "driver", "file");
    json_object_set_string_member(file, "filename", path);
    json_object_set_string_member(file, "discard", "unmap");
    json_object_set_string_member(image, "driver", "qcow2");
    json_object_set_string_member(image, "node-name", disk);
    json_object_set_string_member(image, "discard", "unmap");
    json_object_set_object_member(image, "file", file);
    json_object_set_string_member(export, "type", "nbd");
    json_object_set_string_member(export, "id", disk);
    json_object_set_string_member(export, "node-name", disk);
    json_object_set_string_member(export, "name", disk);
    json_object_set_boolean_member(export, "writable", TRUE);
    json_object_set_boolean_member(export, "writethrough", TRUE);
    add_json(arguments, "--blockdev", image);
    add_json(arguments, "--export", export);
}

/* Both sides show certificates of our authority, and one client alone is let in. */
static void add_tls(GPtrArray *arguments, const struct nbd_credentials *credentials)
{
    JsonObject *tls = json_object_new(), *client = json_object_new();
    json_object_set_string_member(tls, "qom-type", "tls-creds-x509");
    json_object_set_string_member(tls, "id", "tls");
    json_object_set_string_member(tls, "dir", credentials->server_folder);
    json_object_set_string_member(tls, "endpoint", "server");
    json_object_set_boolean_member(tls, "verify-peer", TRUE);
    json_object_set_string_member(client, "qom-type", "authz-simple");
    json_object_set_string_member(client, "id", "client");
    json_object_set_string_member(client, "identity", credentials->client_name);
    add_json(arguments, "--object", tls);
    add_json(arguments, "--object", client);
}

/* The order matters: exports want a server, the server its objects. */
static GPtrArray *command_line(const struct nbd_serving *serving)
{
    GPtrArray *arguments = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = pid_path(serving->folder);
    g_autofree char *server =
        g_strdup_printf("addr.type=fd,addr.str=%d%s", SOCKET_FD,
                        serving->credentials ? ",tls-creds=tls,tls-authz=client" : "");
    g_ptr_array_add(arguments, g_strdup(PROGRAM));
    g_ptr_array_add(arguments, g_strdup("--daemonize"));
    add(arguments, "--pidfile", path);
    if (serving->credentials)
        add_tls(arguments, serving->credentials);
    add(arguments, "--nbd-server", server);
    for (gsize i = 0; serving->disks[i]; i++)
        add_disk(arguments, serving->folder, serving->disks[i]);
    g_ptr_array_add(arguments, NULL);
    return arguments;
}

static gboolean failed(const char *complaint, GError **error)
{
    gboolean locked = strstr(complaint, "lock") != NULL;
    landfall_error_set(error, locked ? LANDFALL_ERROR_CONFLICT : LANDFALL_ERROR_REPLICA,
                       locked ? "another QEMU has the image: end the machine that runs on it"
                              : NULL,
                       "the disks cannot be served: %s", complaint);
    return FALSE;
}

/* Returns when it serves: it leaves us then, in a session of its own. */
static gboolean start(const struct nbd_serving *serving, GSocket *socket, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) arguments = command_line(serving);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autofree char *complaint = NULL;
    g_subprocess_launcher_take_fd(launcher, fcntl(g_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0),
                                  SOCKET_FD);
    g_autoptr(GSubprocess) process =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)arguments->pdata, &cause);
    if (!process) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "install " PROGRAM,
                           "cannot start " PROGRAM ": %s", cause->message);
        return FALSE;
    }
    if (!g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &complaint, &cause))
        return failed(cause->message, error);
    return g_subprocess_get_successful(process) || failed(g_strstrip(complaint), error);
}

static gboolean choose(const struct nbd_serving *serving, const struct nbd_address *wanted,
                       struct nbd_address *address, GError **error)
{
    gboolean known;
    if (!nbd_address_load(serving->folder, address, &known, error))
        return FALSE;
    if (!known)
        *address = (struct nbd_address){g_strdup(wanted->host), 0, g_strdup(wanted->socket)};
    return TRUE;
}

gboolean nbd_server_ensure(const struct nbd_serving *serving, const struct nbd_address *wanted,
                           struct nbd_address *ret_address, gboolean *ret_started, GError **error)
{
    struct nbd_address address = {NULL, 0, NULL};
    if (!choose(serving, wanted, &address, error))
        return FALSE;
    gboolean runs = nbd_server_find(serving->folder) != 0;
    gboolean ok = runs;
    if (!runs) {
        GSocket *socket =
            nbd_address_listen(&address, serving->bind_host, serving->user, serving->group, error);
        /* The address lasts before there is anyone who could have been told. */
        ok = socket && nbd_address_save(serving->folder, &address, error) &&
             start(serving, socket, error);
        g_clear_object(&socket);
    }
    if (!ok) {
        nbd_address_clear(&address);
        return FALSE;
    }
    *ret_address = address;
    if (ret_started)
        *ret_started = !runs;
    return TRUE;
}

/* --- ending it -----------------------------------------------------------------------------------
 */

/* process: a descriptor of it, which is readable when it has ended. */
static gboolean wait_for_end(int process, int deadline_ms)
{
    struct pollfd ended = {.fd = process, .events = POLLIN};
    return poll(&ended, 1, deadline_ms) == 1;
}

/* In order, it writes what it still has of the images. */
static gboolean end_process(const char *folder, gboolean *ret_stopped, GError **error)
{
    pid_t pid = nbd_server_find(folder);
    int process = pid ? pidfd_open(pid, 0) : -1;
    *ret_stopped = process >= 0;
    if (process < 0)
        return TRUE; /* it has just gone */
    kill(pid, SIGTERM);
    gboolean ended = wait_for_end(process, STOP_DEADLINE_MS);
    if (!ended) {
        kill(pid, SIGKILL);
        ended = wait_for_end(process, KILL_DEADLINE_MS);
    }
    close(process);
    if (ended)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                       "process %d, which serves the disks in %s, does not end", (int)pid, folder);
    return FALSE;
}

gboolean nbd_server_stop(const char *folder, gboolean *ret_stopped, GError **error)
{
    struct nbd_address address = {NULL, 0, NULL};
    gboolean known;
    g_autofree char *pid_file = pid_path(folder);
    g_autofree char *address_file = g_build_filename(folder, ADDRESS_FILE, NULL);
    if (!end_process(folder, ret_stopped, error) ||
        !nbd_address_load(folder, &address, &known, error))
        return FALSE;
    if (address.socket)
        unlink(address.socket);
    nbd_address_clear(&address);
    return store_file_remove(pid_file, error) && store_file_remove(address_file, error);
}
