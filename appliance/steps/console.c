/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES_MAX (1024u * 1024u)
#define READ_BYTES 65536u

struct console {
    char *log;
    ino_t inode; /* of the log as it was read last: virtlogd begins another when it is full */
    guint64 offset;
    virStreamPtr stream; /* NULL: the log */
    GString *text;
    char *problem;
};

static gboolean open_port(struct console *console, const struct step_host *host,
                          virDomainPtr domain)
{
    console->stream = virStreamNew(host->connection, VIR_STREAM_NONBLOCK);
    if (console->stream && virDomainOpenConsole(domain, NULL, console->stream, 0) == 0) {
        console->problem = g_strdup("what it said before it was listened to is not known");
        return TRUE;
    }
    console->problem =
        g_strdup_printf("its console cannot be heard: %s", snapshot_libvirt_message());
    g_clear_pointer(&console->stream, virStreamFree);
    return FALSE;
}

struct console *console_open(const struct step_host *host, virDomainPtr domain, const char *log)
{
    struct console *console = g_new0(struct console, 1);
    console->text = g_string_new(NULL);
    if (log && access(log, R_OK) == 0)
        console->log = g_strdup(log);
    else
        open_port(console, host, domain);
    return console;
}

void console_free(struct console *console)
{
    if (!console)
        return;
    if (console->stream) {
        virStreamAbort(console->stream);
        virStreamFree(console->stream);
    }
    g_string_free(console->text, TRUE);
    g_free(console->log);
    g_free(console->problem);
    g_free(console);
}

static void take(struct console *console, const char *data, gsize length)
{
    g_string_append_len(console->text, data, (gssize)length);
    if (console->text->len > TEXT_BYTES_MAX)
        g_string_erase(console->text, 0, TEXT_BYTES_MAX / 2);
}

static void read_log(struct console *console)
{
    g_autofree char *data = g_malloc(READ_BYTES);
    struct stat about;
    int fd = open(console->log, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &about) == 0 && about.st_ino != console->inode) {
        console->inode = about.st_ino;
        console->offset = 0;
    }
    for (gssize n; (n = pread(fd, data, READ_BYTES, (off_t)console->offset)) > 0;) {
        take(console, data, (gsize)n);
        console->offset += (guint64)n;
    }
    close(fd);
}

static void read_port(struct console *console)
{
    g_autofree char *data = g_malloc(READ_BYTES);
    for (int n; (n = virStreamRecv(console->stream, data, READ_BYTES)) > 0;)
        take(console, data, (gsize)n);
}

void console_read(struct console *console)
{
    if (console->stream)
        read_port(console);
    else if (console->log)
        read_log(console);
}

const GString *console_text(const struct console *console)
{
    return console->text;
}

const char *console_problem(const struct console *console)
{
    return console->problem;
}
