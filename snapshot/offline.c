/* SPDX-License-Identifier: Apache-2.0 */
/* The images of a machine that is off, on this host, as they lie there: served by
 * qemu-storage-daemon, read-only, with the bitmaps that QEMU left in them. That takes some
 * milliseconds where starting the machine paused takes most of a second of its downtime, and as
 * long as it lasts nobody can start the machine: its images are locked against writers.
 *
 * No checkpoint is made: the bitmap of the one before goes on counting, so it names more than the
 * changes since, and never less. Whatever is out of the ordinary goes the long way. */
#include "base/json.h"
#include "snapshot/snapshot-private.h"

#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVER "qemu-storage-daemon"
#define LISTEN_FD 3
#define LISTEN_BACKLOG 64
#define GREETING_MS 5000

struct offline {
    GSubprocess *server;
};

/* --- which images --------------------------------------------------------------------------------
 */

static gboolean is_readable(const char *path)
{
    return g_path_is_absolute(path) && access(path, R_OK) == 0;
}

/* What the disk was made of must be known, and have been one image; what lies below another is
 * looked at by a running QEMU alone. */
static gboolean is_ordinary(const struct snapshot_machine *machine,
                            const struct snapshot_plan_disk *wanted)
{
    const struct machine_disk *disk = snapshot_machine_find_disk(machine, wanted->name);
    const struct snapshot_machine_disk *public = &disk->public;
    if (!disk->is_plain || !is_readable(public->source) ||
        wanted->replica_size_bytes != public->size_bytes || public->size_bytes == 0)
        return FALSE;
    if (strcmp(public->format, "raw") == 0)
        return TRUE;
    return strcmp(public->format, "qcow2") == 0 && !disk->read_only && wanted->base_checkpoint &&
           wanted->base_images && g_strv_length((GStrv)wanted->base_images) == 1;
}

static gboolean are_ordinary(const struct snapshot_machine *machine,
                             const struct snapshot_plan *plan)
{
    if (!machine->host->local)
        return FALSE;
    for (gsize i = 0; i < plan->disk_count; i++)
        if (!is_ordinary(machine, &plan->disks[i]))
            return FALSE;
    return TRUE;
}

static gboolean has_word(JsonObject *object, const char *name, const char *word)
{
    g_auto(GStrv) words = NULL;
    return json_optional_strings(object, name, LANDFALL_ERROR_SOURCE, &words, NULL) && words &&
           g_strv_contains((const char *const *)words, word);
}

/* Whether the bitmap is among them, and was stored when its QEMU ended. */
static gboolean has_bitmap(JsonArray *bitmaps, const char *name)
{
    for (guint i = 0; bitmaps && i < json_array_get_length(bitmaps); i++) {
        JsonObject *bitmap = json_array_get_object_element(bitmaps, i);
        const char *found = json_find_string(bitmap, "name");
        if (g_strcmp0(found, name) == 0)
            return !has_word(bitmap, "flags", "in-use") && has_word(bitmap, "flags", "auto");
    }
    return FALSE;
}

/* By what qemu-img says of a qcow2 image: one file, whole, with the bitmap. */
static gboolean is_sound(JsonObject *info, const char *bitmap)
{
    JsonObject *specific = json_find_object(info, "format-specific");
    JsonObject *data = specific ? json_find_object(specific, "data") : NULL;
    return data && !json_object_has_member(info, "backing-filename") &&
           !json_object_has_member(info, "encrypted") &&
           !json_object_has_member(data, "data-file") &&
           !json_object_get_boolean_member_with_default(data, "corrupt", FALSE) &&
           has_bitmap(json_find_array(data, "bitmaps"), bitmap);
}

static GSubprocess *ask_image(const char *path)
{
    return g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                            NULL, "qemu-img", "info", "--output=json", "-f", "qcow2", path, NULL);
}

static gboolean hear_image(GSubprocess *process, const char *bitmap)
{
    g_autofree char *text = NULL;
    if (!g_subprocess_communicate_utf8(process, NULL, NULL, &text, NULL, NULL) ||
        !g_subprocess_get_successful(process))
        return FALSE;
    g_autoptr(JsonObject) info =
        json_parse_object(text, strlen(text), "qemu-img", LANDFALL_ERROR_SOURCE, NULL);
    return info && is_sound(info, bitmap);
}

/* All are asked at once. */
static gboolean are_sound(const struct snapshot_machine *machine, const struct snapshot_plan *plan)
{
    g_autoptr(GPtrArray) asked = g_ptr_array_new_with_free_func((GDestroyNotify)g_object_unref);
    g_autoptr(GPtrArray) bitmaps = g_ptr_array_new();
    gboolean ok = TRUE;
    for (gsize i = 0; ok && i < plan->disk_count; i++) {
        const struct snapshot_plan_disk *wanted = &plan->disks[i];
        const struct machine_disk *disk = snapshot_machine_find_disk(machine, wanted->name);
        if (disk->public.no_bitmap_cause)
            continue;
        GSubprocess *process = ask_image(disk->public.source);
        ok = process != NULL;
        if (!ok)
            break;
        g_ptr_array_add(asked, process);
        g_ptr_array_add(bitmaps, (char *)wanted->base_checkpoint);
    }
    for (guint i = 0; i < asked->len; i++)
        ok = hear_image(asked->pdata[i], bitmaps->pdata[i]) && ok;
    return ok;
}

/* The image is the one that the bitmap was made in. */
static gboolean are_same(const struct snapshot *snapshot, const struct snapshot_plan *plan)
{
    for (gsize i = 0; i < plan->disk_count; i++) {
        const struct snapshot_disk *disk = snapshot->disks->pdata[i];
        const char *image;
        if (disk->bitmap && snapshot_images_judge(plan->disks[i].base_images,
                                                  (const char *const *)disk->images, &image))
            return FALSE;
    }
    return TRUE;
}

static void fill_disks(struct snapshot *snapshot, const struct snapshot_plan *plan)
{
    for (gsize i = 0; i < plan->disk_count; i++) {
        const struct snapshot_plan_disk *wanted = &plan->disks[i];
        const struct machine_disk *from =
            snapshot_machine_find_disk(snapshot->machine, wanted->name);
        struct snapshot_disk *disk = g_new0(struct snapshot_disk, 1);
        disk->name = g_strdup(wanted->name);
        disk->size_bytes = from->public.size_bytes;
        disk->images = snapshot_images(snapshot->machine, from, wanted->base_images);
        disk->demotion_cause = g_strdup(from->public.no_bitmap_cause);
        if (from->public.no_bitmap_cause)
            disk->demotion_detail = snapshot_no_bitmap_detail(from);
        else
            disk->bitmap = g_strconcat("qemu:dirty-bitmap:", wanted->base_checkpoint, NULL);
        snapshot_endpoint_fill(snapshot->machine->host, snapshot->socket_path, disk);
        g_ptr_array_add(snapshot->disks, disk);
    }
}

/* --- the server ----------------------------------------------------------------------------------
 */

static JsonObject *file_node(const char *path)
{
    struct stat file;
    gboolean is_device = stat(path, &file) == 0 && S_ISBLK(file.st_mode);
    JsonObject *node = json_object_new();
    json_object_set_string_member(node, "driver", is_device ? "host_device" : "file");
    json_object_set_string_member(node, "filename", path);
    return node;
}

/* A reader of qcow2 keeps writers away by itself; a reader of raw data does not mind them, but for
 * a driver in between that does. */
static JsonObject *lock_node(JsonObject *file)
{
    JsonObject *node = json_object_new();
    JsonArray *kept = json_array_new();
    json_array_add_string_element(kept, "write");
    json_array_add_string_element(kept, "resize");
    json_object_set_string_member(node, "driver", "blkdebug");
    json_object_set_array_member(node, "unshare-child-perms", kept);
    json_object_set_object_member(node, "image", file);
    return node;
}

/* To be read, it has no image below it: one that would want one was not taken for ordinary. To be
 * written, it comes with what lies below, as its header says. */
static char *image_option(const struct machine_disk *disk, gboolean writable)
{
    gboolean raw = strcmp(disk->public.format, "raw") == 0;
    g_autoptr(JsonObject) node = json_object_new();
    JsonObject *file = file_node(disk->public.source);
    json_object_set_string_member(node, "driver", disk->public.format);
    json_object_set_string_member(node, "node-name", disk->public.name);
    json_object_set_boolean_member(node, "read-only", !writable);
    if (writable) {
        json_object_set_string_member(node, "discard", "unmap");
        json_object_set_string_member(file, "discard", "unmap");
    } else if (!raw) {
        json_object_set_null_member(node, "backing");
    }
    json_object_set_object_member(node, "file", raw && !writable ? lock_node(file) : file);
    return json_object_to_text(node, FALSE);
}

static char *export_option(const struct machine_disk *disk, const char *bitmap, gboolean writable)
{
    g_autoptr(JsonObject) export = json_object_new();
    json_object_set_string_member(export, "type", "nbd");
    json_object_set_string_member(export, "id", disk->public.name);
    json_object_set_string_member(export, "node-name", disk->public.name);
    json_object_set_string_member(export, "name", disk->public.name);
    json_object_set_boolean_member(export, "writable", writable);
    if (bitmap) {
        JsonArray *bitmaps = json_array_new();
        json_array_add_string_element(bitmaps, bitmap);
        json_object_set_array_member(export, "bitmaps", bitmaps);
    }
    return json_object_to_text(export, FALSE);
}

static GStrv server_command(const struct snapshot_machine *machine,
                            const struct snapshot_plan *plan, gboolean writable)
{
    g_autoptr(GStrvBuilder) command = g_strv_builder_new();
    g_autofree char *address = g_strdup_printf("addr.type=fd,addr.str=%d", LISTEN_FD);
    g_strv_builder_add(command, SERVER);
    for (gsize i = 0; i < plan->disk_count; i++) {
        g_autofree char *image =
            image_option(snapshot_machine_find_disk(machine, plan->disks[i].name), writable);
        g_strv_builder_add_many(command, "--blockdev", image, NULL);
    }
    g_strv_builder_add_many(command, "--nbd-server", address, NULL);
    for (gsize i = 0; i < plan->disk_count; i++) {
        const struct snapshot_plan_disk *wanted = &plan->disks[i];
        const struct machine_disk *disk = snapshot_machine_find_disk(machine, wanted->name);
        g_autofree char *export = export_option(
            disk, disk->public.no_bitmap_cause ? NULL : wanted->base_checkpoint, writable);
        g_strv_builder_add_many(command, "--export", export, NULL);
    }
    return g_strv_builder_end(command);
}

/* A socket that is there before its server is: connecting never comes too early. -1: no. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        chmod(path, 0600) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* In the server, before it is one. A cycle that is killed takes it along. */
static void end_with_parent(gpointer parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != GPOINTER_TO_INT(parent))
        raise(SIGKILL);
}

/* It greets when all its exports are there, and ends when one cannot be. */
static gboolean hear_greeting(const char *socket_path)
{
    char byte;
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(socket_path);
    g_autoptr(GSocketConnection) connection =
        g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, NULL);
    if (!connection)
        return FALSE;
    struct pollfd fd = {.fd = g_socket_get_fd(g_socket_connection_get_socket(connection)),
                        .events = POLLIN};
    return poll(&fd, 1, GREETING_MS) == 1 && recv(fd.fd, &byte, 1, 0) == 1;
}

static GSubprocess *server_start(const struct snapshot_machine *machine,
                                 const struct snapshot_plan *plan, gboolean writable,
                                 const char *socket_path)
{
    g_auto(GStrv) command = server_command(machine, plan, writable);
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    int fd = listen_at(socket_path);
    if (fd < 0)
        return NULL;
    g_subprocess_launcher_take_fd(launcher, fd, LISTEN_FD);
    g_subprocess_launcher_set_child_setup(launcher, end_with_parent, GINT_TO_POINTER(getpid()),
                                          NULL);
    GSubprocess *server =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)command, NULL);
    g_subprocess_launcher_close(launcher);
    return server;
}

static void offline_free(struct offline *offline)
{
    if (offline->server) {
        g_subprocess_send_signal(offline->server, SIGTERM);
        g_subprocess_wait(offline->server, NULL, NULL);
        g_object_unref(offline->server);
    }
    g_free(offline);
}

void snapshot_offline_end(struct snapshot *snapshot)
{
    g_clear_pointer(&snapshot->offline, offline_free);
}

gboolean snapshot_offline_serves(const struct snapshot *snapshot)
{
    return snapshot->offline->server &&
           g_subprocess_get_identifier(snapshot->offline->server) != NULL;
}

/* --- begin ---------------------------------------------------------------------------------------
 */

static gboolean serve(struct snapshot *snapshot, const struct snapshot_plan *plan,
                      gboolean writable)
{
    struct snapshot_machine *machine = snapshot->machine;
    g_autofree char *name = snapshot_socket_name(machine, plan->store_id);
    /* The folder of a machine that does not run is not there: this is the one for long names. */
    g_autofree char *folder = snapshot_socket_dir(machine, plan->socket_dir, G_MAXINT);
    snapshot->socket_path = g_build_filename(folder, name, NULL);
    fill_disks(snapshot, plan);
    snapshot->offline = g_new0(struct offline, 1);
    if (!writable && !are_same(snapshot, plan))
        return FALSE;
    snapshot->offline->server = server_start(machine, plan, writable, snapshot->socket_path);
    return snapshot->offline->server && hear_greeting(snapshot->socket_path);
}

gboolean snapshot_offline_begin(struct snapshot *snapshot, const struct snapshot_plan *plan)
{
    struct snapshot_machine *machine = snapshot->machine;
    if (!are_ordinary(machine, plan) || !are_sound(machine, plan))
        return FALSE;
    snapshot->is_offline = TRUE;
    if (serve(snapshot, plan, FALSE)) {
        for (gsize i = 0; i < plan->disk_count && !snapshot->checkpoint; i++)
            snapshot->checkpoint = g_strdup(plan->disks[i].base_checkpoint);
        return TRUE;
    }
    snapshot->is_offline = FALSE;
    snapshot_offline_end(snapshot);
    g_ptr_array_set_size(snapshot->disks, 0);
    unlink(snapshot->socket_path);
    g_clear_pointer(&snapshot->socket_path, g_free);
    return FALSE;
}

/* --- for writing ---------------------------------------------------------------------------------
 */

/* Each of the plan's disks is one that can be written without its machine. */
static gboolean check_writable(const struct snapshot_machine *machine,
                               const struct snapshot_plan *plan, GError **error)
{
    const char *hint = "copy the disk by other means: landfall store export writes it as an image";
    if (!machine->host->local) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED, hint,
                           "the disks of machine %s are on another host than this one",
                           machine->name);
        return FALSE;
    }
    for (gsize i = 0; i < plan->disk_count; i++) {
        const char *name = plan->disks[i].name;
        const struct machine_disk *disk = snapshot_machine_find_disk(machine, name);
        if (disk && disk->is_plain && !disk->read_only && !disk->public.unsupported_reason &&
            access(disk->public.source, R_OK | W_OK) == 0 &&
            (strcmp(disk->public.format, "raw") == 0 || strcmp(disk->public.format, "qcow2") == 0))
            continue;
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED, hint,
                           "machine %s: disk %s cannot be written: %s", machine->name, name,
                           disk ? "only files and devices in raw or qcow2 format can, by a user "
                                  "who may write to them"
                                : "the machine has no such disk");
        return FALSE;
    }
    return TRUE;
}

static gboolean check_off(struct snapshot_machine *machine, GError **error)
{
    gboolean active = FALSE;
    if (!snapshot_machine_ask_active(machine, &active, error))
        return FALSE;
    if (active)
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, "shut it down first",
                           "machine %s is running", machine->name);
    return !active;
}

/* The socket of a server that was killed. */
static gboolean remove_stale(struct snapshot_machine *machine, const struct snapshot_plan *plan,
                             GError **error)
{
    g_autoptr(GPtrArray) removed = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *folder = snapshot_socket_dir(machine, plan->socket_dir, G_MAXINT);
    return snapshot_files_remove_stale(machine, plan->store_id, folder, removed, error);
}

struct snapshot *snapshot_begin_write(struct snapshot_machine *machine,
                                      const struct snapshot_plan *plan, GError **error)
{
    if (!snapshot_store_id_check(plan->store_id, error) || !check_off(machine, error) ||
        !check_writable(machine, plan, error) || !remove_stale(machine, plan, error))
        return NULL;
    struct snapshot *snapshot = snapshot_new(machine, plan->store_id);
    snapshot->is_offline = TRUE;
    if (serve(snapshot, plan, TRUE))
        return snapshot;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "see whether another program has the images open, and whether "
                       "qemu-storage-daemon is installed",
                       "machine %s: its disks cannot be opened for writing", machine->name);
    snapshot_free(snapshot);
    return NULL;
}
