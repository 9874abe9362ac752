/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing the guest's file systems around the snapshot, with one promise: the guest is thawed no
 * later than the deadline, whatever this program or libvirt is stuck in.
 *
 *   snapshot_freeze: marker → response timeout → freeze → watch thread
 *   snapshot_thaw:   take the watch thread's turn, or learn that it has had it → thaw → marker gone
 *
 * The watch thread shares nothing but `struct freeze`, under its lock; libvirt's connection takes
 * calls from several threads, and the guest agent has a queue of its own, so a thaw gets through
 * while virDomainBackupBegin hangs. */
#include "snapshot/snapshot-private.h"

#include <string.h>

#define AGENT_NAME "org.qemu.guest_agent.0"

struct freeze {
    /* Set before the thread starts, never changed. */
    struct snapshot_machine *machine; /* borrowed */
    virDomainPtr domain;              /* a reference of our own */
    char *store_id;
    gint64 deadline_us;
    GThread *thread;

    GMutex lock;
    GCond changed;
    /* Under lock. */
    gboolean thawing;  /* somebody has taken the thaw upon himself */
    gboolean too_late; /* that was the watch thread */
    char *failure;     /* why its thaw failed, or NULL */
};

enum agent_state { AGENT_NONE, AGENT_SILENT, AGENT_CONNECTED };

static enum agent_state agent_state(struct snapshot_machine *machine)
{
    char *text = virDomainGetXMLDesc(machine->domain, 0);
    if (!text)
        return AGENT_NONE;
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the definition", NULL);
    free(text);
    if (!document)
        return AGENT_NONE;
    g_autofree char *name = snapshot_xml_string(
        document, NULL, "string(/domain/devices/channel/target[@name='" AGENT_NAME "']/@name)");
    if (!name)
        return AGENT_NONE;
    g_autofree char *state = snapshot_xml_string(
        document, NULL, "string(/domain/devices/channel/target[@name='" AGENT_NAME "']/@state)");
    return g_strcmp0(state, "connected") == 0 ? AGENT_CONNECTED : AGENT_SILENT;
}

static gboolean guest_runs(struct snapshot_machine *machine)
{
    int state = VIR_DOMAIN_NOSTATE;
    return virDomainGetState(machine->domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_RUNNING;
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
    if (!mine || virDomainFSThaw(freeze->domain, NULL, 0, 0) >= 0)
        return NULL;
    g_mutex_lock(&freeze->lock);
    freeze->failure = g_strdup(snapshot_libvirt_message());
    g_mutex_unlock(&freeze->lock);
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

static struct freeze *watch_start(struct snapshot_machine *machine, const char *store_id,
                                  gint64 deadline_us)
{
    struct freeze *freeze = g_new0(struct freeze, 1);
    freeze->machine = machine;
    freeze->domain = machine->domain;
    virDomainRef(freeze->domain);
    freeze->store_id = g_strdup(store_id);
    freeze->deadline_us = deadline_us;
    g_mutex_init(&freeze->lock);
    g_cond_init(&freeze->changed);
    freeze->thread = g_thread_new("thaw-watch", watch, freeze);
    return freeze;
}

struct freeze *snapshot_freeze(struct snapshot_machine *machine, const char *store_id,
                               unsigned deadline_ms, GPtrArray *warnings)
{
    if (!guest_runs(machine))
        return NULL;
    enum agent_state agent = agent_state(machine);
    if (agent == AGENT_NONE)
        return NULL;
    if (agent == AGENT_SILENT) {
        g_ptr_array_add(warnings, g_strdup("file systems were not frozen: the guest agent is not "
                                           "running in the guest"));
        return NULL;
    }
    gint64 deadline_us = g_get_monotonic_time() + (gint64)deadline_ms * G_TIME_SPAN_MILLISECOND;
    g_autoptr(GError) problem = NULL;
    /* Without the marker nobody would thaw the guest if we died now. */
    if (!snapshot_marker_set(machine, MARKER_FROZEN, store_id, &problem)) {
        g_ptr_array_add(warnings,
                        g_strdup_printf("file systems were not frozen: %s", problem->message));
        return NULL;
    }
    limit_agent(machine, deadline_ms);
    if (virDomainFSFreeze(machine->domain, NULL, 0, 0) >= 0)
        return watch_start(machine, store_id, deadline_us);

    g_ptr_array_add(warnings, g_strdup_printf("file systems could not be frozen: %s",
                                              snapshot_libvirt_message()));
    /* An agent that answers late may have frozen some of them after all. */
    virDomainFSThaw(machine->domain, NULL, 0, 0);
    unlimit_agent(machine);
    snapshot_marker_remove(machine, MARKER_FROZEN, store_id, NULL);
    return NULL;
}

gboolean snapshot_thaw(struct freeze *freeze, GPtrArray *warnings)
{
    if (!freeze)
        return FALSE;
    g_mutex_lock(&freeze->lock);
    gboolean mine = !freeze->thawing;
    freeze->thawing = TRUE;
    g_cond_signal(&freeze->changed);
    g_mutex_unlock(&freeze->lock);

    if (mine && virDomainFSThaw(freeze->domain, NULL, 0, 0) < 0)
        freeze->failure = g_strdup(snapshot_libvirt_message());
    g_thread_join(freeze->thread);
    unlimit_agent(freeze->machine);
    if (freeze->too_late)
        g_ptr_array_add(warnings, g_strdup("the guest was thawed at the freeze deadline, before "
                                           "the snapshot was taken: its file systems are only "
                                           "crash-consistent"));
    /* With the marker still there, the next clean tries again. */
    if (freeze->failure)
        g_ptr_array_add(warnings,
                        g_strdup_printf("the guest could not be thawed: %s; the next cycle tries "
                                        "again, `virsh domfsthaw` does it now",
                                        freeze->failure));
    else
        snapshot_marker_remove(freeze->machine, MARKER_FROZEN, freeze->store_id, NULL);
    gboolean stood_still = !freeze->too_late;
    virDomainFree(freeze->domain);
    g_mutex_clear(&freeze->lock);
    g_cond_clear(&freeze->changed);
    g_free(freeze->store_id);
    g_free(freeze->failure);
    g_free(freeze);
    return stood_still;
}

gboolean snapshot_thaw_stale(struct snapshot_machine *machine, const char *store_id,
                             gboolean *ret_thawed, GError **error)
{
    if (!snapshot_machine_is_active(machine) ||
        !snapshot_marker_present(machine, MARKER_FROZEN, store_id)) {
        *ret_thawed = FALSE;
        return TRUE;
    }
    /* A guest that was not frozen after all answers 0, which is as good. */
    limit_agent(machine, 5000);
    gboolean thawed = virDomainFSThaw(machine->domain, NULL, 0, 0) >= 0;
    if (!thawed)
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE,
                                   "look at the guest agent in the guest; `virsh domfsthaw` thaws",
                                   "machine %s was left frozen and cannot be thawed",
                                   machine->name);
    unlimit_agent(machine);
    if (!thawed || !snapshot_marker_remove(machine, MARKER_FROZEN, store_id, error))
        return FALSE;
    *ret_thawed = TRUE;
    return TRUE;
}
