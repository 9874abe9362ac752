/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/source.h"
#include "base/json.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <libnbd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define WAIT_MS 10000

struct source_disk {
    char *name;
    char *file;
    char *uri;
    guint8 *content;
    guint64 size_bytes;
    struct nbd_handle *guest; /* NULL: not exported */
};

struct source {
    char *folder;
    char *nbd_socket;
    GSubprocess *server;
    GSocketConnection *monitor;
    GDataInputStream *answers;
    guint hidden_count; /* exports that have gone so far */
    GPtrArray *disks;
};

static void follow_parent(gpointer data)
{
    (void)data;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* --- the monitor ---------------------------------------------------------------------------------
 */

/* Reads a line of the monitor: whether it has the member. Events are counted on the way. */
static gboolean next_line_has(struct source *source, const char *member)
{
    g_autoptr(GError) error = NULL;
    gsize length;
    const char *event = NULL;
    g_autofree char *line = g_data_input_stream_read_line(source->answers, &length, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(line);
    g_autoptr(JsonObject) object =
        json_parse_object(line, length, "QMP", LANDFALL_ERROR_SOURCE, &error);
    g_assert_no_error(error);
    if (json_object_has_member(object, "error"))
        g_error("QMP: %s", line);
    json_optional_string(object, "event", LANDFALL_ERROR_SOURCE, &event, NULL);
    source->hidden_count += g_strcmp0(event, "BLOCK_EXPORT_DELETED") == 0;
    return json_object_has_member(object, member);
}

static void wait_for_line(struct source *source, const char *member)
{
    while (!next_line_has(source, member))
        ;
}

/* Runs a command whose arguments are JSON made from the format. */
static void command(struct source *source, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
static void command(struct source *source, const char *name, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    va_list values;
    va_start(values, format);
    g_autofree char *arguments = g_strdup_vprintf(format, values);
    va_end(values);
    g_autofree char *line =
        g_strdup_printf("{\"execute\": \"%s\", \"arguments\": {%s}}\n", name, arguments);
    g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(source->monitor)), line,
                              strlen(line), NULL, NULL, &error);
    g_assert_no_error(error);
    wait_for_line(source, "return");
}

static void connect_monitor(struct source *source, const char *path)
{
    g_autoptr(GSocketListener) listener = g_socket_listener_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_autofree char *chardev = g_strdup_printf("socket,id=m,path=%s,server=off", path);
    g_socket_listener_add_address(listener, address, G_SOCKET_TYPE_STREAM,
                                  G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, &error);
    g_assert_no_error(error);
    g_subprocess_launcher_set_child_setup(launcher, follow_parent, NULL, NULL);
    source->server =
        g_subprocess_launcher_spawn(launcher, &error, "qemu-storage-daemon", "--chardev", chardev,
                                    "--monitor", "chardev=m", NULL);
    g_assert_no_error(error);
    source->monitor = g_socket_listener_accept(listener, NULL, NULL, &error);
    g_assert_no_error(error);
    g_socket_set_timeout(g_socket_connection_get_socket(source->monitor), WAIT_MS / 1000);
    source->answers =
        g_data_input_stream_new(g_io_stream_get_input_stream(G_IO_STREAM(source->monitor)));
    wait_for_line(source, "QMP");
    command(source, "qmp_capabilities", " ");
}

struct source *source_start(const char *folder)
{
    struct source *source = g_new0(struct source, 1);
    g_autofree char *monitor = g_build_filename(folder, "qmp", NULL);
    source->folder = g_strdup(folder);
    source->nbd_socket = g_build_filename(folder, "nbd", NULL);
    source->disks = g_ptr_array_new();
    connect_monitor(source, monitor);
    command(source, "nbd-server-start",
            "\"max-connections\": 0, \"addr\": {\"type\": \"unix\", \"data\": {\"path\": \"%s\"}}",
            source->nbd_socket);
    return source;
}

/* --- disks ---------------------------------------------------------------------------------------
 */

static struct source_disk *find(const struct source *source, const char *disk)
{
    for (guint i = 0; i < source->disks->len; i++) {
        struct source_disk *found = source->disks->pdata[i];
        if (g_str_equal(found->name, disk))
            return found;
    }
    g_assert_not_reached();
}

static void show(struct source *source, struct source_disk *disk)
{
    command(source, "block-export-add",
            "\"type\": \"nbd\", \"id\": \"%s\", \"node-name\": \"%s\", \"name\": \"%s\", "
            "\"writable\": true, \"bitmaps\": [\"b0\"]",
            disk->name, disk->name, disk->name);
    disk->guest = nbd_create();
    g_assert_nonnull(disk->guest);
    g_assert_cmpint(nbd_connect_uri(disk->guest, disk->uri), ==, 0);
}

static void hide(struct source *source, struct source_disk *disk)
{
    guint hidden_count = source->hidden_count;
    g_assert_cmpint(nbd_shutdown(disk->guest, 0), ==, 0);
    g_clear_pointer(&disk->guest, nbd_close);
    command(source, "block-export-del", "\"id\": \"%s\", \"mode\": \"hard\"", disk->name);
    while (source->hidden_count == hidden_count) /* the event may come before the answer */
        wait_for_line(source, "event");
}

void source_add(struct source *source, const char *name, guint64 size_bytes)
{
    struct source_disk *disk = g_new0(struct source_disk, 1);
    disk->name = g_strdup(name);
    disk->file = g_strdup_printf("%s/%s.raw", source->folder, name);
    disk->uri = g_strdup_printf("nbd+unix:///%s?socket=%s", name, source->nbd_socket);
    disk->size_bytes = size_bytes;
    disk->content = g_malloc0(size_bytes);
    g_ptr_array_add(source->disks, disk);
    g_assert_true(g_file_set_contents(disk->file, "", 0, NULL));
    g_assert_cmpint(truncate(disk->file, (off_t)size_bytes), ==, 0);
    command(source, "blockdev-add",
            "\"driver\": \"raw\", \"node-name\": \"%s\", \"discard\": \"unmap\", "
            "\"file\": {\"driver\": \"file\", \"filename\": \"%s\", \"discard\": \"unmap\"}",
            name, disk->file);
    command(source, "block-dirty-bitmap-add",
            "\"node\": \"%s\", \"name\": \"b0\", \"granularity\": 65536", name);
    show(source, disk);
}

void source_stop(struct source *source)
{
    for (guint i = 0; i < source->disks->len; i++) {
        struct source_disk *disk = source->disks->pdata[i];
        nbd_close(disk->guest);
        unlink(disk->file);
        g_free(disk->name);
        g_free(disk->file);
        g_free(disk->uri);
        g_free(disk->content);
        g_free(disk);
    }
    g_ptr_array_unref(source->disks);
    g_subprocess_force_exit(source->server);
    g_subprocess_wait(source->server, NULL, NULL);
    g_object_unref(source->server);
    g_object_unref(source->answers);
    g_object_unref(source->monitor);
    unlink(source->nbd_socket);
    g_autofree char *monitor = g_build_filename(source->folder, "qmp", NULL);
    unlink(monitor);
    g_free(source->nbd_socket);
    g_free(source->folder);
    g_free(source);
}

const char *source_uri(const struct source *source, const char *disk)
{
    return find(source, disk)->uri;
}

const guint8 *source_content(const struct source *source, const char *disk)
{
    return find(source, disk)->content;
}

guint64 source_size(const struct source *source, const char *disk)
{
    return find(source, disk)->size_bytes;
}

void source_write(struct source *source, const char *name, guint64 offset, const void *data,
                  gsize length)
{
    struct source_disk *disk = find(source, name);
    g_assert_cmpint(nbd_pwrite(disk->guest, data, length, offset, 0), ==, 0);
    memcpy(disk->content + offset, data, length);
}

void source_zero(struct source *source, const char *name, guint64 offset, guint64 length,
                 gboolean discard)
{
    struct source_disk *disk = find(source, name);
    guint32 flags = discard ? 0 : LIBNBD_CMD_FLAG_NO_HOLE;
    g_assert_cmpint(nbd_zero(disk->guest, length, offset, flags), ==, 0);
    memset(disk->content + offset, 0, length);
}

void source_resize(struct source *source, const char *name, guint64 size_bytes)
{
    struct source_disk *disk = find(source, name);
    hide(source, disk);
    command(source, "block_resize", "\"node-name\": \"%s\", \"size\": %" G_GUINT64_FORMAT, name,
            size_bytes);
    show(source, disk);
    disk->content = g_realloc(disk->content, size_bytes);
    if (size_bytes > disk->size_bytes)
        memset(disk->content + disk->size_bytes, 0, size_bytes - disk->size_bytes);
    disk->size_bytes = size_bytes;
}

void source_forget_changes(struct source *source, const char *name)
{
    struct source_disk *disk = find(source, name);
    hide(source, disk);
    command(source, "block-dirty-bitmap-clear", "\"node\": \"%s\", \"name\": \"b0\"", name);
    show(source, disk);
}
