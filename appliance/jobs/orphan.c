/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/orphan.h"
#include "base/process.h"

#include <glib-unix.h>
#include <sys/syscall.h>
#include <unistd.h>

struct orphan {
    void (*ended)(void *data);
    void *data;
    guint source;
    int fd;
};

void orphan_free(struct orphan *orphan)
{
    if (!orphan)
        return;
    g_clear_handle_id(&orphan->source, g_source_remove);
    close(orphan->fd);
    g_free(orphan);
}

static gboolean on_end(gint fd, GIOCondition condition, gpointer data)
{
    struct orphan *orphan = data;
    (void)fd;
    (void)condition;
    orphan->source = 0;
    orphan->ended(orphan->data);
    return G_SOURCE_REMOVE;
}

struct orphan *orphan_watch(const struct state_job *job, void (*ended)(void *data), void *data)
{
    int pid = (int)job->child_pid;
    int fd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (fd < 0)
        return NULL;
    /* Asked once the process is in hand, so that it cannot become another one. */
    if (process_start_time(pid) != (guint64)job->child_start) {
        close(fd);
        return NULL;
    }
    struct orphan *orphan = g_new0(struct orphan, 1);
    orphan->ended = ended;
    orphan->data = data;
    orphan->fd = fd;
    orphan->source = g_unix_fd_add(fd, G_IO_IN, on_end, orphan);
    return orphan;
}
