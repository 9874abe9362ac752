/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing the guest's file systems around the snapshot, with one promise: the guest is thawed no
 * later than the deadline, whatever this program or libvirt is stuck in.
 *
 *   snapshot_freeze:      marker → guard process → response timeout → freeze → watch thread
 *   snapshot_thaw:        take the watch thread's turn, or learn that it has had it → thaw →
 *                         (failed: a thread that insists) → marker gone
 *   snapshot_thaw_finish: end that thread, too → guard dismissed → marker gone, if it could thaw
 *
 * The threads share nothing but `struct freeze`, under its lock; libvirt's connection takes
 * calls from several threads, and the guest agent has a queue of its own, so a thaw gets through
 * while virDomainBackupBegin hangs. */
#include "snapshot/snapshot-private.h"

#include <string.h>

#define STALE_THAW_DEADLINE_MS 5000
#define INSIST_PERIOD_US G_USEC_PER_SEC

struct freeze {
    /* Set before the thread starts, never changed. */
    struct snapshot_machine *machine; /* borrowed */
    virDomainPtr domain;              /* a reference of our own */
    char *store_id;
    gint64 deadline_us;
    GThread *thread;
    GSubprocess *guard; /* thaws when we cannot, or NULL */
    int frozen_count;   /* of file systems, as the agent said; 0 if it did not confirm the freeze */
    gboolean sure;      /* the agent confirmed the freeze */

    GMutex lock;
    GCond changed;
    /* Under lock. */
    gboolean thawing;  /* somebody has taken the thaw upon himself */
    gboolean too_late; /* that was the watch thread */
    gboolean give_up;  /* the snapshot ends, and with it the thread that insists */
    gboolean by_other; /* somebody had thawed file systems before we did */
    char *failure;     /* why the last thaw failed, or NULL */
};

static enum snapshot_agent agent_state(struct snapshot_machine *machine)
{
    char *text = virDomainGetXMLDesc(machine->domain, 0);
    g_autoptr(xmlDoc) document = text ? snapshot_xml_parse(text, "the definition", NULL) : NULL;
    free(text);
    return document ? snapshot_agent_state(document) : SNAPSHOT_AGENT_NONE;
}

static gboolean guest_runs(struct snapshot_machine *machine)
{
    int state = VIR_DOMAIN_NOSTATE;
    return virDomainGetState(machine->domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_RUNNING;
}

static gboolean thaw_now(struct freeze *freeze)
{
    g_autofree char *failure = NULL;
    int thawed_count = virDomainFSThaw(freeze->domain, NULL, 0, 0);
    if (thawed_count < 0)
        failure = g_strdup(snapshot_libvirt_message());
    g_mutex_lock(&freeze->lock);
    freeze->by_other = thawed_count >= 0 && thawed_count < freeze->frozen_count;
    g_free(freeze->failure);
    freeze->failure = g_strdup(failure);
    g_mutex_unlock(&freeze->lock);
    return !failure;
}

static gpointer watch(gpointer data)
{
    struct freeze *freeze = data;
    g_mutex_lock(&freeze->lock);
    while (!freeze->thawing &&
           g_cond_wait_until(&freeze->changed, &freeze->lock, freeze->deadline_us))
        ;
    gboolean mine = !freeze->thawing;
    if (mine) {
        freeze->thawing = TRUE;
        freeze->too_late = TRUE;
    }
    g_mutex_unlock(&freeze->lock);
    if (mine)
        thaw_now(freeze);
    return NULL;
}

/* libvirt waits for the agent without end unless told otherwise; whole seconds, at least one. */
static void limit_agent(struct snapshot_machine *machine, unsigned deadline_ms)
{
    unsigned seconds = MAX(1, (deadline_ms + 999) / 1000);
    virDomainAgentSetResponseTimeout(machine->domain, (int)MIN(seconds, (unsigned)G_MAXINT), 0);
}

static void unlimit_agent(struct snapshot_machine *machine)
{
    virDomainAgentSetResponseTimeout(machine->domain, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
}

/* frozen_count < 0: the agent did not answer, and may freeze the guest yet. Takes the guard. */
static struct freeze *watch_start(struct snapshot_machine *machine,
                                  const struct snapshot_plan *plan, gint64 deadline_us,
                                  int frozen_count, GSubprocess *guard)
{
    struct freeze *freeze = g_new0(struct freeze, 1);
    freeze->machine = machine;
    freeze->domain = machine->domain;
    virDomainRef(freeze->domain);
    freeze->store_id = g_strdup(plan->store_id);
    freeze->deadline_us = deadline_us;
    freeze->sure = frozen_count >= 0;
    freeze->frozen_count = MAX(frozen_count, 0);
    freeze->guard = guard;
    g_mutex_init(&freeze->lock);
    g_cond_init(&freeze->changed);
    freeze->thread = g_thread_new("thaw-watch", watch, freeze);
    return freeze;
}

/* Whether there is an agent to ask, in a guest that can answer. */
static gboolean agent_can_answer(struct snapshot_machine *machine, GPtrArray *warnings)
{
    if (!guest_runs(machine))
        return FALSE;
    enum snapshot_agent agent = agent_state(machine);
    if (agent == SNAPSHOT_AGENT_SILENT)
        g_ptr_array_add(warnings, g_strdup("file systems were not frozen: the guest agent is not "
                                           "running in the guest"));
    return agent == SNAPSHOT_AGENT_CONNECTED;
}

struct freeze *snapshot_freeze(struct snapshot_machine *machine, const struct snapshot_plan *plan,
                               GPtrArray *warnings)
{
    if (!agent_can_answer(machine, warnings))
        return NULL;
    gint64 deadline_us =
        g_get_monotonic_time() + (gint64)plan->freeze_deadline_ms * G_TIME_SPAN_MILLISECOND;
    g_autoptr(GError) problem = NULL;
    /* Without the marker nobody would thaw the guest if we died now. */
    if (!snapshot_marker_set(machine, MARKER_FROZEN, plan->store_id, &problem)) {
        g_ptr_array_add(warnings,
                        g_strdup_printf("file systems were not frozen: %s", problem->message));
        return NULL;
    }
    GSubprocess *guard = snapshot_thaw_guard_start(machine, plan, warnings);
    limit_agent(machine, plan->freeze_deadline_ms);
    int frozen_count = virDomainFSFreeze(machine->domain, NULL, 0, 0);
    if (frozen_count >= 0)
        return watch_start(machine, plan, deadline_us, frozen_count, guard);

    int code = virGetLastErrorCode();
    g_ptr_array_add(warnings, g_strdup_printf("file systems could not be frozen: %s",
                                              snapshot_libvirt_message()));
    /* An agent that does not answer in time may freeze them yet: it gets a thaw like any other. One
     * that says no has frozen nothing, or what it was told by somebody else. */
    if (code == VIR_ERR_AGENT_UNRESPONSIVE || code == VIR_ERR_AGENT_UNSYNCED ||
        code == VIR_ERR_OPERATION_TIMEOUT)
        return watch_start(machine, plan, deadline_us, -1, guard);
    unlimit_agent(machine);
    snapshot_marker_remove(machine, MARKER_FROZEN, plan->store_id, NULL);
    snapshot_thaw_guard_dismiss(guard);
    return NULL;
}

static void freeze_free(struct freeze *freeze)
{
    virDomainFree(freeze->domain);
    g_mutex_clear(&freeze->lock);
    g_cond_clear(&freeze->changed);
    g_free(freeze->store_id);
    g_free(freeze->failure);
    g_free(freeze);
}

/* An agent that was stuck freezes the guest when it comes to, long after it was told to; only a
 * thaw after that helps. So the tries go on for as long as the snapshot lives. */
static gpointer insist(gpointer data)
{
    struct freeze *freeze = data;
    while (!thaw_now(freeze)) {
        gint64 next_us = g_get_monotonic_time() + INSIST_PERIOD_US;
        g_mutex_lock(&freeze->lock);
        while (!freeze->give_up && g_cond_wait_until(&freeze->changed, &freeze->lock, next_us))
            ;
        gboolean give_up = freeze->give_up;
        g_mutex_unlock(&freeze->lock);
        if (give_up)
            break;
    }
    return NULL;
}

gboolean snapshot_thaw(struct freeze **freeze_inout, GPtrArray *warnings)
{
    struct freeze *freeze = *freeze_inout;
    if (!freeze)
        return FALSE;
    g_mutex_lock(&freeze->lock);
    gboolean mine = !freeze->thawing;
    freeze->thawing = TRUE;
    g_cond_signal(&freeze->changed);
    g_mutex_unlock(&freeze->lock);
    if (mine)
        thaw_now(freeze);
    g_thread_join(g_steal_pointer(&freeze->thread));

    /* The thread is gone, and with it the need for the lock. */
    gboolean stood_still = freeze->sure && !freeze->too_late && !freeze->by_other;
    if (freeze->sure && freeze->too_late)
        g_ptr_array_add(warnings, g_strdup("the guest was thawed at the freeze deadline, before "
                                           "the snapshot was taken: its file systems are only "
                                           "crash-consistent"));
    else if (freeze->by_other)
        g_ptr_array_add(warnings, g_strdup("somebody else thawed the guest, maybe before the "
                                           "snapshot was taken: its file systems are only "
                                           "crash-consistent"));
    if (freeze->failure) {
        freeze->thread = g_thread_new("thaw", insist, freeze);
        return stood_still;
    }
    snapshot_thaw_finish(freeze, warnings);
    *freeze_inout = NULL;
    return stood_still;
}

void snapshot_thaw_finish(struct freeze *freeze, GPtrArray *warnings)
{
    if (!freeze)
        return;
    if (freeze->thread) {
        g_mutex_lock(&freeze->lock);
        freeze->give_up = TRUE;
        g_cond_signal(&freeze->changed);
        g_mutex_unlock(&freeze->lock);
        g_thread_join(freeze->thread);
    }
    snapshot_thaw_guard_dismiss(freeze->guard);
    /* With the marker still there, the next clean goes on trying. */
    if (freeze->failure)
        g_ptr_array_add(warnings,
                        g_strdup_printf("the guest's file systems may still be frozen, and could "
                                        "not be thawed: %s; the next cycle tries again, `virsh "
                                        "domfsthaw` does it now",
                                        freeze->failure));
    else
        snapshot_marker_remove(freeze->machine, MARKER_FROZEN, freeze->store_id, NULL);
    unlimit_agent(freeze->machine);
    freeze_free(freeze);
}

void snapshot_thaw_stale(struct snapshot_machine *machine, const char *store_id, GPtrArray *removed)
{
    if (!snapshot_marker_present(machine, MARKER_FROZEN, store_id))
        return;
    /* A guest that was not frozen after all answers 0, which is as good. One that does not answer
     * must not end its replication: the marker stays, and so does the try. */
    limit_agent(machine, STALE_THAW_DEADLINE_MS);
    if (virDomainFSThaw(machine->domain, NULL, 0, 0) < 0)
        g_ptr_array_add(removed, g_strdup_printf("could not thaw the guest's file systems, which "
                                                 "an earlier cycle may have left frozen: %s",
                                                 snapshot_libvirt_message()));
    else if (snapshot_marker_remove(machine, MARKER_FROZEN, store_id, NULL))
        g_ptr_array_add(removed, g_strdup("thawed the guest's file systems"));
    unlimit_agent(machine);
}
