/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's event loop: it asks to be told when a socket can be read, or a time has come. Its own
 * implementation runs GLib's default main context, which belongs to the program: in a thread of
 * ours it would run the program's callbacks, and in the program's it would hold that up. So this is
 * another one, over a context and a thread that nobody else has.
 *
 * libvirt calls from any thread, also with locks held that its callbacks take: so nothing of its
 * own is called but from the loop. What is removed is freed there, where its callback cannot be
 * running. */
#include "snapshot/snapshot-private.h"

#include <glib-unix.h>

/* A socket that is watched, or a timer. */
struct watch {
    gint references; /* atomic: the table, its source, a removal on its way */

    /* Set once. */
    int id;
    int fd; /* of a socket */
    virEventHandleCallback on_event;
    virEventTimeoutCallback on_time;
    void *opaque;
    virFreeCallback opaque_free;

    /* Under lock. */
    GSource *source; /* or NULL: nothing is waited for */
    gboolean removed;
};

static GMutex lock;
static GMainContext *context; /* set once */
/* Under lock. */
static GHashTable *watches; /* by id */
static int last_id;

static void watch_unref(gpointer data)
{
    struct watch *watch = data;
    if (g_atomic_int_dec_and_test(&watch->references))
        g_free(watch);
}

static struct watch *watch_ref(struct watch *watch)
{
    g_atomic_int_inc(&watch->references);
    return watch;
}

static gboolean is_removed(struct watch *watch)
{
    g_mutex_lock(&lock);
    gboolean removed = watch->removed;
    g_mutex_unlock(&lock);
    return removed;
}

static const struct {
    int event;
    GIOCondition condition;
} conditions[] = {
    {VIR_EVENT_HANDLE_READABLE, G_IO_IN},
    {VIR_EVENT_HANDLE_WRITABLE, G_IO_OUT},
    {VIR_EVENT_HANDLE_ERROR, G_IO_ERR | G_IO_NVAL},
    {VIR_EVENT_HANDLE_HANGUP, G_IO_HUP},
};

static gboolean dispatch_event(gint fd, GIOCondition condition, gpointer data)
{
    struct watch *watch = data;
    int events = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(conditions); i++)
        if (condition & conditions[i].condition)
            events |= conditions[i].event;
    if (!is_removed(watch))
        watch->on_event(watch->id, fd, events, watch->opaque);
    return G_SOURCE_CONTINUE;
}

static gboolean dispatch_time(gpointer data)
{
    struct watch *watch = data;
    if (!is_removed(watch))
        watch->on_time(watch->id, watch->opaque);
    return G_SOURCE_CONTINUE;
}

/* NULL: no events are asked for. */
static GSource *event_source(const struct watch *watch, int events)
{
    GIOCondition condition = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(conditions); i++)
        if (events & conditions[i].event)
            condition |= conditions[i].condition;
    return condition ? g_unix_fd_source_new(watch->fd, condition) : NULL;
}

static GSource *time_source(int period_ms)
{
    if (period_ms < 0)
        return NULL;
    return period_ms == 0 ? g_idle_source_new() : g_timeout_source_new((guint)period_ms);
}

static void drop_source(struct watch *watch)
{
    if (!watch->source)
        return;
    g_source_destroy(watch->source);
    g_clear_pointer(&watch->source, g_source_unref);
}

/* Takes the source; NULL is fine. Under lock. */
static void set_source(struct watch *watch, GSource *source)
{
    drop_source(watch);
    if (!source)
        return;
    GSourceFunc dispatch =
        watch->on_event ? G_SOURCE_FUNC(dispatch_event) : G_SOURCE_FUNC(dispatch_time);
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, dispatch, watch_ref(watch), watch_unref);
    g_source_attach(source, context);
    watch->source = source;
}

static int add_watch(struct watch *watch, int what)
{
    g_mutex_lock(&lock);
    watch->references = 1;
    watch->id = ++last_id;
    g_hash_table_insert(watches, GINT_TO_POINTER(watch->id), watch);
    set_source(watch, watch->on_event ? event_source(watch, what) : time_source(what));
    int id = watch->id;
    g_mutex_unlock(&lock);
    return id;
}

static void update_watch(int id, int what)
{
    g_mutex_lock(&lock);
    struct watch *watch = g_hash_table_lookup(watches, GINT_TO_POINTER(id));
    if (watch)
        set_source(watch, watch->on_event ? event_source(watch, what) : time_source(what));
    g_mutex_unlock(&lock);
}

static gboolean free_opaque(gpointer data)
{
    struct watch *watch = data;
    if (watch->opaque_free)
        watch->opaque_free(watch->opaque);
    return G_SOURCE_REMOVE;
}

static int remove_watch(int id)
{
    g_mutex_lock(&lock);
    struct watch *watch = g_hash_table_lookup(watches, GINT_TO_POINTER(id));
    if (watch) {
        g_hash_table_steal(watches, GINT_TO_POINTER(id));
        watch->removed = TRUE;
        drop_source(watch);
        g_autoptr(GSource) source = g_idle_source_new();
        g_source_set_priority(source, G_PRIORITY_DEFAULT);
        g_source_set_callback(source, free_opaque, watch, watch_unref);
        g_source_attach(source, context);
    }
    g_mutex_unlock(&lock);
    return watch ? 0 : -1;
}

static int add_handle(int fd, int events, virEventHandleCallback callback, void *opaque,
                      virFreeCallback opaque_free)
{
    struct watch *watch = g_new0(struct watch, 1);
    watch->fd = fd;
    watch->on_event = callback;
    watch->opaque = opaque;
    watch->opaque_free = opaque_free;
    return add_watch(watch, events);
}

static int add_timeout(int period_ms, virEventTimeoutCallback callback, void *opaque,
                       virFreeCallback opaque_free)
{
    struct watch *watch = g_new0(struct watch, 1);
    watch->fd = -1;
    watch->on_time = callback;
    watch->opaque = opaque;
    watch->opaque_free = opaque_free;
    return add_watch(watch, period_ms);
}

static gpointer loop_main(gpointer data)
{
    (void)data;
    while (TRUE)
        g_main_context_iteration(context, TRUE);
    return NULL;
}

void snapshot_event_loop_start(void)
{
    context = g_main_context_new();
    watches = g_hash_table_new(NULL, NULL);
    virEventRegisterImpl(add_handle, update_watch, remove_watch, add_timeout, update_watch,
                         remove_watch);
    g_thread_unref(g_thread_new("libvirt-events", loop_main, NULL));
}
