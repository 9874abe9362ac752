/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/lane.h"

#include <string.h>

struct lane_hung {
    gint references; /* atomic */
    gint count;      /* atomic */
};

struct lane {
    gint references; /* atomic: the maker, the thread, callbacks, results on their way */

    /* Set by new, never changed. */
    struct lane_hung *hung;
    GMainContext *maker_context;
    gpointer context; /* the thread's alone */
    GDestroyNotify context_free;

    /* Of the maker's thread. */
    gpointer receiver;
    gboolean let_go;

    GMutex lock;
    GCond changed;
    /* Under lock. */
    GQueue jobs;         /* struct job * */
    GQueue results;      /* struct result *, on their way to the maker */
    gboolean delivering; /* a source takes them there */
    gboolean abandoned;
    gboolean ended;
    gboolean counted; /* among the hung ones */
    char *step;       /* what is being done, or NULL */
    char *argument;   /* of the job that does it */
    gint64 deadline_us;
};

struct job {
    lane_job run;
    char *argument;
};

struct result {
    lane_receive receive;
    gpointer result;
    GDestroyNotify result_free;
};

struct lane_hung *lane_hung_new(void)
{
    struct lane_hung *hung = g_new0(struct lane_hung, 1);
    hung->references = 1;
    return hung;
}

struct lane_hung *lane_hung_ref(struct lane_hung *hung)
{
    g_atomic_int_inc(&hung->references);
    return hung;
}

void lane_hung_unref(struct lane_hung *hung)
{
    if (g_atomic_int_dec_and_test(&hung->references))
        g_free(hung);
}

guint lane_hung_count(const struct lane_hung *hung)
{
    return (guint)g_atomic_int_get(&hung->count);
}

static void job_free(struct job *job)
{
    g_free(job->argument);
    g_free(job);
}

static void result_free(struct result *result)
{
    if (result->result_free)
        result->result_free(result->result);
    g_free(result);
}

struct lane *lane_ref(struct lane *lane)
{
    g_atomic_int_inc(&lane->references);
    return lane;
}

void lane_unref(gpointer data)
{
    struct lane *lane = data;
    if (!g_atomic_int_dec_and_test(&lane->references))
        return;
    g_queue_clear_full(&lane->jobs, (GDestroyNotify)job_free);
    g_queue_clear_full(&lane->results, (GDestroyNotify)result_free);
    lane_hung_unref(lane->hung);
    g_main_context_unref(lane->maker_context);
    g_mutex_clear(&lane->lock);
    g_cond_clear(&lane->changed);
    g_free(lane->step);
    g_free(lane->argument);
    g_free(lane);
}

static void set_step(struct lane *lane, const char *what, gint64 deadline_us)
{
    g_free(lane->step);
    lane->step = g_strdup(what);
    lane->deadline_us = deadline_us;
}

/* The next job, or NULL when the lane is abandoned. */
static struct job *next_job(struct lane *lane)
{
    g_mutex_lock(&lane->lock);
    set_step(lane, NULL, 0);
    g_clear_pointer(&lane->argument, g_free);
    while (!lane->abandoned && g_queue_is_empty(&lane->jobs))
        g_cond_wait(&lane->changed, &lane->lock);
    struct job *job = lane->abandoned ? NULL : g_queue_pop_head(&lane->jobs);
    if (job)
        lane->argument = g_strdup(job->argument);
    g_mutex_unlock(&lane->lock);
    return job;
}

static gpointer lane_main(gpointer data)
{
    struct lane *lane = data;
    struct job *job;
    while ((job = next_job(lane))) {
        job->run(lane, lane->context, job->argument);
        job_free(job);
    }
    /* Closing a connection may hang, too. */
    if (lane->context_free)
        lane->context_free(lane->context);
    g_mutex_lock(&lane->lock);
    lane->ended = TRUE;
    if (lane->counted)
        g_atomic_int_add(&lane->hung->count, -1);
    g_cond_broadcast(&lane->changed);
    g_mutex_unlock(&lane->lock);
    lane_unref(lane);
    return NULL;
}

struct lane *lane_new(const char *name, gpointer context, GDestroyNotify context_free,
                      struct lane_hung *hung, gpointer receiver)
{
    struct lane *lane = g_new0(struct lane, 1);
    lane->references = 2;
    lane->hung = lane_hung_ref(hung);
    lane->receiver = receiver;
    lane->maker_context = g_main_context_ref_thread_default();
    lane->context = context;
    lane->context_free = context_free;
    g_mutex_init(&lane->lock);
    g_cond_init(&lane->changed);
    g_queue_init(&lane->jobs);
    g_queue_init(&lane->results);
    g_thread_unref(g_thread_new(name, lane_main, lane));
    return lane;
}

static GList *find_job(struct lane *lane, lane_job run, const char *argument)
{
    for (GList *link = lane->jobs.head; link; link = link->next) {
        const struct job *job = link->data;
        if (job->run == run && g_strcmp0(job->argument, argument) == 0)
            return link;
    }
    return NULL;
}

void lane_push(struct lane *lane, lane_job run, const char *argument, gboolean urgent)
{
    g_mutex_lock(&lane->lock);
    GList *waiting = lane->abandoned ? NULL : find_job(lane, run, argument);
    if (waiting && urgent) {
        g_queue_unlink(&lane->jobs, waiting);
        g_queue_push_head_link(&lane->jobs, waiting);
    } else if (!waiting && !lane->abandoned) {
        struct job *job = g_new0(struct job, 1);
        job->run = run;
        job->argument = g_strdup(argument);
        if (urgent)
            g_queue_push_head(&lane->jobs, job);
        else
            g_queue_push_tail(&lane->jobs, job);
        g_cond_broadcast(&lane->changed);
    }
    g_mutex_unlock(&lane->lock);
}

gboolean lane_step(struct lane *lane, const char *what, guint deadline_ms)
{
    g_mutex_lock(&lane->lock);
    gboolean wanted = !lane->abandoned;
    set_step(lane, what, g_get_monotonic_time() + (gint64)deadline_ms * 1000);
    g_mutex_unlock(&lane->lock);
    return wanted;
}

/* One result in each turn of the maker's loop: a host with a thousand machines holds up nobody. */
static gboolean deliver(gpointer data)
{
    struct lane *lane = data;
    g_mutex_lock(&lane->lock);
    struct result *result = g_queue_pop_head(&lane->results);
    g_mutex_unlock(&lane->lock);
    if (!lane->let_go)
        result->receive(lane->receiver, result->result);
    result_free(result);
    g_mutex_lock(&lane->lock);
    lane->delivering = !g_queue_is_empty(&lane->results);
    gboolean more = lane->delivering;
    g_mutex_unlock(&lane->lock);
    return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void lane_post(struct lane *lane, lane_receive receive, gpointer data, GDestroyNotify data_free)
{
    struct result *result = g_new0(struct result, 1);
    result->receive = receive;
    result->result = data;
    result->result_free = data_free;
    g_mutex_lock(&lane->lock);
    g_queue_push_tail(&lane->results, result);
    gboolean delivering = lane->delivering;
    lane->delivering = TRUE;
    g_mutex_unlock(&lane->lock);
    if (delivering)
        return;
    g_autoptr(GSource) source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, deliver, lane_ref(lane), lane_unref);
    g_source_attach(source, lane->maker_context);
}

gboolean lane_overdue(struct lane *lane, char **ret_what, char **ret_argument)
{
    g_mutex_lock(&lane->lock);
    gboolean overdue = lane->step && g_get_monotonic_time() > lane->deadline_us;
    if (overdue) {
        *ret_what = g_strdup(lane->step);
        *ret_argument = g_strdup(lane->argument);
    }
    g_mutex_unlock(&lane->lock);
    return overdue;
}

void lane_abandon(struct lane *lane)
{
    if (!lane)
        return;
    lane->let_go = TRUE;
    g_mutex_lock(&lane->lock);
    lane->abandoned = TRUE;
    if (!lane->ended) {
        lane->counted = TRUE;
        g_atomic_int_inc(&lane->hung->count);
    }
    g_cond_broadcast(&lane->changed);
    g_mutex_unlock(&lane->lock);
    lane_unref(lane);
}

void lane_finish(struct lane *lane, gint64 until_us)
{
    if (!lane)
        return;
    lane_ref(lane);
    lane_abandon(lane);
    g_mutex_lock(&lane->lock);
    while (!lane->ended && g_cond_wait_until(&lane->changed, &lane->lock, until_us))
        ;
    g_mutex_unlock(&lane->lock);
    lane_unref(lane);
}
