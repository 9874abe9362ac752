/* SPDX-License-Identifier: Apache-2.0 */

/* Linked into builds with ThreadSanitizer alone. GLib's locks are futexes inside a library that is
 * not instrumented: TSan sees neither them nor what they order. These wrappers, found before
 * GLib's own, tell it, so that accesses under a GMutex, or handed over with a GTask, are judged
 * instead of suppressed. */

#include <dlfcn.h>
#include <gio/gio.h>
#include <sanitizer/tsan_interface.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void g_mutex_lock(GMutex *mutex)
{
    REAL(g_mutex_lock)(mutex);
    __tsan_acquire(mutex);
}

void g_mutex_unlock(GMutex *mutex)
{
    __tsan_release(mutex);
    REAL(g_mutex_unlock)(mutex);
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    __tsan_release(mutex);
    REAL(g_cond_wait)(cond, mutex);
    __tsan_acquire(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_us)
{
    __tsan_release(mutex);
    gboolean signalled = REAL(g_cond_wait_until)(cond, mutex, end_us);
    __tsan_acquire(mutex);
    return signalled;
}

/* --- GTask: there, and back ----------------------------------------------------------------------
 */

static void in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    __tsan_acquire(task);
    GTaskThreadFunc function = g_object_get_data(G_OBJECT(task), "tsan-function");
    function(task, source, data, cancellable);
}

void g_task_run_in_thread(GTask *task, GTaskThreadFunc function)
{
    g_object_set_data(G_OBJECT(task), "tsan-function", function);
    __tsan_release(task);
    REAL(g_task_run_in_thread)(task, in_thread);
}

static void on_task(GObject *source, GAsyncResult *result, gpointer data)
{
    __tsan_acquire(result);
    GAsyncReadyCallback callback = g_object_get_data(G_OBJECT(result), "tsan-callback");
    callback(source, result, data);
}

GTask *g_task_new(gpointer source, GCancellable *cancellable, GAsyncReadyCallback callback,
                  gpointer data)
{
    GTask *task = REAL(g_task_new)(source, cancellable, callback ? on_task : NULL, data);
    g_object_set_data(G_OBJECT(task), "tsan-callback", callback);
    return task;
}

void g_task_return_boolean(GTask *task, gboolean result)
{
    __tsan_release(task);
    REAL(g_task_return_boolean)(task, result);
}

void g_task_return_error(GTask *task, GError *error)
{
    __tsan_release(task);
    REAL(g_task_return_error)(task, error);
}
