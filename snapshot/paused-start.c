/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that is off has no QEMU to ask for a snapshot: it is started with its CPUs stopped, and
 * stopped again at the end. The guest never runs an instruction, so the state is that of the shut
 * down machine. Not VIR_DOMAIN_START_AUTODESTROY: an operator may let the machine run while we
 * read it, and then our exit must not take it down. */
#include "snapshot/snapshot-private.h"

#include <errno.h>

#define STOP_DEADLINE_US (60 * G_USEC_PER_SEC)

/* A CPU thread that only waits uses no time; one that has run for the blink of an eye has used more
 * than this. libvirt's state alone cannot tell "never resumed" from "resumed and paused again". */
#define UNTOUCHED_CPU_TIME_NS_MAX (100 * 1000 * 1000ULL)

gboolean snapshot_paused_start(struct snapshot_machine *machine, const char *store_id,
                               GError **error)
{
    if (virDomainHasManagedSaveImage(machine->domain, 0) == 1) {
        /* Starting would load that state and delete it; stopping again would lose it. */
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "start the machine, or give the saved state up with `virsh "
                           "managedsave-remove`",
                           "machine %s is suspended to disk (managed save)", machine->name);
        return FALSE;
    }
    if (!snapshot_marker_set(machine, MARKER_STARTED_PAUSED, store_id, error))
        return FALSE;
    if (virDomainCreateWithFlags(machine->domain, VIR_DOMAIN_START_PAUSED) == 0)
        return TRUE;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE,
                               "a machine that is off is started paused to be read: it must be "
                               "able to start (its networks active, its images free)",
                               "machine %s cannot be started paused", machine->name);
    snapshot_marker_remove(machine, MARKER_STARTED_PAUSED, store_id, NULL);
    return FALSE;
}

static guint64 cpu_time_ns(struct snapshot_machine *machine)
{
    virVcpuInfo info[256];
    int count = virDomainGetVcpus(machine->domain, info, G_N_ELEMENTS(info), NULL, 0);
    if (count < 0)
        return G_MAXUINT64;
    guint64 sum = 0;
    for (int i = 0; i < count; i++)
        sum += info[i].cpuTime;
    return sum;
}

static gboolean is_untouched(struct snapshot_machine *machine)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    if (virDomainGetState(machine->domain, &state, &reason, 0) != 0 || state != VIR_DOMAIN_PAUSED)
        return FALSE;
    if (reason != VIR_DOMAIN_PAUSED_USER && reason != VIR_DOMAIN_PAUSED_STARTING_UP)
        return FALSE;
    return cpu_time_ns(machine) <= UNTOUCHED_CPU_TIME_NS_MAX;
}

/* Gracefully only: QEMU writes the bitmaps when it closes the images, and would not on SIGKILL.
 * Each call of libvirt's waits some seconds for QEMU to go. */
static gboolean stop(struct snapshot_machine *machine, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + STOP_DEADLINE_US;
    while (virDomainDestroyFlags(machine->domain, VIR_DOMAIN_DESTROY_GRACEFUL) != 0) {
        gboolean busy = virGetLastErrorCode() == VIR_ERR_SYSTEM_ERROR, active = TRUE;
        g_autoptr(GError) refusal = NULL;
        snapshot_libvirt_error_set(&refusal, LANDFALL_ERROR_SOURCE,
                                   "it was started paused to be read, and its guest has not run: "
                                   "`virsh destroy --graceful` on the host stops it",
                                   "machine %s cannot be stopped", machine->name);
        if (snapshot_machine_ask_active(machine, &active, NULL) && !active)
            return TRUE;
        if (!busy || g_get_monotonic_time() > deadline_us) {
            g_propagate_error(error, g_steal_pointer(&refusal));
            return FALSE;
        }
    }
    return TRUE;
}

gboolean snapshot_paused_stop(struct snapshot_machine *machine, const char *store_id,
                              gboolean *ret_left_running, GError **error)
{
    gboolean active = FALSE;
    if (!snapshot_machine_ask_active(machine, &active, error))
        return FALSE;
    gboolean leave = active && !is_untouched(machine);
    if (active && !leave && !stop(machine, error))
        return FALSE;
    if (!snapshot_marker_remove(machine, MARKER_STARTED_PAUSED, store_id, error))
        return FALSE;
    *ret_left_running = leave;
    return TRUE;
}

/* Whose cycle has left the note; NULL: there is none. The caller owns it. */
static char *stale_store(virDomainPtr domain)
{
    char *text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    g_autoptr(xmlDoc) document = text ? snapshot_xml_parse(text, "the definition", NULL) : NULL;
    free(text);
    return document ? snapshot_xml_string(document, NULL,
                                          "substring-after(namespace-uri(/domain/metadata/*"
                                          "[local-name()='started-paused']), "
                                          "'" SNAPSHOT_STARTED_PAUSED_URI "')")
                    : NULL;
}

gboolean snapshot_paused_stop_stale(virDomainPtr domain, gboolean *ret_stopped, GError **error)
{
    struct snapshot_machine machine = {.domain = domain, .name = (char *)virDomainGetName(domain)};
    g_autofree char *store_id = stale_store(domain);
    gboolean left_running = FALSE;
    if (!store_id || !is_untouched(&machine)) {
        *ret_stopped = FALSE;
        return TRUE;
    }
    virDomainAbortJob(domain); /* with QEMU it would end, too, and libvirt knows of it so */
    if (!snapshot_paused_stop(&machine, store_id, &left_running, error))
        return FALSE;
    *ret_stopped = !left_running;
    return TRUE;
}
